/** What Optuna's programs make of a search that has run: importance of its fields, and a file for optuna-dashboard. */
import { spawn } from "node:child_process";
import { access } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { StudyRecord } from "../cluster/index.ts";
import type { Experiment } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { packageRoot, pythonPath } from "../paths/index.ts";
import { readRun } from "../run-folder/index.ts";
import { knownTrials } from "./known-trials.ts";
import type { KnownTrial } from "./searcher.ts";
import { knownEvents, openingOf } from "./study-messages.ts";

/**
 * With fewer completed trials nothing can be said of importance. From the best one of ten, PED-ANOVA gives a searched range 98 %,
 * whatever decides; from the best 8 of 16 it names the field that decides in nine of ten random searches (docs/analysis.md).
 */
export const LEAST_TRIALS_FOR_IMPORTANCE = 16;

/** How many trials count as the best ones: as python_shim/distmis_shim/importance.py has it. */
export function bestForImportance(trials: number): number {
  return Math.max(8, Math.ceil(trials / 10));
}

/**
 * How much each searched field decides on whether a trial is among the best {@link bestForImportance}, by PED-ANOVA: shares that
 * add up to 1, the largest first; none where the trials do not differ. Null with fewer than
 * {@link LEAST_TRIALS_FOR_IMPORTANCE} completed trials that have a value, or nothing searched.
 * @throws DistmisError SETUP_INCOMPLETE without the Python environment, SEARCH_FAILED with Optuna's words
 */
export async function parameterImportance(
  experiment: Experiment,
  known: readonly KnownTrial[],
): Promise<Map<string, number> | null> {
  const completed = known.filter(({ outcome }) => outcome?.state === "completed" && outcome.value !== null);
  const { events, unknown } = knownEvents(experiment, completed, false);
  const open = openingOf(experiment);
  if (completed.length - unknown.size < LEAST_TRIALS_FOR_IMPORTANCE || open.parameters.length === 0) return null;
  const answer: unknown = JSON.parse(await runProgram("importance", [], { open, events }));
  const shares = Object.entries(typeof answer === "object" && answer !== null ? answer : {});
  return new Map(shares.map(([field, share]) => [field, Number(share)]));
}

/**
 * Writes the study of the run in `runDir`, which may go on meanwhile, to `file`: Optuna's journal, or an SQLite database if the
 * name ends in .db; `optuna-dashboard FILE` shows it. How many trials it has.
 * @throws DistmisError as readRun, and FILE_UNUSABLE (also if the file exists), SETUP_INCOMPLETE, SEARCH_FAILED
 */
export async function exportStudy(runDir: string, file: string): Promise<number> {
  const times = new Map<number, number>();
  const { experiment, state } = await readRun(runDir, ({ seq, time }) => times.set(seq, Date.parse(time)));
  const { events } = knownEvents(experiment, knownTrials(state, experiment), true);
  const dated = events.map(({ event, time: seq }) => ({ event, time: times.get(seq) ?? 0 }));
  const target = path.resolve(file);
  await refuseExisting(target);
  await runProgram("study_export", [target], { open: openingOf(experiment), events: dated });
  return events.filter(({ event }) => event?.$case === "begin").length;
}

async function refuseExisting(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) throw new DistmisError("FILE_UNUSABLE", `${file} exists: delete it, or name another file`);
  await access(path.dirname(file)).catch((error: unknown) => {
    throw new DistmisError("FILE_UNUSABLE", `${file}: can't be written: ${messageOf(error)}`, { cause: error });
  });
}

/** What the program prints. */
async function runProgram(name: string, args: readonly string[], record: StudyRecord): Promise<string> {
  const python = pythonPath();
  const child = spawn(python, ["-m", `distmis_shim.${name}`, ...args], {
    env: { ...process.env, PYTHONPATH: path.join(packageRoot(), "python_shim") },
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once("close", resolve).once("error", reject));
  // It may end before it has read everything; its exit code tells.
  child.stdin.on("error", () => {});
  child.stdin.end(StudyRecord.encode(record).finish());
  try {
    const [printed, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    if (code === 0) return printed;
    throw new DistmisError("SEARCH_FAILED", `Optuna (${name}): ${complaint.trim() || `ended with exit code ${code}`}`);
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("SETUP_INCOMPLETE", `${python} can't be run: ${messageOf(error)}: run \`distmis setup\``);
  }
}
