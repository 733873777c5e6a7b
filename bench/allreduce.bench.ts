/**
 * The sum of float32 numbers over processes with one thread each, within a traced function: ours and that of
 * tf.distribute.MultiWorkerMirroredStrategy (ring) on the same libtensorflow. Both check the result.
 *   npm run bench -- allreduce [--json] [--processes 2]
 */
import { entryCommand } from "../src/paths/index.ts";
import type { AllReduceCase } from "./allreduce-case.ts";
import { compared, inTurn, printer, seconds } from "./frame.ts";

const THREADS = 1;
const GANGS = [
  { processes: 2, rounds: 3 },
  { processes: 4, rounds: 2 },
];
const SIZES = [
  { megabytes: 1.6, steps: 100 },
  { megabytes: 16, steps: 30 },
  { megabytes: 64, steps: 15 },
];

const gang = entryCommand(new URL("./allreduce-gang.ts", import.meta.url));
const asked = process.argv.indexOf("--processes");
const only = asked < 0 ? undefined : Number(process.argv[asked + 1]);
// The ring is what is compared, also where there are GPUs.
const environment = { CUDA_VISIBLE_DEVICES: "", TF_ENABLE_ONEDNN_OPTS: "1" };

const print = printer(`all-reduce, ${THREADS} thread a process, median of the steps after a warm-up`);
for (const { processes, rounds } of GANGS) {
  if (only !== undefined && only !== processes) continue;
  for (const { megabytes, steps } of SIZES) {
    const given: AllReduceCase = {
      processes,
      elements: Math.round((megabytes * 1e6) / 4),
      threads: THREADS,
      warmUp: 5,
      steps,
    };
    const side = (name: string) => ({ command: [...gang, name, JSON.stringify(given)], environment });
    const samples = await inTurn({ ours: side("ours"), multiworker: side("multiworker") }, rounds);
    const [ours, peer] = [seconds(samples.ours) * 1000, seconds(samples.multiworker) * 1000];
    print(compared("allreduce", `time, ${megabytes} MB ${processes} processes, vs multiworker`, ours, peer, "ms"));
  }
}
