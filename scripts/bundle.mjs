#!/usr/bin/env node
// `npm run bundle [-- --cuda] [--python VERSION] [--output FILE.tar]`: one archive with distmis, built, and everything that its
// set-up else fetches from registries. See docs/offline.md.
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { readOptions, usage } from "./bundle/options.mjs";
import { fileSha256 } from "./setup/bundle.mjs";
import { bindingFile } from "./setup/native-binding.mjs";
import { npmOptions } from "./setup/packages.mjs";
import { inCheckout } from "./setup/places.mjs";
import { failure, npmCommand, SetupError } from "./setup/run.mjs";
import { filesBelow } from "./setup/stamps.mjs";
import { fail, python, root, setup } from "./setup.mjs";

/** The newest glibc that a wheel may ask for: that of Red Hat Enterprise Linux 8. TensorFlow's own asks for 2.27. */
const GLIBC_MINOR = 28;

const stop = new AbortController();

async function run(command, args, cwd = root) {
  try {
    const options = { cwd, signal: stop.signal, maxBuffer: 64 * 2 ** 20 };
    return (await promisify(execFile)(command, args, options)).stdout;
  } catch (error) {
    if (stop.signal.aborted) throw new SetupError("stopped; nothing is left");
    throw failure(command, args, `${error.stdout ?? ""}${error.stderr ?? error.message}`);
  }
}

async function step(title, make) {
  const start = Date.now();
  process.stderr.write(`distmis bundle: ${title} ... `);
  await make();
  process.stderr.write(`${((Date.now() - start) / 1000).toFixed(0)} s\n`);
}

/** What `npm pack` packs: sources that are needed at run time, dist/ and the protocol's code. */
async function addDistmis(stage, target) {
  const [npm, ...first] = npmCommand();
  const [packed] = JSON.parse(await run(npm, [...first, "pack", "--json", "--pack-destination", stage]));
  await run("tar", ["-xzf", path.join(stage, packed.filename), "-C", target, "--strip-components=1"]);
}

/** The packages that distmis runs with, without those for its development. */
async function addNpmPackages(stage, bundle) {
  const folder = path.join(stage, "npm");
  fs.mkdirSync(folder);
  for (const name of ["package.json", "package-lock.json"])
    fs.copyFileSync(path.join(root, name), path.join(folder, name));
  const [npm, ...first] = npmCommand();
  await run(npm, [...first, "install", "--omit=dev", ...npmOptions], folder);
  await run("tar", ["-czf", path.join(bundle, "node_modules.tar.gz"), "-C", folder, "node_modules"]);
}

/** The wheels of the lock, with its hashes, for a Python that need not be this machine's. */
async function addWheels(stage, bundle, flavour, version) {
  const lock = path.join(root, "python_shim", `requirements-${flavour}.lock`);
  const requirements = path.join(stage, `requirements-${version}.txt`);
  fs.writeFileSync(
    requirements,
    await run(python, [path.join(root, "scripts", "bundle", "requirements.py"), lock, version]),
  );
  const platforms = ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64"];
  for (let minor = 5; minor <= GLIBC_MINOR; minor++) platforms.push(`manylinux_2_${minor}_x86_64`);
  const abis = [`cp${version.replace(".", "")}`, "abi3", "none"];
  await run(python, [
    ...[
      "-m",
      "pip",
      "download",
      "--quiet",
      "--disable-pip-version-check",
      "--no-input",
      "--no-deps",
      "--require-hashes",
    ],
    ...["--only-binary=:all:", "--implementation", "cp", "--python-version", version],
    ...abis.flatMap((abi) => ["--abi", abi]),
    ...platforms.flatMap((platform) => ["--platform", platform]),
    ...["-r", requirements, "-d", path.join(bundle, "wheels")],
  ]);
}

function writeSums(target, bundle) {
  // Not the configurations, cluster profiles and documents: people change the former two.
  const files = filesBelow(target).filter((file) => !/^(configs|docs|slurm)\//.test(path.relative(target, file)));
  const lines = files.map((file) => `${fileSha256(file)}  ${path.relative(target, file)}\n`);
  fs.writeFileSync(path.join(bundle, "SHA256SUMS"), lines.join(""));
}

async function makeBundle({ flavour, pythons, output, version }) {
  const stage = fs.mkdtempSync(`${output}.partial-`);
  const name = `distmis-${version}`;
  const target = path.join(stage, name);
  const bundle = path.join(target, "bundle");
  const archive = path.join(stage, "archive.tar");
  try {
    fs.mkdirSync(path.join(bundle, "wheels"), { recursive: true });
    await step("distmis", () => addDistmis(stage, target));
    await step("npm packages", () => addNpmPackages(stage, bundle));
    for (const python of pythons) {
      const title = `Python packages (TensorFlow for ${flavour === "cuda" ? "CUDA" : "CPU"}, Ray) for Python ${python}`;
      await step(title, () => addWheels(stage, bundle, flavour, python));
    }
    await step("archive", async () => {
      fs.copyFileSync(bindingFile().out, path.join(bundle, "tfjs_binding.node"));
      fs.writeFileSync(path.join(bundle, "bundle.json"), `${JSON.stringify({ flavour, pythons })}\n`);
      writeSums(target, bundle);
      // Uncompressed, as wheels are compressed and so is the archive of npm's packages. The wheels come last, so that the set-up
      // of an archive that was cut off starts, and names what is missing.
      const order = fs.readdirSync(target).filter((entry) => entry !== "bundle");
      const first = ["SHA256SUMS", "bundle.json", "tfjs_binding.node", "node_modules.tar.gz"].map(
        (file) => `bundle/${file}`,
      );
      const members = [...order, ...first, "bundle/wheels"].map((member) => path.join(name, member));
      await run("tar", ["-cf", archive, "--owner=0", "--group=0", "--numeric-owner", "-C", stage, ...members]);
    });
    const digest = fileSha256(archive);
    const bytes = fs.statSync(archive).size;
    fs.renameSync(archive, output);
    return { name, digest, bytes };
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
}

/** The Python of this machine's environment, as "3.11". */
const herePython = async () => (await run(python, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])).trim();

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(usage);
    process.exit();
  }
  if (!inCheckout) throw new SetupError("a bundle is made in a clone of the repository, on a machine with internet");
  setup();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => stop.abort());
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  const { flavour, pythons = [await herePython()] } = options;
  const output = path.resolve(
    process.env.INIT_CWD ?? process.cwd(),
    options.output ?? `distmis-bundle-${version}-${flavour}-python${pythons.join("-")}.tar`,
  );
  const { name, digest, bytes } = await makeBundle({ flavour, pythons, output, version });
  process.stdout.write(`${output}: ${(bytes / 1e6).toFixed(0)} MB
SHA-256 ${digest}

On a machine without internet, with Node 20 or 22 and Python ${pythons.join(" or ")}:
  tar xf ${path.basename(output)} && cd ${name} && npm run setup
`);
} catch (error) {
  fail(error, "bundle");
}
