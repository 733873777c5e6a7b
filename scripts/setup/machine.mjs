// What the machine itself must have.
import { openBundle } from "./bundle.mjs";
import { answer, SetupError } from "./run.mjs";

/** The versions of Python for which the locks hold. */
export const pythonVersions = ["3.10", "3.11", "3.12", "3.13"];

export function checkMachine() {
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
export function findPython() {
  const bundle = openBundle();
  const wanted = bundle?.pythons ?? pythonVersions;
  const found = [];
  const newestFirst = [...pythonVersions].reverse().map((version) => `python${version}`);
  for (const candidate of [process.env.DISTMIS_BASE_PYTHON, "python3", ...newestFirst]) {
    if (!candidate) continue;
    const version = answer(candidate, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    if (!version) continue;
    if (wanted.includes(version)) {
      if (answer(candidate, ["-c", "import venv, ensurepip"]) !== null) return candidate;
      throw new SetupError(`${candidate} has no venv: sudo apt-get install python${version}-venv`);
    }
    found.push(`${candidate} is ${version}`);
  }
  const seen = found.length > 0 ? ` (${found.join(", ")})` : "";
  if (bundle) {
    throw new SetupError(
      `Python ${wanted.join(" or ")} is missing${seen}, for which this bundle was made: load a module that has it, name it in DISTMIS_BASE_PYTHON, or make a bundle for yours: \`npm run bundle -- --python VERSION\``,
    );
  }
  throw new SetupError(
    `Python 3.10 to 3.13 is missing${seen}: sudo apt-get install python3 python3-venv, or set DISTMIS_BASE_PYTHON`,
  );
}
