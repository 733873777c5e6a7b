#!/usr/bin/env node
// Sets everything up: npm packages, Python environment, native binding, generated code, build. Plain JavaScript without
// dependencies, as it runs before anything is installed. Every step keeps a stamp of what it was made from and is skipped
// while that is unchanged, so a second run only reads; an installation that is up to date can be read-only.
//   node scripts/setup.mjs [--dev] [--cuda] [--only build]
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const venv = path.join(root, ".venv");
export const python = path.join(venv, "bin", "python");
// False where npm installed distmis as a dependency: then npm has brought the packages, and the tarball dist/ and the generated code.
const inCheckout = fs.existsSync(path.join(root, "package-lock.json"));

/** What the machine lacks, or a step that failed; its message is all that a person needs. */
export class SetupError extends Error {}

function sha256(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

function filesBelow(dir, extensions) {
  return fs
    .readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.some((extension) => entry.name.endsWith(extension)))
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

const hashFiles = (files) => sha256(...files.flatMap((file) => [path.relative(root, file), fs.readFileSync(file)]));
const readStamp = (stamp) => (fs.existsSync(stamp) ? fs.readFileSync(stamp, "utf8") : "");

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (!result.error && result.status === 0) return;
  const why = result.error ? `: ${result.error.message}` : "";
  const lines = `${result.stdout ?? ""}${result.stderr ?? ""}`.trimEnd().split("\n");
  const output = lines.length > 40 ? [...lines.slice(0, 15), "...", ...lines.slice(-25)].join("\n") : lines.join("\n");
  throw new SetupError(`${[command, ...args].join(" ").slice(0, 300)} failed${why}\n${output}`);
}

/** What a command prints, or null where it is missing or fails. */
function answer(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  return !result.error && result.status === 0 ? result.stdout.trim() : null;
}

function checkMachine() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20 || major > 22) {
    throw new SetupError(
      `Node ${process.versions.node} found, 20 or 22 needed: from https://nodejs.org or your cluster's modules`,
    );
  }
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new SetupError(
      `${process.platform} ${process.arch} found: distmis runs on x86-64 Linux, as TensorFlow's wheel`,
    );
  }
}

