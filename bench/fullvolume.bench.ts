/**
 * One training step on a whole volume of BraTS, 240 x 240 x 152 x 4, batch 1, batch norm: time and above all peak memory,
 * ours against Keras 3 on the same libtensorflow with the same threads. About 10 GB of memory.
 *   npm run bench -- fullvolume [--json]
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { entryCommand, pythonPath } from "../src/paths/index.ts";
import { compared, inTurn, memory, printer, seconds } from "./frame.ts";

const THREADS = 2;

const here = path.dirname(fileURLToPath(import.meta.url));
const ours = entryCommand(new URL("./step-ours.ts", import.meta.url));
const keras = [pythonPath(), path.join(here, "peers", "keras_step.py")];

const print = printer(`a step on 240 x 240 x 152 x 4, batch 1, ${THREADS} threads`);
const args = (kind: "normal" | "low") =>
  JSON.stringify({
    shape: [240, 240, 152],
    batch: 1,
    norm: "batch",
    memory: kind,
    steps: 2,
    warmUp: 1,
    threads: THREADS,
  });
const samples = await inTurn(
  {
    normal: { command: [...ours, args("normal")] },
    low: { command: [...ours, args("low")] },
    keras: { command: [...keras, args("normal")], environment: { TF_ENABLE_ONEDNN_OPTS: "1" } },
  },
  1,
);
const peer = memory(samples.keras);
print(compared("fullvolume", "memory, default, vs keras", memory(samples.normal), peer, "MB"));
print(compared("fullvolume", "memory, low, vs keras", memory(samples.low), peer, "MB"));
print(compared("fullvolume", "time, default, vs keras", seconds(samples.normal), seconds(samples.keras), "s"));
print(compared("fullvolume", "time, low, vs keras", seconds(samples.low), seconds(samples.keras), "s"));
