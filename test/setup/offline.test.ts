/** An archive of `npm run bundle`, unpacked in an empty folder and set up where there is no network. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { repositoryRoot, testPython } from "../support/python.ts";

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
function run([program, ...args]: readonly [string, ...string[]], cwd: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env, maxBuffer: 16 * 2 ** 20, timeout: 500_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** A command that runs another one in a network namespace of its own, or null where that is not permitted. */
const withoutNetwork = (["-n", "-rn"] as const)
  .map((option) => ["unshare", option] as const)
  .find(([unshare, option]) => spawnSync(unshare, [option, "true"]).status === 0);

const bundleScript = path.join(repositoryRoot, "scripts/bundle.mjs");
const sha256 = (file: string) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");

test("an unknown Python or option is refused before anything is made", async () => {
  const cases: [string[], RegExp][] = [
    [["--python", "3.9"], /distmis bundle: --python 3\.9: expected 3\.10, 3\.11, 3\.12, 3\.13/],
    [["--gpu"], /distmis bundle: Unknown option '--gpu'[\s\S]*usage: npm run bundle/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await run([process.execPath, bundleScript, ...args], repositoryRoot, process.env);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});

test("a bundle is set up and runs without a network", {
  skip: withoutNetwork === undefined && "needs network namespaces: root, or user namespaces for everybody",
  timeout: 900_000,
}, async (t) => {
  assert.ok(withoutNetwork);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-offline-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  // Another user looks at it below.
  fs.chmodSync(dir, 0o755);
  const home = path.join(dir, "home");
  fs.mkdirSync(home);
  const archive = path.join(dir, "bundle.tar");
  const made = await run([process.execPath, bundleScript, "--output", archive], repositoryRoot, process.env);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, new RegExp(`SHA-256 ${sha256(archive)}`));
  assert.deepEqual(fs.readdirSync(dir).sort(), ["bundle.tar", "home"], "no partial archive is left");
  const unpacked = await run(["tar", "xf", archive, "-C", dir], dir, process.env);
  assert.equal(unpacked.code, 0, unpacked.stderr);
  fs.rmSync(archive);
  const installation = path.join(
    dir,
    fs.readdirSync(dir).find((name) => name.startsWith("distmis-")) ?? assert.fail("nothing was unpacked"),
  );

  const base = spawnSync(testPython, ["-c", "import sys; print(sys._base_executable)"], { encoding: "utf8" });
  // Neither the caches nor the configuration of npm and pip that this machine has.
  const env = { HOME: home, PATH: process.env.PATH, DISTMIS_BASE_PYTHON: base.stdout.trim() };
  const offline = (...command: readonly [string, ...string[]]) =>
    run([withoutNetwork[0], withoutNetwork[1], ...command], installation, env);
  const distmis = path.join(installation, "bin/distmis");
  const bundled = (name: string) => path.join(installation, "bundle", name);

  await t.test("there is no route", async () => {
    assert.equal((await offline("cat", "/proc/net/route")).stdout.trim().split("\n").length, 1);
  });

  await t.test("before the set-up the command says what to do", async () => {
    const { code, stderr } = await offline(distmis, "--version");
    assert.equal(code, 1);
    assert.match(stderr, /not set up yet; run `\S+\/bin\/distmis setup`/);
  });

  await t.test("a damaged and a missing file are named, and nothing is installed", async () => {
    const wheel = bundled(
      path.join("wheels", fs.readdirSync(bundled("wheels")).find((name) => name.startsWith("optuna")) ?? ""),
    );
    const sound = fs.readFileSync(wheel);
    const damaged = Buffer.from(sound);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    fs.writeFileSync(wheel, damaged);
    const first = await offline("npm", "run", "setup");
    assert.equal(first.code, 1);
    assert.match(first.stderr, /optuna-\S+\.whl is damaged: expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}/);
    fs.rmSync(wheel);
    const second = await offline("npm", "run", "setup");
    assert.equal(second.code, 1);
    assert.match(second.stderr, /optuna-\S+\.whl is missing: .*not wholly unpacked/);
    assert.ok(!fs.existsSync(path.join(installation, "node_modules")));
    assert.ok(!fs.existsSync(path.join(installation, ".venv")));
    fs.writeFileSync(wheel, sound);
  });

  await t.test("the set-up works, and a second one does nothing", async () => {
    const first = await offline("npm", "run", "setup");
    assert.equal(first.code, 0, first.stderr);
    assert.match(
      first.stderr,
      /npm packages \.\.\. \d+ s\n.*Python packages .*\d+ s\n.*native binding \.\.\. \d+ s\n$/,
    );
    assert.equal((await offline(distmis, "--version")).code, 0);
    const second = await offline(distmis, "setup");
    assert.deepEqual(second, { code: 0, stdout: "", stderr: "" });
  });

  await t.test("Node loads TensorFlow, and Python Ray", async () => {
    const { stdout } = await offline(distmis, "doctor", "--json");
    const findings: { subject: string; found: string; remedy: string | null }[] = JSON.parse(stdout);
    for (const subject of ["TensorFlow", "Devices", "Ray"]) {
      const finding = findings.find((one) => one.subject.startsWith(subject));
      assert.equal(finding?.remedy, null, `${subject}: ${finding?.found}`);
    }
  });

  await t.test("what a bundle does not hold is refused", async () => {
    const cuda = await offline(distmis, "setup", "--cuda");
    assert.equal(cuda.code, 1);
    assert.match(cuda.stderr, /this bundle holds TensorFlow for CPUs; `npm run bundle -- --cuda`/);
    const dev = await offline(distmis, "setup", "--dev");
    assert.equal(dev.code, 1);
    assert.match(dev.stderr, /not its tests/);
  });

  const stamp = path.join(installation, "node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/.distmis-stamp");

  await t.test("without g++, a native binding that does not load here is told with the reason", async () => {
    const binding = bundled("tfjs_binding.node");
    const sums = bundled("SHA256SUMS");
    const [soundSums, soundStamp] = [fs.readFileSync(sums, "utf8"), fs.readFileSync(stamp, "utf8")];
    const digest = sha256(binding);
    fs.writeFileSync(binding, "no shared object");
    fs.writeFileSync(sums, soundSums.replace(digest, sha256(binding)));
    fs.rmSync(stamp);
    const args = [process.execPath, distmis, "setup"] as const;
    const { code, stderr } = await run([...args], installation, { ...env, PATH: path.join(dir, "empty") });
    assert.equal(code, 1);
    assert.match(stderr, /does not load here, and g\+\+, .* is missing: .*\n.*(file too short|invalid ELF header)/);
    fs.writeFileSync(sums, soundSums);
    fs.writeFileSync(stamp, soundStamp);
  });

  await t.test(
    "another user, who can't write there, is told to ask the owner",
    {
      skip: process.getuid?.() !== 0 && "needs root, to become another user",
    },
    async () => {
      fs.rmSync(stamp);
      const other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] as const;
      const { code, stderr } = await run([...other, process.execPath, distmis, "setup"], "/", env);
      assert.equal(code, 1);
      assert.match(stderr, /(Python packages|native binding).* not up to date, or not readable.* ask its owner to run/);
    },
  );
});
