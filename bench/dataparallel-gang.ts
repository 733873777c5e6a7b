/**
 * Runs all processes of one side of the data-parallel benchmark, checks what they trained and prints what they measured
 * together. Arguments: side, case.
 */
import path from "node:path";
import { entryCommand, pythonPath } from "../src/paths/index.ts";
import { runGang } from "../test/support/gang.ts";
import type { DataParallelCase, Trained } from "./dataparallel-case.ts";
import type { Sample } from "./frame.ts";

const [side = "", text = ""] = process.argv.slice(2);
const given = JSON.parse(text) as DataParallelCase;
const ours = entryCommand(new URL("./dataparallel-ours.ts", import.meta.url));
const keras = [pythonPath(), path.join(import.meta.dirname, "peers", "keras_multiworker.py")];

const ended = await runGang(
  given.processes,
  (rank, addresses) =>
    side === "ours"
      ? { command: [...ours, text, JSON.stringify(addresses), String(rank)] }
      : {
          command: [...keras, text],
          environment: {
            TF_CONFIG: JSON.stringify({ cluster: { worker: addresses }, task: { type: "worker", index: rank } }),
          },
        },
  170_000,
);
const all = ended.map(({ stdout, stderr, code, signal }): Trained => {
  if (code !== 0) throw new Error(`${side} ended with ${code ?? signal}\n${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
});
for (const [rank, { losses }] of all.entries()) {
  const [first, last] = [losses[0] ?? Number.NaN, losses.at(-1) ?? Number.NaN];
  if (!losses.every(Number.isFinite) || !(last < first)) {
    throw new Error(`${side}: expected finite losses that fall, replica ${rank} found ${losses.join(" ")}`);
  }
}
if (given.together && new Set(all.map(({ digest }) => digest)).size > 1) {
  throw new Error(`${side}: the replicas' parameters differ after the last step`);
}
const sample: Sample = {
  // A step has ended when it has on all of them.
  seconds: Array.from({ length: given.steps }, (_, step) =>
    Math.max(...all.map(({ seconds }) => seconds[step] ?? Number.NaN)),
  ),
  peakMegabytes: Math.max(...all.map(({ peakMegabytes }) => peakMegabytes)),
};
console.log(JSON.stringify(sample));
