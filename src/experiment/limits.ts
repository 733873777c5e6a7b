/** The limits of a search: when no more trials are made, and when those that run end. */
import type { Experiment } from "../config/index.ts";
import { bestEpoch, hasEnded, type RunState, type TrialState } from "../run-folder/index.ts";

export interface Limits {
  /** Aborts when the running trials are to end, too: by wall time, GPU hours or the target. */
  readonly signal: AbortSignal;
  /** How many more trials may be made. */
  room(): number;
  /** The limit that has ended the search or will when its trials have ended, in words; null if none, or that of trials. */
  reached(): string | null;
  /** A value of `search.metric`. */
  reported(trial: TrialState, value: number): void;
  /** An attempt has so many GPUs from now on, until the function that is returned is called. */
  started(gpus: number): () => void;
  /** A trial has ended. */
  ended(trial: TrialState): void;
  close(): void;
}

const HOUR = 3600;
/** Longer waits are divided: a timer overflows after 24 days. */
const MAX_WAIT_SECONDS = 600;

/**
 * Watches the limits of `experiment` from here on; what earlier parts of the run have used counts.
 * @param state of the run, which grows meanwhile
 * @param say tells once that a limit was reached
 */
export function createLimits(state: RunState, { search }: Experiment, say: (text: string) => void): Limits {
  const { metric, mode, limits } = search;
  const controller = new AbortController();
  let closed: string | null = null;
  const close = (text: string): void => {
    if (closed !== null) return;
    closed = text;
    say(`no more trials: ${text}`);
  };
  const end = (text: string): void => {
    if (controller.signal.aborted) return;
    closed = text;
    say(`the search ends, running trials after their step: ${text}`);
    clearTimeout(timer);
    controller.abort();
  };

  const isGoodEnough = (value: number): boolean =>
    limits.target !== undefined && (mode === "max" ? value >= limits.target : value <= limits.target);
  const checkTarget = ({ id }: TrialState, value: number): void => {
    if (isGoodEnough(value))
      end(
        `search.limits.target: trial ${id} has ${metric} ${Number(value.toPrecision(6))}, at ${mode === "max" ? "least" : "most"} ${limits.target} was asked for`,
      );
  };

  let best: { trial: string; value: number } | null = null;
  let since = 0;
  const checkPlateau = (trial: TrialState): void => {
    const value = limits.plateau === undefined ? undefined : bestEpoch(trial, mode)?.value;
    if (limits.plateau === undefined || value === undefined) return;
    const gain = best === null ? Number.POSITIVE_INFINITY : mode === "max" ? value - best.value : best.value - value;
    const better = gain > 0 && gain >= limits.plateau.min_delta;
    since = better ? 0 : since + 1;
    if (better) best = { trial: trial.id, value };
    if (best === null || since < limits.plateau.trials) return;
    close(
      `search.limits.plateau: ${since} trials have ended since trial ${best.trial} had ${metric} ${Number(best.value.toPrecision(6))}, none better by ${limits.plateau.min_delta}`,
    );
  };

  const begin = performance.now();
  const elapsed = (): number => (performance.now() - begin) / 1000;
  const wallBefore = state.wallSeconds;
  let gpuSeconds = [...state.trials.values()].reduce((sum, trial) => sum + trial.gpuSeconds, 0);
  let gpus = 0;
  let counted = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Counts the GPU time up to now and looks again when a limit may be reached. */
  const checkTime = (): void => {
    if (controller.signal.aborted) return;
    gpuSeconds += gpus * (elapsed() - counted);
    counted = elapsed();
    const wallLeft = (limits.wall_hours ?? Number.POSITIVE_INFINITY) * HOUR - wallBefore - counted;
    const gpuLeft = (limits.gpu_hours ?? Number.POSITIVE_INFINITY) * HOUR - gpuSeconds;
    if (wallLeft <= 0) end(`search.limits.wall_hours: the run has taken ${limits.wall_hours} hours`);
    else if (gpuLeft <= 0) end(`search.limits.gpu_hours: its trials have taken ${limits.gpu_hours} GPU hours`);
    else {
      const wait = Math.min(wallLeft, gpus > 0 ? gpuLeft / gpus : Number.POSITIVE_INFINITY);
      clearTimeout(timer);
      // A millisecond more: timers fire early by a fraction of one.
      if (Number.isFinite(wait)) timer = setTimeout(checkTime, Math.min(wait, MAX_WAIT_SECONDS) * 1000 + 1);
    }
  };

  const before = [...state.trials.values()];
  for (const trial of before.filter(hasEnded).toSorted((a, b) => a.endedAt - b.endedAt)) checkPlateau(trial);
  for (const trial of before) checkTarget(trial, bestEpoch(trial, mode)?.value ?? Number.NaN);
  checkTime();

  return {
    signal: controller.signal,
    room: () => (closed === null ? Math.max(0, (limits.trials ?? Number.POSITIVE_INFINITY) - state.trials.size) : 0),
    reached: () => closed,
    reported: checkTarget,
    started(more) {
      checkTime();
      gpus += more;
      checkTime();
      return () => {
        checkTime();
        gpus -= more;
      };
    },
    ended: checkPlateau,
    close: () => clearTimeout(timer),
  };
}
