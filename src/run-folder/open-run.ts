/** Opening a run folder: lock, journal, and whether it belongs to this experiment. */
import { access, readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { stringify } from "yaml";
import type { Experiment } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf, unwritable } from "../errors/index.ts";
import { removeTemporary, replaceFile } from "../files/index.ts";
import { type LockPatience, takeLock } from "../lock/index.ts";
import { makeFolder } from "../paths/index.ts";
import { type Extension, type OpenOptions, planExtension } from "./extend.ts";
import { type Journal, openJournal } from "./journal.ts";
import { isForeign, runFiles } from "./layout.ts";
import { readState } from "./read-run.ts";
import { JOURNAL_VERSION, type JournalRecord, type RecordBody } from "./record.ts";
import type { RunState } from "./state.ts";

export interface RunFolder {
  readonly dir: string;
  readonly state: RunState;
  /** Whether there was something in it. */
  readonly continued: boolean;
  /** What opening it has changed; null if nothing. */
  readonly extension: Extension | null;
  /** What was found behind the last whole record of the journal and dropped; null if nothing. */
  readonly torn: string | null;
  /** Aborts if another process took the lock. */
  readonly lockLost: AbortSignal;
  /** Adds to the journal and to the state. */
  record(body: RecordBody): JournalRecord;
  /** Resolves when all that was recorded is on the disk. */
  commit(): Promise<void>;
  /** Resolves when the disk has kept up with what was recorded; what comes in any number waits for it. */
  room(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens `dir` for `experiment`, creating it if need be. A finished run that is not extended is opened without a change to the folder.
 *
 * @throws DistmisError RUN_REFUSED if another process works there, if the folder holds another experiment (all
 * differences are named) or something else, if there is nothing to extend; FILE_UNUSABLE if it can't be written.
 */
export async function openRun(
  dir: string,
  experiment: Experiment,
  options: OpenOptions & { patience?: LockPatience } = {},
): Promise<RunFolder> {
  await prepareFolder(dir);
  const lock = await usable(dir, () =>
    takeLock(runFiles.lock(dir), { what: "this run", instead: "use another run folder" }, options.patience),
  );
  let journal: Journal | null = null;
  try {
    const { state, reduce, ...contents } = await readState(dir);
    if (state.experiment === null) refuseNothing(dir, options);
    await removeTemporary(dir);
    const extension = planExtension(dir, state, experiment, options);
    const folder: RunFolder = {
      dir,
      state,
      continued: state.experiment !== null,
      extension,
      torn: contents.torn,
      lockLost: lock.lost,
      record(body) {
        if (journal === null) throw new Error("a finished run takes no records");
        const record = journal.append(body);
        reduce(record);
        return record;
      },
      commit: async () => journal?.commit(),
      room: async () => journal?.room(),
      async close() {
        await journal?.close();
        await lock.release();
      },
    };
    if (!state.finished || extension !== null) {
      journal = await usable(dir, () => openJournal(runFiles.journal(dir), contents, lock.confirm));
      for (const { id, state: how } of state.trials.values())
        if (how === "running") await removeTemporary(runFiles.trial(dir, id));
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
  if (folder.extension !== null) folder.record({ type: "run_extended", ...by, ...folder.extension });
  else folder.record({ type: folder.continued ? "run_continued" : "run_started", ...by });
  await folder.commit();
  await makeFolder(runFiles.trials(folder.dir));
  const header = "# The experiment of this run as it was resolved: every default filled in, every path absolute.\n";
  await replaceFile(runFiles.experiment(folder.dir), header + stringify(experiment));
}

async function prepareFolder(dir: string): Promise<void> {
  await makeFolder(dir);
  const entries = await usable(dir, () => readdir(dir));
  const foreign = entries.filter(isForeign);
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
    const failed = unwritable(dir, error);
    if (failed.code === "DISK_FULL") throw failed;
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${dir}: can't be used as a run folder: ${messageOf(error)}; name another with --run-dir`,
      {
        cause: error,
      },
    );
  }
}

function refuseNothing(dir: string, { extend = false, retryFailed = false }: OpenOptions): void {
  if (!extend && !retryFailed) return;
  const option = extend ? "--extend" : "--retry-failed";
  throw new DistmisError("RUN_REFUSED", `${dir}: holds no run that ${option} could continue; start it without`);
}
