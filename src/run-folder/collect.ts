/** Frees the space of what a run no longer needs: checkpoints of trials that have ended, files that a crash left half written. */
import { readdir, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import type { Experiment } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf, unwritable } from "../errors/index.ts";
import { type FileLock, lockOwner, takeLock } from "../lock/index.ts";
import { openJournal } from "./journal.ts";
import { checkpointFiles, previewFiles, runFiles } from "./layout.ts";
import { readRun, readState } from "./read-run.ts";
import { createResultsWriter, rankedSummaries } from "./results.ts";
import { hasEnded, type RunState, type TrialState } from "./state.ts";

export interface CollectOptions {
  /** Completed trials whose best checkpoints stay, the best trials first; default: all of them. The best trial's always stay. */
  keepBest?: number;
  /** Only says what would be removed; needs neither the lock nor the right to write. */
  dryRun?: boolean;
}

/** What was removed, or would be. */
export interface Collected {
  /** Absolute. */
  runDir: string;
  dryRun: boolean;
  /** Relative to the run folder; `bytes` is 0 where the same file stays under another name. */
  files: { file: string; bytes: number }[];
  freedBytes: number;
  /** Of the checkpoints that stay. */
  keptBytes: number;
  /** Trials that have lost checkpoints. */
  trials: string[];
}

interface Found {
  /** Relative to the run folder. */
  file: string;
  trial: string | null;
  /** Tells one file from another, whatever it is called. */
  inode: string;
  links: number;
  bytes: number;
}

interface Plan {
  remove: Found[];
  keep: Found[];
}

/**
 * Removes from the run in `dir`: of completed trials the checkpoints that only a trial that goes on needs (`last`, `previous`), of all
 * other trials that have ended, all of them and the segmentations that were kept; and what a crash left of a file that was being written. The checkpoints of trials that
 * have not ended stay, and so do the best trial's best one and the model folder. Of a trainer module of the user's own, nothing is
 * known, and no checkpoint is touched.
 *
 * The journal knows of it before a file goes, so that no results name a checkpoint that is not there.
 *
 * @throws DistmisError RUN_REFUSED while an orchestrator works there; those of readRun
 */
export async function collectRun(dir: string, { keepBest, dryRun = false }: CollectOptions = {}): Promise<Collected> {
  const reading = await readRun(dir);
  const runDir = reading.dir;
  const keep = keepBest ?? Number.POSITIVE_INFINITY;
  if (dryRun) return described(runDir, true, await planOf(runDir, reading.state, reading.experiment, keep));
  const { lock, madeRoom } = await lockRun(runDir);
  try {
    // What was read before the lock may be old.
    const { state, reduce, ...contents } = await readState(runDir);
    const experiment = state.experiment ?? reading.experiment;
    const plan = await planOf(runDir, state, experiment, keep);
    const removed = byTrial(plan.remove);
    // What no record names: on a full disk, the room for the record of the others.
    const isUnnamed = ({ file }: Found): boolean => isLeftOver(path.basename(file));
    await removeAll(runDir, plan.remove.filter(isUnnamed));
    if (removed.length > 0) {
      const journal = await openJournal(runFiles.journal(runDir), contents, lock.confirm);
      try {
        reduce(journal.append({ type: "checkpoints_removed", trials: removed }));
        await journal.commit();
      } finally {
        await journal.close();
      }
    }
    const named = plan.remove.filter((one) => !isUnnamed(one));
    await removeAll(runDir, named);
    if (removed.length > 0 || madeRoom) await rewriteResults(runDir, state, experiment);
    return described(runDir, false, plan);
  } finally {
    await lock.release();
  }
}

/** The lock of a run, also on a full disk: the results, which are made again from the journal, make room for it. */
async function lockRun(runDir: string): Promise<{ lock: FileLock; madeRoom: boolean }> {
  const file = runFiles.lock(runDir);
  const take = (): Promise<FileLock> =>
    takeLock(file, { what: "this run", instead: "look with --dry-run only" }).catch((error: unknown) => {
      throw unwritable(file, error);
    });
  try {
    return { lock: await take(), madeRoom: false };
  } catch (error) {
    const full = error instanceof DistmisError && error.code === "DISK_FULL";
    if (!full || (await lockOwner(file)) !== null) throw error;
    for (const each of [runFiles.resultsCsv(runDir), runFiles.resultsJsonl(runDir)]) await rm(each, { force: true });
    return { lock: await take(), madeRoom: true };
  }
}

