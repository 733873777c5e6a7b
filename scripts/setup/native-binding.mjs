// tfjs-node-gpu's own binding and native/, compiled against the TensorFlow of the Python environment.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { openBundle } from "./bundle.mjs";
import { pythonVersions } from "./machine.mjs";
import { root, venv } from "./places.mjs";
import { answer, run, SetupError } from "./run.mjs";
import { filesBelow, readStamp, sha256 } from "./stamps.mjs";

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

const tensorflowOf = (pythonVersion) => path.join(venv, "lib", `python${pythonVersion}`, "site-packages", "tensorflow");

/** Why the binding does not load on this machine, or null if it does: another libc, processor or TensorFlow. */
function whyNotLoaded(binding) {
  const { status, signal, stderr } = spawnSync(process.execPath, ["-e", "require(process.argv[1])", binding], {
    encoding: "utf8",
    // No GPU's memory is taken for this.
    env: { ...process.env, CUDA_VISIBLE_DEVICES: "-1", TF_CPP_MIN_LOG_LEVEL: "3" },
  });
  if (status === 0) return null;
  return /^(?:\w*Error): (.*)$/m.exec(stderr)?.[1] ?? signal ?? stderr.trim().split("\n").at(-1);
}

/** Takes the bundle's binding where it loads. Returns why it does not, or null. */
function takeBundled(bundle, out) {
  bundle.verify();
  fs.mkdirSync(path.dirname(out), { recursive: true });
  // Beside its final place, as it finds TensorFlow from there.
  const tried = path.join(path.dirname(out), `.tried-${process.pid}.node`);
  try {
    fs.copyFileSync(bundle.binding, tried);
    const why = whyNotLoaded(tried);
    if (why === null) fs.renameSync(tried, out);
    return why;
  } finally {
    fs.rmSync(tried, { force: true });
  }
}

function compile(tfjs, sources, link, out) {
  const tensorflow = pythonVersions.map(tensorflowOf).find((dir) => fs.existsSync(dir));
  if (tensorflow === undefined) throw new SetupError(`${venv} has no TensorFlow: remove it and run this again`);
  const headers = createRequire(path.join(root, "package.json"))("node-api-headers").include_dir;
  const include = ["-I", path.join(tensorflow, "include"), "-I", headers];
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
    run("g++", ["-shared", "-o", made, ...objects, "-L", tensorflow, ...link]);
    fs.mkdirSync(path.dirname(out), { recursive: true });
    fs.renameSync(made, out);
  } finally {
    fs.rmSync(build, { recursive: true, force: true });
  }
}

/** Where tfjs-node-gpu lies, and where it looks for its binding. */
export function bindingFile() {
  const tfjs = path.dirname(
    createRequire(path.join(root, "package.json")).resolve("@tensorflow/tfjs-node-gpu/package.json"),
  );
  return { tfjs, out: path.join(tfjs, "lib", "napi-v8", "tfjs_binding.node") };
}

export function nativeBinding() {
  const { tfjs, out } = bindingFile();
  const sources = [
    ...filesBelow(path.join(tfjs, "binding"), [".cc", ".h"]),
    ...filesBelow(path.join(root, "native"), [".cc", ".h", ".inc"]),
  ];
  const link = [
    "-Wl,--wrap=TFE_NewContext",
    // TensorFlow's C interface is the same in its wheels for each Python, for CPUs and for CUDA, and its place is known from
    // here: so the binding also works in a bundle, in another folder and with another Python.
    ...pythonVersions.map((version) => `-Wl,-rpath,$ORIGIN/${path.relative(path.dirname(out), tensorflowOf(version))}`),
    "-l:libtensorflow_cc.so.2",
    "-l:libtensorflow_framework.so.2",
  ];
  return {
    title: "native binding",
    stamp: path.join(path.dirname(out), ".distmis-stamp"),
    inputs: sha256(
      ...sources.map((file) => fs.readFileSync(file)),
      ...flags,
      ...link,
      readStamp(path.join(venv, ".distmis-stamp")),
    ),
    make: () => {
      const bundle = openBundle();
      const why = bundle ? takeBundled(bundle, out) : "";
      if (why === null) return;
      if (why) process.stderr.write(`compiling it, as the bundle's does not load here (${why}) ... `);
      if (answer("g++", ["--version"]) === null) {
        throw new SetupError(
          why
            ? `the bundle's native binding does not load here, and g++, which would compile it, is missing: load your cluster's gcc module (11 or later) and run this again\n${why}`
            : "g++ is missing: sudo apt-get install g++",
        );
      }
      compile(tfjs, sources, link, out);
    },
  };
}
