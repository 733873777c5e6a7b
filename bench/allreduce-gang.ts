/** Runs all processes of one side of the all-reduce benchmark and prints what they measured together. Arguments: side, case. */
import path from "node:path";
import { entryCommand, pythonPath } from "../src/paths/index.ts";
import { runGang } from "../test/support/gang.ts";
import type { AllReduceCase, Measured } from "./allreduce-case.ts";
import type { Sample } from "./frame.ts";

const [side = "", text = ""] = process.argv.slice(2);
const given = JSON.parse(text) as AllReduceCase;
const ours = entryCommand(new URL("./allreduce-ours.ts", import.meta.url));
const peer = [pythonPath(), path.join(import.meta.dirname, "peers", "multiworker_allreduce.py")];

const ended = await runGang(
  given.processes,
  (rank, addresses) =>
    side === "ours"
      ? { command: [...ours, text, JSON.stringify(addresses), String(rank)] }
      : {
          command: [...peer, text],
          environment: {
            TF_CONFIG: JSON.stringify({ cluster: { worker: addresses }, task: { type: "worker", index: rank } }),
          },
        },
  180_000,
);
const all = ended.map(({ stdout, stderr, code, signal }): Measured => {
  if (code !== 0) throw new Error(`${side} ended with ${code ?? signal}\n${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
});
const error = Math.max(...all.map((measured) => measured.error));
if (!(error < 1e-5)) throw new Error(`${side} reduced wrongly: the largest difference is ${error}`);
const sample: Sample = {
  // A step has ended when it has on all of them.
  seconds: Array.from({ length: given.steps }, (_, step) =>
    Math.max(...all.map(({ seconds }) => seconds[step] ?? NaN)),
  ),
  peakMegabytes: Math.max(...all.map((measured) => measured.peakMegabytes)),
};
console.log(JSON.stringify(sample));