async function planOf(runDir: string, state: RunState, experiment: Experiment, keepBest: number): Promise<Plan> {
  const plan: Plan = { remove: [], keep: [] };
  for (const name of await readNames(runDir)) {
    if (isLeftOver(name)) plan.remove.push(...(await found(runDir, name, null)));
  }
  const staying = stayingCheckpoints(runDir, state, experiment, keepBest);
  for (const trial of state.trials.values()) {
    const folder = path.join("trials", trial.id);
    for (const below of ["", checkpointFiles.dir, previewFiles.dir]) {
      for (const name of await readNames(path.join(runDir, folder, below))) {
        const own = below === "" ? name : `${below}/${name}`;
        const known =
          (below === checkpointFiles.dir && isOurs(name)) || (below === previewFiles.dir && isPreview(name));
        if (!known && !isLeftOver(name)) continue;
        const stays = known && staying(trial, own);
        (stays ? plan.keep : plan.remove).push(...(await found(runDir, path.join(folder, own), trial.id)));
      }
    }
  }
  return plan;
}

/** What only a trial that goes on needs. */
const TO_GO_ON: readonly string[] = [checkpointFiles.last, checkpointFiles.previous];

/** Whether a checkpoint, by its name in the trial's folder, stays. */
function stayingCheckpoints(
  runDir: string,
  state: RunState,
  experiment: Experiment,
  keepBest: number,
): (trial: TrialState, file: string) => boolean {
  if (experiment.trainer.module !== undefined) return () => true;
  const ranked = rankedSummaries(state, experiment, runDir);
  const best = ranked.slice(0, 1).filter((trial) => trial.best !== null);
  const completed = ranked.filter((trial) => trial.state === "completed").slice(0, keepBest);
  const kept = new Map([...best, ...completed].map((summary) => [summary.trial, summary.best?.checkpoint]));
  return (trial, file) => {
    if (!hasEnded(trial)) return true;
    return kept.has(trial.id) && (file === kept.get(trial.id) || !TO_GO_ON.includes(file));
  };
}

const isPreview = (name: string): boolean => /^epoch-\d+(-case-\d+\.nii\.gz|\.json|\.png)$/.test(name);

const isOurs = (name: string): boolean => /^(last|previous|best|epoch-\d+)\.safetensors$/.test(name);

/** What a crash leaves of a file that was being replaced: today's names, those of versions before, and of a model folder. */
const isLeftOver = (name: string): boolean =>
  /\.(yaml|csv|jsonl|json|safetensors|nii\.gz|png)(\.[0-9a-f]+)?\.tmp$|\.(yaml|csv|jsonl|json|safetensors)\.\d+$|^\.model\.\d+\.tmp(\.old)?$/.test(
    name,
  );

async function readNames(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).toSorted();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be read: ${messageOf(error)}`, { cause: error });
  }
}

async function found(runDir: string, file: string, trial: string | null): Promise<Found[]> {
  const info = await stat(path.join(runDir, file)).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return null;
    throw error;
  });
  if (info === null) return [];
  return [{ file, trial, inode: `${info.dev}:${info.ino}`, links: info.nlink, bytes: info.isFile() ? info.size : 0 }];
}

function byTrial(files: readonly Found[]): { trial: string; files: string[] }[] {
  const trials = new Map<string, string[]>();
  for (const { file, trial } of files) {
    if (trial === null || !isOurs(path.basename(file))) continue;
    const own = path.posix.join(checkpointFiles.dir, path.basename(file));
    trials.set(trial, [...(trials.get(trial) ?? []), own]);
  }
  return [...trials].map(([trial, own]) => ({ trial, files: own }));
}

async function removeAll(runDir: string, files: readonly Found[]): Promise<void> {
  for (const { file, trial } of files) {
    const absolute = path.join(runDir, file);
    try {
      await rm(absolute, { recursive: true, force: true });
    } catch (error) {
      throw new DistmisError("FILE_UNUSABLE", `${absolute}: can't be removed: ${messageOf(error)}`, { cause: error });
    }
    // The folder goes with its last file.
    if (trial !== null && path.basename(path.dirname(file)) !== trial)
      await rmdir(path.dirname(absolute)).catch(() => {});
  }
}

async function rewriteResults(runDir: string, state: RunState, experiment: Experiment): Promise<void> {
  const writer = createResultsWriter(runDir, experiment.search.metric, () =>
    rankedSummaries(state, experiment, runDir),
  );
  writer.changed();
  await writer.close();
}

function described(runDir: string, dryRun: boolean, { remove, keep }: Plan): Collected {
  const left = new Map<string, number>();
  for (const { inode, links } of remove) left.set(inode, (left.get(inode) ?? links) - 1);
  const counted = new Set<string>();
  const once = ({ inode, bytes }: Found, free: boolean): number => {
    if (!free || counted.has(inode)) return 0;
    counted.add(inode);
    return bytes;
  };
  const files = remove.map((one) => ({ file: one.file, bytes: once(one, (left.get(one.inode) ?? 0) <= 0) }));
  return {
    runDir,
    dryRun,
    files,
    freedBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    keptBytes: keep.reduce((sum, one) => sum + once(one, true), 0),
    trials: byTrial(remove).map(({ trial }) => trial),
  };
}
