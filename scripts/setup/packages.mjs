// The packages of npm and of Python, in the versions and with the hashes of the locks.
import fs from "node:fs";
import path from "node:path";
import { openBundle } from "./bundle.mjs";
import { findPython } from "./machine.mjs";
import { inCheckout, python, root, venv } from "./places.mjs";
import { answer, npmCommand, run, SetupError } from "./run.mjs";
import { hashFiles, readStamp, sha256 } from "./stamps.mjs";

const hint =
  "No internet here? `npm run bundle` on a machine that has it makes an archive with everything: docs/offline.md";

const nodeModules = path.join(root, "node_modules");

/** The options of an installation from the lock, whatever the person's own npmrc says. */
export const npmOptions = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];

function bundledNpmPackages(bundle) {
  return {
    title: "npm packages",
    stamp: path.join(nodeModules, ".distmis-stamp"),
    inputs: bundle.digest(bundle.nodeModules),
    make: () => {
      bundle.verify();
      fs.rmSync(nodeModules, { recursive: true, force: true });
      run("tar", ["-xzf", bundle.nodeModules, "-C", root, "--no-same-owner"]);
    },
  };
}

export function npmPackages() {
  const bundle = openBundle();
  if (bundle) return bundledNpmPackages(bundle);
  if (!inCheckout) return null;
  return {
    title: "npm packages",
    stamp: path.join(nodeModules, ".distmis-stamp"),
    inputs: sha256(fs.readFileSync(path.join(root, "package-lock.json")), process.versions.modules),
    make: () => {
      const [command, ...first] = npmCommand();
      // Not `npm ci`: it refuses a lock without an entry for every foreign platform's optional binary, which not every
      // registry mirror has. Versions and hashes are those of the lock all the same, and the lock stays as it is.
      run(command, [...first, "install", ...npmOptions], { hint });
    },
  };
}

function pipInstall(lock) {
  const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"];
  args.push("--require-hashes", "-r", lock);
  const bundle = openBundle();
  if (!bundle) return run(python, args, { hint });
  bundle.verify();
  // Nothing of the person's or the machine's pip configuration, which may name an index or other wheels, and no cache in
  // a home whose quota may be small.
  args.push("--isolated", "--no-cache-dir", "--no-index", "--find-links", bundle.wheels);
  run(python, args, { env: { ...process.env, PIP_CONFIG_FILE: "/dev/null" } });
}

/** The environment leads to the Python that it was made with, which may be gone by now or lie in another person's home. */
function runnable() {
  try {
    fs.accessSync(python, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function pythonPackages(options) {
  const bundle = openBundle();
  // An installation keeps its flavour until it is asked for the other one.
  const kept = readStamp(path.join(venv, ".distmis-flavour"));
  if (bundle && options.cuda && bundle.flavour !== "cuda")
    throw new SetupError(
      "--cuda: this bundle holds TensorFlow for CPUs; `npm run bundle -- --cuda` makes one for GPUs, see docs/offline.md",
    );
  const flavour = bundle?.flavour ?? (options.cuda ? "cuda" : kept || "cpu");
  const lock = path.join(root, "python_shim", `requirements-${flavour}.lock`);
  return {
    title: `Python packages (TensorFlow for ${flavour === "cuda" ? "CUDA" : "CPU"}, Ray)`,
    stamp: path.join(venv, ".distmis-stamp"),
    inputs: hashFiles([lock]),
    works: runnable,
    make: () => {
      if (answer("setpriv", ["--version"]) === null)
        throw new SetupError("setpriv is missing: sudo apt-get install util-linux");
      const base = findPython();
      // A flavour leaves files that the other one does not have: start from nothing.
      if (kept !== flavour || answer(python, ["-m", "pip", "--version"]) === null) {
        fs.rmSync(venv, { recursive: true, force: true });
        run(base, ["-m", "venv", venv]);
      }
      pipInstall(lock);
      fs.writeFileSync(path.join(venv, ".distmis-flavour"), flavour);
      fs.rmSync(path.join(venv, ".distmis-dev-stamp"), { force: true });
    },
  };
}

export function pythonTestPackages(options) {
  if (!options.dev) return null;
  if (openBundle())
    throw new SetupError(
      "a bundle holds what distmis needs to run, not its tests: clone it on a machine with internet",
    );
  const lock = path.join(root, "python_shim", "requirements-dev.lock");
  return {
    title: "Python packages for the tests",
    stamp: path.join(venv, ".distmis-dev-stamp"),
    inputs: hashFiles([lock]),
    make: () => pipInstall(lock),
  };
}
