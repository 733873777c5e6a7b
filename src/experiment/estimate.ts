/** How long trials may take on a cluster that is not asked. */
import type { Experiment, Parameters } from "../config/index.ts";
import type { Pace } from "./pace.ts";

/** A trial that would be run. */
export interface DryTrial {
  trial: string;
  parameters: Parameters;
  replicas: number;
  /** Epochs that are left; null if its own trainer alone knows. */
  epochs: number | null;
  /** Null if no trial like it has been measured. */
  seconds: number | null;
}

export interface Estimate {
  paces: Pace[];
  /** Of the trials that are left. An upper bound where trials end early. */
  gpuHours: number | null;
  wallHours: number | null;
  /** Trials at once that it is reckoned with, of the smallest size; null if that is not known. */
  concurrency: number | null;
  /** What is missing or left out, and how to get it, for a person. */
  remarks: string[];
}

const HOUR = 3600;

/** More trials are reckoned by their share. */
export const MAX_TRIALS = 100_000;

/**
 * @param known trials
 * @param left how many there are to run, known or not; Infinity if that is open
 * @param typical what the others are taken to be
 * @param cluster what it has, as far as that is known
 */
export function estimate(
  experiment: Experiment,
  known: readonly DryTrial[],
  left: number,
  typical: DryTrial,
  paces: Pace[],
  cluster: { gpus?: number; cpus?: number },
): Estimate {
  const { resources, search, train } = experiment;
  const room = replicasAtOnce(experiment, cluster);
  const bound = resources.max_concurrent_trials ?? Number.POSITIVE_INFINITY;
  const drawnLater = Math.max(0, Math.min(left, MAX_TRIALS) - known.length);
  const trials = [...known, ...Array.from({ length: Number.isFinite(left) ? drawnLater : 1 }, () => typical)];
  const smallest = trials.reduce((least, { replicas }) => Math.min(least, replicas), Number.POSITIVE_INFINITY);
  const concurrency = room === null || left === 0 ? null : Math.min(Math.floor(room / smallest), bound, left);
  const found: Estimate = { paces, gpuHours: null, wallHours: null, concurrency, remarks: [] };
  if (left === 0) return { ...found, gpuHours: 0, wallHours: 0 };
  const unmeasured = new Set(trials.filter(({ seconds }) => seconds === null).map(({ replicas }) => replicas));
  if (unmeasured.size > 0) {
    found.remarks.push(howToMeasure([...unmeasured]));
    return found;
  }
  if (!Number.isFinite(left)) {
    found.remarks.push("the number of trials is open; search.limits.trials bounds it");
    return found;
  }
  if (left > known.length) {
    const rest = left - known.length;
    found.remarks.push(
      `${rest === 1 ? "1 trial is" : `${rest} trials are`} taken to have the experiment's own epochs and replicas`,
    );
  }
  const share = left / trials.length / HOUR;
  const replicaSeconds = trials.reduce((sum, { replicas, seconds }) => sum + replicas * (seconds ?? 0), 0);
  found.gpuHours = replicaSeconds * resources.gpus_per_replica * share;
  if (room === null) {
    const needs = resources.gpus_per_replica === 0 ? "--cpus N reckons with N CPUs" : "--gpus N reckons with N GPUs";
    found.remarks.push(`the wall time depends on the cluster; ${needs}`);
  } else if (trials.some(({ replicas }) => replicas > room)) {
    found.remarks.push("the largest trials do not fit such a cluster");
  } else found.wallHours = makespan(trials, room, bound) * share;
  const { limits } = search;
  const endings = [train.early_stopping, search.pruner, limits.plateau, limits.target];
  if (endings.some((ending) => ending !== undefined)) {
    found.remarks.push("at most: trials or the search may end early");
  }
  const over = (limit: number | undefined, hours: number | null) => limit !== undefined && (hours ?? 0) > limit;
  if (over(limits.gpu_hours, found.gpuHours)) found.remarks.push(`it ends after ${limits.gpu_hours} GPU hours`);
  if (over(limits.wall_hours, found.wallHours)) found.remarks.push(`it ends after ${limits.wall_hours} hours`);
  return found;
}

function howToMeasure(sizes: readonly number[]): string {
  const many = sizes.length === 1 && sizes[0] === 1 ? "replica" : "replicas";
  return (
    `the time is not known: no trial with ${sizes.join(" or ")} ${many} on this data has reported an epoch, neither in the run folder nor in a run of ` +
    "search.warm_start.runs; to measure it, run one trial for two epochs with --set search.limits.trials=1 --set train.epochs=2 " +
    "--run-dir DIR, then look again with --set search.warm_start.runs=[DIR]"
  );
}

/** Replicas that fit the cluster at once; null if that is not known. */
function replicasAtOnce({ resources }: Experiment, { gpus, cpus }: { gpus?: number; cpus?: number }): number | null {
  const { gpus_per_replica: share, cpus_per_replica } = resources;
  if (share === 0) {
    // As `auto` does without GPUs.
    const each = cpus_per_replica === "auto" ? 1 : cpus_per_replica;
    return cpus === undefined ? null : Math.floor(cpus / each);
  }
  if (gpus === undefined) return null;
  // A fraction shares one GPU, not two.
  return share < 1 ? Math.floor(gpus) * Math.floor(1 / share) : Math.floor(gpus / share);
}

/** Seconds until all trials have ended that start in their order, each as soon as there is room for its replicas. */
function makespan(trials: readonly DryTrial[], room: number, bound: number): number {
  /** Sorted by their ends. */
  const running: { end: number; replicas: number }[] = [];
  let now = 0;
  let used = 0;
  let last = 0;
  for (const { replicas, seconds } of trials) {
    while (running.length > 0 && (used + replicas > room || running.length >= bound)) {
      const next = running.shift();
      now = next?.end ?? now;
      used -= next?.replicas ?? 0;
    }
    const end = now + (seconds ?? 0);
    const at = running.findLastIndex((each) => each.end <= end) + 1;
    running.splice(at, 0, { end, replicas });
    used += replicas;
    last = Math.max(last, end);
  }
  return last;
}
