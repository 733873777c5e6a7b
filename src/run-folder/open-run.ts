/** Opening a run folder: lock, journal, and whether it belongs to this experiment. */
import { access, readdir } from "node:fs/promises";
import { hostname } from "node:os";
import writeFileAtomic from "write-file-atomic";
import { stringify } from "yaml";
import { describeDifference, differences, type Experiment } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { takeLock } from "../lock/index.ts";
import { makeFolder } from "../paths/index.ts";
import { type Journal, openJournal } from "./journal.ts";
import { runFiles } from "./layout.ts";
import { readState } from "./read-run.ts";
import { JOURNAL_VERSION, type JournalRecord, type RecordBody } from "./record.ts";
import type { RunState } from "./state.ts";

export interface RunFolder {
  readonly dir: string;
  readonly state: RunState;
  /** Whether there was something in it. */
  readonly continued: boolean;
  /** What was found behind the last whole record of the journal and dropped; null if nothing. */
  readonly torn: string | null;
  /** Aborts if another process took the lock. */
  readonly lockLost: AbortSignal;
  /** Adds to the journal and to the state. */
  record(body: RecordBody): JournalRecord;
  /** Resolves when all that was recorded is on the disk. */
  commit(): Promise<void>;
  close(): Promise<void>;
}

/** Parts of an experiment that say where, how stubbornly and how loudly it runs, not what it is: they may change between two parts of a run. */
const MAY_CHANGE = /^((resources|failure)\.|train\.(debug|tensorboard)$)/;

/**
 * Opens `dir` for `experiment`, creating it if need be. A finished run is opened without a change to the folder.
 *
 * @throws DistmisError RUN_REFUSED if another process works there, if the folder holds another experiment (all
 * differences are named) or something else; FILE_UNUSABLE if it can't be written.
 */
export async function openRun(dir: string, experiment: Experiment): Promise<RunFolder> {
  await prepareFolder(dir);
  const lock = await usable(dir, () =>
    takeLock(runFiles.lock(dir), { what: "this run", instead: "use another run folder" }),
  );
  let journal: Journal | null = null;
  try {
    const { state, reduce, ...contents } = await readState(dir);
    if (state.experiment !== null) refuseChange(dir, state.experiment, experiment);
    const folder: RunFolder = {
      dir,
      state,
      continued: state.experiment !== null,
      torn: contents.torn,
      lockLost: lock.lost,
      record(body) {
        if (journal === null) throw new Error("a finished run takes no records");
        const record = journal.append(body);
        reduce(record);
        return record;
      },
      commit: async () => journal?.commit(),
      async close() {
        await journal?.close();
        await lock.release();
      },
    };
    if (!state.finished) {
      journal = await usable(dir, () => openJournal(runFiles.journal(dir), contents));
      await begin(folder, experiment);
    }
    return folder;
  } catch (error) {
    await journal?.close();
    await lock.release();
    throw error;
  }
}

async function begin(folder: RunFolder, experiment: Experiment): Promise<void> {
  const by = { version: JOURNAL_VERSION, experiment, host: hostname(), pid: process.pid };
  folder.record({ type: folder.continued ? "run_continued" : "run_started", ...by });
  await folder.commit();
  const header = "# The experiment of this run as it was resolved: every default filled in, every path absolute.\n";
  await usable(folder.dir, () => writeFileAtomic(runFiles.experiment(folder.dir), header + stringify(experiment)));
}

async function prepareFolder(dir: string): Promise<void> {
  await makeFolder(dir);
  const entries = await usable(dir, () => readdir(dir));
  const foreign = entries.filter((entry) => !entry.startsWith("run.lock"));
  if (foreign.length > 0 && !(await exists(runFiles.journal(dir)))) {
    throw new DistmisError(
      "RUN_REFUSED",
      `${dir}: expected a run folder or an empty one, found ${foreign.slice(0, 3).join(", ")} and no journal.jsonl; name another with --run-dir`,
    );
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw new DistmisError("FILE_UNUSABLE", `${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function usable<T>(dir: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be used as a run folder: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function refuseChange(dir: string, before: Experiment, now: Experiment): void {
  const changed = differences(before, now).filter(({ path }) => !MAY_CHANGE.test(path));
  if (changed.length === 0) return;
  const lines = changed.map((difference) => `  ${describeDifference(difference)}`);
  throw new DistmisError(
    "RUN_REFUSED",
    `${dir}: the run in this folder is of another experiment; undo the change, or start anew with --fresh or --run-dir:\n${lines.join("\n")}`,
  );
}
