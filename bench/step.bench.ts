/**
 * A full training step (forward, loss, backward, AMSGrad Adam) of the default 3D U-Net: ours and Keras 3's compiled one on
 * the same libtensorflow with the same threads, and Keras without oneDNN, which is TensorFlow's default on AMD.
 *   npm run bench -- step [--json] [--quick]
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { entryCommand, pythonPath } from "../src/paths/index.ts";
import { compared, inTurn, memory, printer, seconds } from "./frame.ts";

const THREADS = 2;
const ROUNDS = 2;

const here = path.dirname(fileURLToPath(import.meta.url));
const ours = entryCommand(new URL("./step-ours.ts", import.meta.url));
const keras = [pythonPath(), path.join(here, "peers", "keras_step.py")];

const floor = entryCommand(new URL("./step-floor.ts", import.meta.url));

const quick = process.argv.includes("--quick");
const workloads = [
  { shape: [64, 64, 64], batch: 2, steps: quick ? 4 : 12 },
  ...(quick ? [] : [{ shape: [96, 96, 96], batch: 1, steps: 10 }]),
].flatMap((size) => (["batch", "group"] as const).map((norm) => ({ ...size, norm })));

const print = printer(`training step, ${THREADS} threads, median of the steps after a warm-up`);
for (const { shape, batch, norm, steps } of workloads) {
  const work = `${shape[0]}^3 x 4 batch ${batch} ${norm} norm`;
  const given = { shape, batch, norm, memory: "normal", steps, warmUp: 3, threads: THREADS };
  const args = [JSON.stringify(given)];
  const samples = await inTurn(
    {
      ours: { command: [...ours, ...args] },
      keras: { command: [...keras, ...args], environment: { TF_ENABLE_ONEDNN_OPTS: "1" } },
      floor: { command: [...floor, ...args] },
    },
    quick ? 1 : ROUNDS,
  );
  // Ten times as long a step: a few of them tell.
  const few = JSON.stringify({ ...given, steps: 2, warmUp: 1 });
  const plain = { command: [...keras, few], environment: { TF_ENABLE_ONEDNN_OPTS: "0" } };
  const slow = await inTurn({ plain }, 1);
  const [time, kerasTime] = [seconds(samples.ours), seconds(samples.keras)];
  print(compared("step", `time, ${work}, vs keras`, time, kerasTime, "s"));
  print(compared("step", `memory, ${work}, vs keras`, memory(samples.ours), memory(samples.keras), "MB"));
  print(compared("step", `time, ${work}, vs keras-default`, time, seconds(slow.plain), "s"));
  print(compared("step", `time, ${work}, vs floor`, time, seconds(samples.floor), "s"));
}
