/** What a run would do: its trials, and how long they may take, without a cluster and without a run folder. */
import path from "node:path";
import {
  axesOf,
  describeAxis,
  type Experiment,
  fieldValue,
  type Parameters,
  type SearchConfig,
} from "../config/index.ts";
import { hasEnded, type OpenOptions, planExtension, trialId } from "../run-folder/index.ts";
import { createProposals } from "../search/index.ts";
import { orMissing } from "./check-inputs.ts";
import { type DryTrial, type Estimate, estimate, MAX_TRIALS } from "./estimate.ts";
import { measure, type Pace } from "./pace.ts";

export interface DryRunOptions extends OpenOptions {
  /** Where the run would lie: what it holds counts. */
  runDir: string;
  /** GPUs of the cluster; without them no wall time is estimated, unless a trial needs none. */
  gpus?: number;
  /** CPUs of the cluster, which bound trials that need no GPU. */
  cpus?: number;
}

export interface DryRun {
  name: string;
  /** Absolute; not created. */
  runDir: string;
  sampler: SearchConfig["sampler"];
  /** How many trials there will be in all; null if that is open. */
  total: number | null;
  /** How many of them would be run: none of a finished run; null if that is open. */
  toRun: number | null;
  /** How many have ended before. */
  ended: number;
  /** Those that are known already, in their order; samplers that learn from results draw the others later. */
  trials: DryTrial[];
  /** What is searched. */
  space: { field: string; values: string; when: string }[];
  limits: SearchConfig["limits"];
  /** What a replica gets. */
  resources: { gpus: number; cpus: number | "auto" };
  estimate: Estimate;
}

/**
 * Looks ahead. Quick, and writes nothing.
 *
 * @throws DistmisError RUN_REFUSED as the run itself; FILE_UNUSABLE if the run folder or one of the warm start can't be read
 */
export async function dryRun(experiment: Experiment, options: DryRunOptions): Promise<DryRun> {
  const runDir = path.resolve(options.runDir);
  const { search, resources } = experiment;
  const { reading, paces } = await measure(runDir, experiment);
  const known = [...(reading?.state.trials.values() ?? [])];
  const extension =
    reading === null
      ? null
      : await orMissing(experiment, async () => planExtension(runDir, reading.state, experiment, options));
  const reopened = new Set(extension?.reopened);
  const isOver = reading?.state.finished === true && extension === null;
  const again = isOver ? [] : known.filter((trial) => !hasEnded(trial) || reopened.has(trial.id));
  const proposals = createProposals(
    experiment,
    known.map(({ parameters }) => parameters),
  );
  const bound = search.limits.trials ?? Number.POSITIVE_INFINITY;
  const more = isOver ? 0 : Math.min(proposals.remaining(), Math.max(0, bound - known.length));
  const planned = again.map(({ id, parameters, epoch }) => describe(experiment, id, parameters, epoch, paces));
  const last = known.length + Math.min(more, Number.isFinite(more) ? MAX_TRIALS : MAX_OPEN_TRIALS);
  for (let number = known.length + 1; number <= last; number++) {
    const parameters = proposals.next();
    if (parameters === null) break;
    planned.push(describe(experiment, trialId(number), parameters, 0, paces));
  }
  const total = known.length + more;
  return {
    name: experiment.name,
    runDir,
    sampler: search.sampler,
    total: Number.isFinite(total) ? total : null,
    toRun: Number.isFinite(more) ? again.length + more : null,
    ended: known.filter(hasEnded).length,
    trials: planned,
    space: axesOf(experiment).map((axis) => ({
      field: axis.path,
      values: describeAxis(axis) + (axis.kind !== "categorical" && axis.log ? ", logarithmic" : ""),
      when: axis.when.map(({ path: on, values }) => `${on} is ${values.join(" or ")}`).join(" and "),
    })),
    limits: search.limits,
    resources: { gpus: resources.gpus_per_replica, cpus: resources.cpus_per_replica },
    estimate: estimate(
      experiment,
      planned,
      again.length + more,
      describe(experiment, "", {}, 0, paces),
      paces,
      options,
    ),
  };
}

/** So much of an endless search is shown. */
const MAX_OPEN_TRIALS = 1_000;

function describe(
  experiment: Experiment,
  trial: string,
  parameters: Parameters,
  done: number,
  paces: readonly Pace[],
): DryTrial {
  const field = (name: string): number => Number(parameters[name] ?? fieldValue(experiment, name));
  const replicas = field("resources.replicas");
  const pace = paces.find((each) => each.replicas === replicas);
  // A trainer of the user's own knows its epochs alone.
  const epochs = experiment.trainer.module === undefined ? field("train.epochs") : (pace?.epochs ?? null);
  const left = epochs === null ? null : Math.max(0, epochs - done);
  const seconds = left === null || pace === undefined ? null : left * pace.secondsPerEpoch + pace.secondsBeside;
  return { trial, parameters, replicas, epochs: left, seconds };
}
