/**
 * A full training step (forward, loss, backward, AMSGrad Adam) of the default 3D U-Net: ours and Keras 3's compiled one on
 * the same libtensorflow with the same threads, and Keras without oneDNN, which is TensorFlow's default on AMD.
 *   npm run bench -- step [--json] [--quick]
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { entryCommand, pythonPath } from "../src/paths/index.ts";
import { compared, inTurn, median, printer, type Sample } from "./frame.ts";

const THREADS = 2;
const ROUNDS = 2;

const here = path.dirname(fileURLToPath(import.meta.url));
const ours = entryCommand(new URL("./step-ours.ts", import.meta.url));
const keras = [pythonPath(), path.join(here, "peers", "keras_step.py")];

const quick = process.argv.includes("--quick");
const workloads = [
  { side: 64, batch: 2, steps: quick ? 4 : 12 },
  ...(quick ? [] : [{ side: 96, batch: 1, steps: 8 }]),
].flatMap((size) => (["batch", "group"] as const).map((norm) => ({ ...size, norm })));

const print = printer(`training step, ${THREADS} threads, median of the steps after a warm-up`);
for (const { side, batch, norm, steps } of workloads) {
  const work = `${side}^3 x 4 batch ${batch} ${norm} norm`;
  const args = [JSON.stringify({ side, batch, norm, steps, threads: THREADS })];
  const samples = await inTurn(
    {
      ours: { command: [...ours, ...args] },
      keras: { command: [...keras, ...args], environment: { TF_ENABLE_ONEDNN_OPTS: "1" } },
      plain: { command: [...keras, ...args], environment: { TF_ENABLE_ONEDNN_OPTS: "0" } },
    },
    quick ? 1 : ROUNDS,
  );
  const seconds = (side: Sample[]) => median(side.flatMap((sample) => sample.seconds));
  const memory = (side: Sample[]) => Math.max(...side.map((sample) => sample.peakMegabytes));
  print(compared("step", `time, ${work}, vs keras`, seconds(samples.ours), seconds(samples.keras), "s"));
  print(compared("step", `memory, ${work}, vs keras`, memory(samples.ours), memory(samples.keras), "MB"));
  print(compared("step", `time, ${work}, vs keras-default`, seconds(samples.ours), seconds(samples.plain), "s"));
}
