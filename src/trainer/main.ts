/**
 * The trainer: the program that works on trials, one at a time, for as long as its standard input is open. Frames come
 * on standard input and go out on file descriptor 3 (proto/distmis/v1/trainer.proto); standard output and error are free
 * for logs. Started by the shim's worker actor; it ends by SIGKILL at the end of its input, also while TensorFlow computes.
 */
import fs from "node:fs";
import type { Assignment } from "../generated/distmis/v1/trainer.ts";
import { collectGarbageIfMuch } from "./collect-garbage.ts";
import { holdPort } from "./collective-port.ts";
import { startControl } from "./control.ts";
import { runTrial, trialFailed } from "./run-trial.ts";

/** How long the last words of a failing process may take. */
const LAST_WORDS_MS = 5000;

const shared = new Map<string, unknown>();
const threads = Math.max(1, Math.floor(Number(process.env.DISTMIS_CPUS)) || 1);
let current: Assignment | null = null;

function isPipe(descriptor: number): boolean {
  try {
    const stat = fs.fstatSync(descriptor);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

if (!isPipe(0) || !isPipe(3)) {
  console.error(
    "distmis trainer: expected pipes as file descriptors 0 and 3; distmis starts this program, not a person",
  );
  process.exit(2);
}

const collectivePort = Number(process.env.DISTMIS_REPLICAS ?? 1) > 1 ? await holdPort() : 0;
const control = startControl(
  collectivePort,
  (assignment, sequence) => {
    current = assignment;
    void work(assignment, sequence);
  },
  (error) => {
    console.error("distmis trainer: its control thread failed:", error);
    process.exit(1);
  },
);

async function work(assignment: Assignment, sequence: number): Promise<void> {
  const ended = await runTrial({
    assignment,
    sequence,
    control,
    shared,
    threads,
  });
  // An uncaught error has told its end already.
  if (current !== assignment) return;
  current = null;
  await control.send({ $case: "ended", value: ended });
  // After the end is told: nobody waits.
  if (current === null) collectGarbageIfMuch();
}

// Nobody knows what state such an error leaves behind: the trial is told as failed, and the process ends. Rejections
// that nobody handles arrive here too.
process.on("uncaughtException", (error) => {
  console.error("distmis trainer: uncaught", error);
  setTimeout(() => process.exit(1), LAST_WORDS_MS);
  void lastWords(error).finally(() => process.exit(1));
});

async function lastWords(error: unknown): Promise<void> {
  if (current === null) return;
  const uncleanReason = "an uncaught error ended the trainer";
  const value = { ...trialFailed(current, error), uncleanReason };
  current = null;
  await control.send({ $case: "ended", value });
  await control.flushed();
}
