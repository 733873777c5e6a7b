// The command line of `npm run bundle`.
import { parseArgs } from "node:util";
import { pythonVersions } from "../setup/machine.mjs";
import { SetupError } from "../setup/run.mjs";

export const usage = `usage: npm run bundle [-- --cuda] [--python VERSION[,VERSION...]] [--output FILE.tar]

Makes one archive with which \`npm run setup\` works on machines without internet: see docs/offline.md.

  --cuda     TensorFlow with CUDA, for machines with GPUs; it runs on CPUs as well (about 3 GB more)
  --python   the Python of those machines, one of ${pythonVersions.join(", ")}; several for several (default: this one's)
  --output   the archive (default: distmis-bundle-VERSION-FLAVOUR-PYTHON.tar in this folder)
`;

/** What is asked for; `pythons` and `output` are undefined where the default is meant. */
export function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        cuda: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
        output: { type: "string" },
        python: { type: "string" },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n${usage}`);
  }
  const pythons = values.python === undefined ? undefined : [...new Set(values.python.split(","))];
  const unknown = pythons?.find((python) => !pythonVersions.includes(python));
  if (unknown !== undefined)
    throw new SetupError(`--python ${unknown}: expected ${pythonVersions.join(", ")}, or several of them with commas`);
  return { help: values.help, flavour: values.cuda ? "cuda" : "cpu", pythons, output: values.output };
}
