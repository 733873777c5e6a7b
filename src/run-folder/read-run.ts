/** Reading a run folder without its lock: of a run that has ended, stands still, or goes on meanwhile. Nothing is written. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { type Experiment, nearest } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type LockOwner, lockOwner } from "../lock/index.ts";
import { readJournal } from "./journal.ts";
import { runFiles } from "./layout.ts";
import type { JournalRecord } from "./record.ts";
import { createReducer, emptyState, type RunState } from "./state.ts";

/** What a run folder tells. */
export interface RunReading {
  /** Absolute. */
  dir: string;
  /** As it was resolved: every default filled in, every path absolute. */
  experiment: Experiment;
  /** A trial is `running` only while there is an `owner`. */
  state: RunState;
  /** What was found behind the journal's last whole record; while a run goes on, most likely one that is being written. */
  torn: string | null;
  /** The orchestrator that works on it; null if none does. */
  owner: LockOwner | null;
}

/**
 * Reads the run in `dir`.
 * @param onRecord gets each record of the journal as well, in their order
 * @throws DistmisError FILE_UNUSABLE if there is none, naming one that may be meant; RUN_REFUSED if its journal is damaged or of a
 * newer version.
 */
export async function readRun(dir: string, onRecord: (record: JournalRecord) => void = () => {}): Promise<RunReading> {
  const absolute = path.resolve(dir);
  if (!(await hasJournal(absolute))) throw await noRun(absolute);
  // Before the journal: an orchestrator that ends in between has written its last word.
  const owner = await lockOwner(runFiles.lock(absolute));
  const { state, torn } = await readState(absolute, onRecord);
  const { experiment } = state;
  if (experiment === null) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${absolute}: the run in this folder ended before it began, its journal has no record; start it again by its own command`,
    );
  }
  if (owner === null) for (const trial of state.trials.values()) if (trial.state === "running") trial.state = "waiting";
  return { dir: absolute, experiment, state, torn, owner };
}

/** Folds the journal of `dir`; a missing one is an empty state. */
export async function readState(dir: string, onRecord: (record: JournalRecord) => void = () => {}) {
  const state = emptyState();
  const reduce = createReducer(state);
  const contents = await readJournal(runFiles.journal(dir), (record) => {
    if (record.seq === 1 && record.type !== "run_started") {
      throw new DistmisError(
        "RUN_REFUSED",
        `${runFiles.journal(dir)}: expected a run's start first, found ${record.type}`,
      );
    }
    reduce(record);
    onRecord(record);
  });
  return { state, reduce, ...contents };
}

async function hasJournal(dir: string): Promise<boolean> {
  return (await stat(runFiles.journal(dir)).catch(() => null))?.isFile() ?? false;
}

/** The runs that lie directly below `dir`, by their names. */
async function runsIn(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((): string[] => []);
  const found = await Promise.all(names.map((name) => hasJournal(path.join(dir, name))));
  return names.filter((_, index) => found[index]).toSorted();
}

const MOST_NAMED = 5;

/** The error for a folder without a journal. */
export async function noRun(dir: string): Promise<DistmisError> {
  if ((await stat(dir).catch(() => null)) !== null) {
    const below = (await runsIn(dir)).map((name) => path.join(dir, name));
    const named = below.slice(0, MOST_NAMED).join(", ");
    const hint = below.length === 0 ? "name the folder of a run" : `name one of the runs in it: ${named}`;
    return new DistmisError("FILE_UNUSABLE", `${dir}: no run folder, it has no journal.jsonl; ${hint}`);
  }
  const parent = path.dirname(dir);
  const near = nearest(path.basename(dir), await runsIn(parent));
  const hint = near === undefined ? "" : `; did you mean ${path.join(parent, near)}?`;
  return new DistmisError("FILE_UNUSABLE", `${dir}: there is no such run folder${hint}`);
}
