/**
 * Weak scaling of a training step (default 3D U-Net, batch norm, Adam; a batch of the same size and one thread for each
 * replica): ours alone, as 2 replicas and as 2 processes that train at once but each by itself, and Keras 3 under
 * tf.distribute.MultiWorkerMirroredStrategy (ring) on the same libtensorflow, alone and as 2 workers. The efficiency is the
 * time of 1 over the time of 2. All check that losses fall and that the replicas end with the same parameters.
 *   npm run bench -- dataparallel [--json] [--more]
 * `--more`: also train.sync, and 4 replicas.
 */
import os from "node:os";
import { entryCommand } from "../src/paths/index.ts";
import type { DataParallelCase } from "./dataparallel-case.ts";
import { compared, inTurn, printer, type Result, seconds } from "./frame.ts";

const ROUNDS = 2;
const gang = entryCommand(new URL("./dataparallel-gang.ts", import.meta.url));
const alone: DataParallelCase = {
  processes: 1,
  shape: [64, 64, 64],
  batch: 2,
  sync: false,
  together: true,
  threads: 1,
  warmUp: 4,
  steps: 12,
};
// The ring is what is compared, also where there are GPUs.
const environment = { CUDA_VISIBLE_DEVICES: "", TF_ENABLE_ONEDNN_OPTS: "1" };
const side = (name: "ours" | "keras", given: Partial<DataParallelCase> = {}) => ({
  command: [...gang, name, JSON.stringify({ ...alone, ...given })],
  environment,
});
const figure = (name: string, ours: number, unit: string): Result => ({
  bench: "dataparallel",
  case: name,
  ours,
  peer: null,
  ratio: null,
  unit,
});

const print = printer(
  `weak scaling, ${alone.shape[0]}^3 x 4 batch ${alone.batch} and ${alone.threads} thread a replica, median of the steps after a warm-up`,
);
const samples = await inTurn(
  {
    one: side("ours"),
    kerasOne: side("keras"),
    two: side("ours", { processes: 2 }),
    kerasTwo: side("keras", { processes: 2 }),
    apart: side("ours", { processes: 2, together: false }),
  },
  ROUNDS,
);
const one = seconds(samples.one);
const two = seconds(samples.two);
const kerasOne = seconds(samples.kerasOne);
const kerasTwo = seconds(samples.kerasTwo);
const apart = seconds(samples.apart);
const efficiency = figure("efficiency, 2 replicas", one / two, "time at 1 / time at 2");
print(efficiency);
print(compared("dataparallel", "time, 2 replicas, vs keras-multiworker", two, kerasTwo, "s"));
// No ratio: it would be one of which more is better.
print({ ...efficiency, case: "efficiency, 2 replicas, vs keras-multiworker", peer: kerasOne / kerasTwo });
print(compared("dataparallel", "time, 1 replica, vs keras", one, kerasOne, "s"));
print(figure("time, 2 processes each by itself", apart, "s"));
print(figure("time, 2 replicas over 2 processes each by itself", two / apart, "ratio"));
if (process.argv.includes("--more")) {
  const more = await inTurn(
    {
      sync: side("ours", { processes: 2, sync: true }),
      four: side("ours", { processes: 4 }),
      kerasFour: side("keras", { processes: 4 }),
    },
    ROUNDS,
  );
  print(figure("time, 2 replicas, sync", seconds(more.sync), "s"));
  const name = `time, 4 replicas on ${os.availableParallelism()} CPUs, vs keras-multiworker`;
  print(compared("dataparallel", name, seconds(more.four), seconds(more.kerasFour), "s"));
}
