/**
 * What a warm trainer holds more after 200 small trials of the task "train" than after the fifth: tensors, and resident
 * memory as a fraction. Four networks and optimisers take turns. There is no peer.
 *   npm run bench -- leak [--json] [--quick]
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { heldByTrainer, SETTLED } from "../test/support/leak.ts";
import { printer } from "./frame.ts";

const trials = process.argv.includes("--quick") ? 40 : 200;
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-leak-"));
try {
  const print = printer(`growth from trial ${SETTLED} to trial ${trials} of one warm trainer, 2 threads`);
  const { tensors, resident } = await heldByTrainer(dir, trials);
  const grown = (values: number[]) => (values.at(-1) ?? Number.NaN) - (values[SETTLED - 1] ?? Number.NaN);
  const alone = { bench: "leak", peer: null, ratio: null };
  print({ ...alone, case: "growth, tensors", ours: grown(tensors), unit: "tensors" });
  const fraction = grown(resident) / (resident[SETTLED - 1] ?? Number.NaN);
  print({ ...alone, case: "growth, memory", ours: fraction, unit: "fraction" });
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}
