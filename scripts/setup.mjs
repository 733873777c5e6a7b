#!/usr/bin/env node
// Sets everything up: npm packages, Python environment, native binding, generated code, build. Plain JavaScript without
// dependencies, as it runs before anything is installed. Every step keeps a stamp (setup/stamps.mjs) and is skipped while
// nothing has changed, so a second run only reads; an installation that is up to date can be read-only. In an unpacked
// bundle (`npm run bundle`) nothing comes from the network.
//   node scripts/setup.mjs [--dev] [--cuda] [--only build]
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { compiledSources, generatedCode } from "./setup/build.mjs";
import { checkMachine } from "./setup/machine.mjs";
import { nativeBinding } from "./setup/native-binding.mjs";
import { npmPackages, pythonPackages, pythonTestPackages } from "./setup/packages.mjs";
import { root } from "./setup/places.mjs";
import { SetupError } from "./setup/run.mjs";
import { readStamp } from "./setup/stamps.mjs";

export { python, root, venv } from "./setup/places.mjs";

/**
 * One set-up at a time, also from several hosts on a shared file system; a lock whose owner on this host is gone is taken over.
 * `what` is to be done. Returns how to release it.
 */
function acquireLock(what) {
  const lock = path.join(root, ".setup-lock");
  const deadline = Date.now() + 20 * 60_000;
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(lock, `${process.pid} ${os.hostname()}`, { flag: "wx" });
      return () => fs.rmSync(lock, { force: true });
    } catch (error) {
      if (["EROFS", "EACCES", "EPERM"].includes(error.code)) {
        throw new SetupError(
          `${root}: ${what} not up to date, or not readable to you, and you can't write there: ask its owner to run \`bin/distmis setup\`, with a Python that others can run too, and \`chmod -R a+rX\``,
        );
      }
      if (error.code !== "EEXIST") throw error;
      const [pid, host] = readStamp(lock).split(" ");
      if (host === os.hostname() && !fs.existsSync(`/proc/${pid}`)) {
        fs.rmSync(lock, { force: true });
        continue;
      }
      const owner = `another set-up (process ${pid} on ${host})`;
      if (Date.now() > deadline)
        throw new SetupError(`${owner} has held ${lock} for 20 minutes: remove it if that process is gone`);
      if (host !== undefined && !told) {
        process.stderr.write(`distmis setup: waiting for ${owner}\n`);
        told = true;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
}

/** Brings everything up to date. `dev` adds what the tests need, `cuda` asks for TensorFlow's CUDA wheel. */
export function setup({ dev = false, cuda = false, only = "" } = {}) {
  checkMachine();
  // Each says what it would do, or null: a title, its stamp file, the inputs and, of some, what was made, both of which the
  // stamp must equal, whether what was made still works (where that can change), and how to make it.
  const steps =
    only === "build"
      ? [generatedCode, compiledSources]
      : [npmPackages, pythonPackages, pythonTestPackages, nativeBinding, generatedCode, compiledSources];
  const stampOf = ({ inputs, made }) => (made ? `${inputs}\n${made()}` : inputs);
  const fresh = (step) => {
    const stamp = readStamp(step.stamp);
    // Without reading what was made, if it is to be made again.
    return stamp.startsWith(step.inputs) && stamp === stampOf(step) && (step.works?.() ?? true);
  };
  let release;
  try {
    for (const describe of steps) {
      let step = describe({ dev, cuda });
      if (step === null || fresh(step)) continue;
      if (!release) {
        release = acquireLock(step.title);
        step = describe({ dev, cuda });
        if (fresh(step)) continue;
      }
      const start = Date.now();
      process.stderr.write(`distmis setup: ${step.title} ... `);
      fs.rmSync(step.stamp, { force: true });
      step.make();
      fs.writeFileSync(step.stamp, stampOf(step));
      process.stderr.write(`${((Date.now() - start) / 1000).toFixed(0)} s\n`);
    }
  } finally {
    release?.();
  }
}

/** Prints a SetupError as the one message that it is, and ends with exit code 1. */
export function fail(error, what) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`\ndistmis ${what}: ${error.message}\n`);
  process.exit(1);
}

/** Runs `action`, and ends as {@link fail} does if it can't. */
export function main(action) {
  try {
    action();
  } catch (error) {
    fail(error, "setup");
  }
}

/** The command line of `npm run setup` and `distmis setup`. */
export function command(args) {
  main(() => {
    const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : "";
    const unknown = args.filter((arg) => !["--dev", "--cuda", "--only", "build"].includes(arg));
    if (unknown.length > 0 || (only !== "" && only !== "build")) {
      throw new SetupError(`unknown argument ${unknown[0] ?? only}: --dev, --cuda or --only build`);
    }
    setup({ dev: args.includes("--dev"), cuda: args.includes("--cuda"), only });
  });
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  command(process.argv.slice(2));