/** The Python to make the environment with: DISTMIS_BASE_PYTHON, or the first one that fits. */
function findPython() {
  let found = "";
  for (const candidate of [
    process.env.DISTMIS_BASE_PYTHON,
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
  ]) {
    if (!candidate) continue;
    const version = answer(candidate, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    if (!version) continue;
    const minor = Number(version.split(".")[1]);
    if (version.startsWith("3.") && minor >= 10 && minor <= 13) {
      if (answer(candidate, ["-c", "import venv, ensurepip"]) !== null) return candidate;
      throw new SetupError(`${candidate} has no venv: sudo apt-get install python${version}-venv`);
    }
    found = ` (found ${candidate} ${version})`;
  }
  throw new SetupError(
    `Python 3.10 to 3.13 is missing${found}: sudo apt-get install python3 python3-venv, or set DISTMIS_BASE_PYTHON`,
  );
}

/** node_api.h lies beside every official Node, and in Debian's libnode-dev. */
function nodeHeaders() {
  const prefix = path.resolve(path.dirname(process.execPath), "..");
  for (const dir of [path.join(prefix, "include", "node"), "/usr/include/node", "/usr/include/nodejs/src"]) {
    if (fs.existsSync(path.join(dir, "node_api.h"))) return dir;
  }
  throw new SetupError(
    "Node's headers (node_api.h) are missing: sudo apt-get install libnode-dev, or use a Node from https://nodejs.org",
  );
}

// ------------------------------------------------------------------------------------------------------------- steps
// Each returns what it would do: a title, its stamp file, the inputs that the stamp must equal, and how to make it.

function npmPackages() {
  if (!inCheckout) return null;
  return {
    title: "npm packages",
    stamp: path.join(root, "node_modules", ".distmis-stamp"),
    inputs: sha256(fs.readFileSync(path.join(root, "package-lock.json")), process.versions.modules),
    make: () => {
      // With the npm that started this, where another one may be first on the PATH.
      const npm = process.env.npm_execpath;
      const [command, args] = npm ? [process.execPath, [npm]] : ["npm", []];
      if (!npm && answer("npm", ["--version"]) === null)
        throw new SetupError("npm is missing: sudo apt-get install npm");
      // Not `npm ci`: it refuses a lock without an entry for every foreign platform's optional binary, which not every
      // registry mirror has. Versions and hashes are those of the lock all the same, and the lock stays as it is.
      run(command, [...args, "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
    },
  };
}

function pipInstall(lock) {
  run(python, [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--no-deps",
    "--require-hashes",
    "-r",
    lock,
  ]);
}

function pythonPackages(options) {
  // An installation keeps its flavour until it is asked for the other one.
  const kept = readStamp(path.join(venv, ".distmis-flavour"));
  const flavour = options.cuda ? "cuda" : kept || "cpu";
  const lock = path.join(root, "python_shim", `requirements-${flavour}.lock`);
  return {
    title: `Python packages (TensorFlow for ${flavour === "cuda" ? "CUDA" : "CPU"}, Ray)`,
    stamp: path.join(venv, ".distmis-stamp"),
    inputs: hashFiles([lock]),
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

function pythonTestPackages(options) {
  if (!options.dev) return null;
  const lock = path.join(root, "python_shim", "requirements-dev.lock");
  return {
    title: "Python packages for the tests",
    stamp: path.join(venv, ".distmis-dev-stamp"),
    inputs: hashFiles([lock]),
    make: () => pipInstall(lock),
  };
}

/** tfjs-node-gpu's own binding and native/, compiled against the TensorFlow of the Python environment. */
function nativeBinding() {
  const tfjs = path.dirname(
    createRequire(path.join(root, "package.json")).resolve("@tensorflow/tfjs-node-gpu/package.json"),
  );
  const sources = [
    ...filesBelow(path.join(tfjs, "binding"), [".cc", ".h"]),
    ...filesBelow(path.join(root, "native"), [".cc", ".h", ".inc"]),
  ];
  const lib = path.join(venv, "lib");
  const tensorflow = path.join(
    lib,
    fs.readdirSync(lib).find((name) => name.startsWith("python3")) ?? "",
    "site-packages",
    "tensorflow",
  );
  const flags = [
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-w",
    // As TensorFlow itself was compiled (tf.sysconfig.get_compile_flags()).
    "-DEIGEN_MAX_ALIGN_BYTES=64",
    "-DNAPI_VERSION=8",
    "-DNODE_GYP_MODULE_NAME=tfjs_binding",
    "-DBUILDING_NODE_EXTENSION",
  ];
  const out = path.join(tfjs, "lib", "napi-v8", "tfjs_binding.node");
  return {
    title: "native binding",
    stamp: path.join(path.dirname(out), ".distmis-stamp"),
    inputs: sha256(
      ...sources.map((file) => fs.readFileSync(file)),
      ...flags,
      tensorflow,
      readStamp(path.join(venv, ".distmis-stamp")),
    ),
    make: () => {
      if (answer("g++", ["--version"]) === null) throw new SetupError("g++ is missing: sudo apt-get install g++");
      const include = ["-I", path.join(tensorflow, "include"), "-I", nodeHeaders()];
      const build = fs.mkdtempSync(path.join(tfjs, ".build-"));
      try {
        const objects = sources
          .filter((file) => file.endsWith(".cc"))
          .map((source) => {
            const object = path.join(build, `${path.basename(source, ".cc")}.o`);
            // The package's module entry becomes a function that ours calls (see native/module.cc).
            const rename = source.endsWith("tfjs_binding.cc") ? ["-Dnapi_register_module_v1=tfjs_register_module"] : [];
            run("g++", [...flags, ...rename, ...include, "-c", source, "-o", object]);
            return object;
          });
        const made = path.join(build, "tfjs_binding.node");
        const link = [
          "-Wl,--wrap=TFE_NewContext",
          `-Wl,-rpath,${tensorflow}`,
          "-L",
          tensorflow,
          "-l:libtensorflow_cc.so.2",
          "-l:libtensorflow_framework.so.2",
        ];
        run("g++", ["-shared", "-o", made, ...objects, ...link]);
        fs.mkdirSync(path.dirname(out), { recursive: true });
        fs.renameSync(made, out);
      } finally {
        fs.rmSync(build, { recursive: true, force: true });
      }
    },
  };
}

/** The protocol's TypeScript and Python. */
function generatedCode() {
  if (!inCheckout) return null;
  const protoDir = path.join(root, "proto");
  const protos = filesBelow(protoDir, [".proto"]);
  const typescript = path.join(root, "src", "generated");
  const pythonOut = path.join(root, "python_shim", "distmis_shim", "generated");
  const generator = path.join(root, "node_modules", "ts-proto", "package.json");
  return {
    title: "generated code",
    stamp: path.join(typescript, ".distmis-stamp"),
    inputs: sha256(
      hashFiles([...protos, fileURLToPath(import.meta.url), generator]),
      readStamp(path.join(venv, ".distmis-stamp")),
    ),
    make: () => {
      for (const dir of [typescript, pythonOut]) {
        fs.rmSync(dir, { recursive: true, force: true });
        fs.mkdirSync(dir, { recursive: true });
      }
      const names = protos.map((file) => path.relative(protoDir, file));
      const protoc = ["-m", "grpc_tools.protoc", "-I", protoDir];
      const plugin = path.join(root, "node_modules", ".bin", "protoc-gen-ts_proto");
      const choices = [
        "esModuleInterop=true",
        "env=node",
        "oneof=unions-value",
        "outputServices=grpc-js",
        "importSuffix=.ts",
      ];
      choices.push(
        "exportCommonSymbols=false",
        "outputJsonMethods=false",
        "outputPartialMethods=false",
        "forceLong=number",
      );
      run(python, [
        ...protoc,
        `--plugin=protoc-gen-ts_proto=${plugin}`,
        `--ts_proto_out=${typescript}`,
        `--ts_proto_opt=${choices.join(",")}`,
        ...names,
      ]);
      const service = names.filter((name) => name.startsWith("distmis") && /(cluster|study)\.proto$/.test(name));
      run(python, [
        ...protoc,
        `--python_out=${pythonOut}`,
        `--pyi_out=${pythonOut}`,
        `--grpc_python_out=${pythonOut}`,
        ...service,
      ]);
    },
  };
}

function compiledSources() {
  if (!inCheckout) return null;
  const sources = filesBelow(path.join(root, "src"), [".ts"]);
  const config = [path.join(root, "tsconfig.json"), path.join(root, "tsconfig.build.json")];
  return {
    title: "build",
    stamp: path.join(root, "dist", ".distmis-stamp"),
    inputs: hashFiles([...sources, ...config]),
    make: () => {
      fs.rmSync(path.join(root, "dist"), { recursive: true, force: true });
      run(process.execPath, [path.join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"]);
    },
  };
}

// -------------------------------------------------------------------------------------------------------------- run

/** One set-up at a time; a lock whose owner is gone is taken over. Returns how to release it. */
function acquireLock() {
  const lock = path.join(root, ".setup-lock");
  const deadline = Date.now() + 20 * 60_000;
  for (;;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: "wx" });
      return () => fs.rmSync(lock, { force: true });
    } catch (error) {
      if (error.code === "EROFS" || error.code === "EACCES") {
        throw new SetupError(
          `${root} can't be written and is not up to date: ask its owner to run \`distmis setup\` there`,
        );
      }
      if (error.code !== "EEXIST") throw error;
      const owner = Number(readStamp(lock));
      if (owner && !fs.existsSync(`/proc/${owner}`)) fs.rmSync(lock, { force: true });
      else if (Date.now() > deadline)
        throw new SetupError(`another set-up (process ${owner}) has held ${lock} for 20 minutes`);
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
}

/** Brings everything up to date. `dev` adds what the tests need, `cuda` asks for TensorFlow's CUDA wheel. */
export function setup({ dev = false, cuda = false, only = "" } = {}) {
  checkMachine();
  const steps =
    only === "build"
      ? [generatedCode, compiledSources]
      : [npmPackages, pythonPackages, pythonTestPackages, nativeBinding, generatedCode, compiledSources];
  const fresh = (step) => readStamp(step.stamp) === step.inputs;
  let release;
  try {
    for (const describe of steps) {
      let step = describe({ dev, cuda });
      if (step === null || fresh(step)) continue;
      if (!release) {
        release = acquireLock();
        step = describe({ dev, cuda });
        if (fresh(step)) continue;
      }
      const start = Date.now();
      process.stderr.write(`distmis setup: ${step.title} ... `);
      fs.rmSync(step.stamp, { force: true });
      step.make();
      fs.writeFileSync(step.stamp, step.inputs);
      process.stderr.write(`${((Date.now() - start) / 1000).toFixed(0)} s\n`);
    }
  } finally {
    release?.();
  }
}

/** Runs `action`, prints a SetupError as the one message that it is, and sets the exit code. */
export function main(action) {
  try {
    action();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`\ndistmis setup: ${error.message}\n`);
    process.exit(1);
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
