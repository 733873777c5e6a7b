/** What a run and its trials look like from afar. */
import { axesOf, type Experiment, gridSize, isAdaptive } from "../config/index.ts";
import type { RunView, TrialView } from "../page-data/index.ts";
import { bestEpoch, type RunFollower, type RunState, type TrialState } from "../run-folder/index.ts";
import { finite } from "./curves.ts";
import type { Pace } from "./pace.ts";

/** @param working whether somebody works on the run: else no trial is running, whatever the journal says */
export function trialView(trial: TrialState, mode: "max" | "min", working: boolean): TrialView {
  const { id, parameters, epoch, epochs, seconds, nodes, gpus, attempts, error } = trial;
  const best = bestEpoch(trial, mode);
  return {
    id,
    state: stateOf(trial, working),
    parameters,
    epoch,
    epochs,
    best: best && { value: best.value, epoch: best.epoch },
    metrics: Object.fromEntries(
      Object.entries({ ...trial.lastMetrics, ...trial.finalMetrics }).map(([name, value]) => [name, finite(value)]),
    ),
    seconds,
    nodes,
    gpus,
    attempts,
    error,
  };
}

function stateOf({ state }: TrialState, working: boolean): TrialState["state"] {
  return state === "running" && !working ? "waiting" : state;
}

/** What a {@link RunView} has beside what the state says. */
export interface Beside {
  id: string;
  lastAt: number;
  metrics: string[];
  pace: Pace;
}

export function runView(follower: RunFollower, experiment: Experiment, beside: Beside): RunView {
  const { state, owner, dir, trouble } = follower;
  const { metric, mode, space } = experiment.search;
  const counts: RunView["counts"] = { completed: 0, running: 0, waiting: 0, pruned: 0, failed: 0 };
  let best: RunView["best"] = null;
  for (const trial of state.trials.values()) {
    counts[stateOf(trial, owner !== null)]++;
    const own = bestEpoch(trial, mode);
    if (own !== null && (best === null || (mode === "max" ? own.value > best.value : own.value < best.value)))
      best = { trial: trial.id, value: own.value, epoch: own.epoch };
  }
  const expected = expectedTrials(experiment, state);
  return {
    id: beside.id,
    name: experiment.name,
    dir,
    state: state.finished ? "finished" : owner === null ? "interrupted" : "running",
    trouble,
    limit: state.limit,
    owner: owner && { host: owner.host, pid: owner.pid },
    metric,
    mode,
    startedAt: Date.parse(state.startedAt),
    lastAt: beside.lastAt,
    wallSeconds: state.wallSeconds,
    gpuSeconds: [...state.trials.values()].reduce((sum, trial) => sum + trial.gpuSeconds, 0),
    counts,
    parts: beside.pace.parts,
    expected,
    secondsLeft: state.finished ? 0 : owner === null ? null : beside.pace.secondsLeft(state, expected, Date.now()),
    room: beside.pace.room,
    changes: beside.pace.changes,
    best,
    parameters: Object.keys(space),
    metrics: beside.metrics,
  };
}

/** Null where neither the space nor a limit bounds them. */
function expectedTrials(experiment: Experiment, state: RunState): number | null {
  const { sampler, limits, warm_start } = experiment.search;
  if (state.finished) return state.trials.size;
  const size = isAdaptive(sampler) ? Number.POSITIVE_INFINITY : gridSize(axesOf(experiment));
  const most = Math.min(size + warm_start.configurations.length, limits.trials ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(most) ? Math.max(most, state.trials.size) : null;
}
