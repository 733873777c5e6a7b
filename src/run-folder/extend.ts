/** What may change in the experiment of a run that goes on, and what such a change means for its trials. */
import { type Difference, describeDifference, differences, type Experiment, trialConfig } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { RunState, TrialState } from "./state.ts";

/** How a run is opened that has trials already. */
export interface OpenOptions {
  /** Lets the experiment ask for more: epochs, values of its space, trials; see {@link planExtension}. */
  extend?: boolean;
  /** Trials that have failed are run again, as if they had not. */
  retryFailed?: boolean;
}

/** What an extension changes. */
export interface Extension {
  /** The fields, one line each. */
  changes: string[];
  /** Trials that had ended and are to be run further, in the order of their ids. */
  reopened: string[];
}

/** Parts of an experiment that say where and how stubbornly it runs, not what it is: they may change between two parts of a run. */
const MAY_CHANGE = /^(resources|failure)\.|^data\.stage\b|^train\.(checkpoint_epochs|previews|debug|tensorboard)$/;
/** What `--extend` may change in any way: how new trials are found, and when no more are. */
const HOW_TO_SEARCH = /^search\.(limits|sampler|sampler_options|pruner)(\.|$)/;
const SPACE = /^search\.space(\.|$)/;

/**
 * Whether a run of the experiment that `state` knows may go on as `now`, and what is to be written down for it; null if nothing is.
 *
 * An extension may raise `train.epochs`, widen axes of `search.space`, and change limits, sampler and pruner. What the trials so
 * far have in common stays: else the table would compare what can't be compared. With more epochs, trials that went through all
 * they had go on; what ended early, by early stopping or a pruner, stays as it is.
 *
 * @throws DistmisError RUN_REFUSED naming every field that may not change
 */
export function planExtension(dir: string, state: RunState, now: Experiment, options: OpenOptions): Extension | null {
  const { experiment: before } = state;
  if (before === null) return null;
  const changed = differences(before, now).filter(({ path }) => !MAY_CHANGE.test(path));
  const space = changed.some(({ path }) => SPACE.test(path));
  const problems = [
    ...changed.filter(({ path }) => !SPACE.test(path)).filter((difference) => !mayExtend(difference)),
    ...(space ? narrowed(before.search.space, now.search.space) : []),
  ].map((problem) => (typeof problem === "string" ? problem : describeDifference(problem)));
  const lines = changed.map(describeDifference);
  const anew = "start anew with --fresh or --run-dir";
  if (changed.length > 0 && options.extend !== true) {
    const way = problems.length === 0 ? "continue it with --extend, undo the change" : "undo the change";
    throw refusal(dir, `the run in this folder is of another experiment; ${way}, or ${anew}:`, lines);
  }
  if (problems.length > 0) {
    throw refusal(dir, `--extend can't change what the trials so far have in common; undo this, or ${anew}:`, problems);
  }
  const trials = [...state.trials.values()];
  const reopened = trials
    .filter((trial) => options.retryFailed === true && trial.state === "failed")
    .concat(changed.length > 0 ? trials.filter((trial) => hasMoreEpochs(trial, before, now)) : [])
    .map(({ id }) => id);
  return lines.length + reopened.length === 0 ? null : { changes: lines, reopened: reopened.toSorted(byNumber) };
}

const byNumber = (a: string, b: string): number => Number(a) - Number(b);

function refusal(dir: string, why: string, lines: readonly string[]): DistmisError {
  return new DistmisError("RUN_REFUSED", `${dir}: ${why}\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

function mayExtend({ path, before, after }: Difference): boolean {
  if (HOW_TO_SEARCH.test(path)) return true;
  return path === "train.epochs" && Number(after) > Number(before);
}

/** Whether a trial went through all epochs that it had, and now has more. */
function hasMoreEpochs(trial: TrialState, before: Experiment, now: Experiment): boolean {
  if (trial.state !== "completed") return false;
  const [had, has] = [before, now].map((experiment) => trialConfig(experiment, trial.parameters).train.epochs);
  // A task of the user's own may count otherwise: then it has no use for more of them.
  return had !== undefined && has !== undefined && has > had && trial.epochs === had && trial.epoch >= had;
}

/** What an axis of the space before has that the one of now lacks. */
function narrowed(before: Record<string, unknown>, now: Record<string, unknown>): string[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return fields.flatMap((field) => {
    const where = `search.space.${field}`;
    if (now[field] === undefined) return [`${where}: is gone, but trials have it`];
    if (before[field] === undefined) return [`${where}: is new, the trials so far do not have it`];
    return narrowedAxis(where, before[field], now[field]);
  });
}

/** Of a step: 0.1 is none in binary. */
const STEP_TOLERANCE = 1e-6;

const BOUNDS = new Set(["uniform", "log_uniform", "integer"]);

/** Lists may grow, bounds may move apart, everything else of an axis stays. */
function narrowedAxis(where: string, before: unknown, now: unknown): string[] {
  return differences(before, now, where).flatMap((difference) => {
    const kind = difference.path.slice(where.length + 1);
    const [from, to] = [difference.before, difference.after];
    const covers =
      Array.isArray(from) &&
      Array.isArray(to) &&
      (BOUNDS.has(kind) ? isWider(from, to) && keepsSteps(from, to, stepOf(now)) : isSuperset(from, to));
    return covers ? [] : [`${describeDifference(difference)}; expected what was there, and more`];
  });
}

function isWider(from: readonly unknown[], to: readonly unknown[]): boolean {
  return Number(to[0]) <= Number(from[0]) && Number(to[1]) >= Number(from[1]);
}

/** Whether the steps from the new lower bound on meet those from the old one. */
function keepsSteps(from: readonly unknown[], to: readonly unknown[], step: number): boolean {
  if (step === 0) return true;
  const steps = (Number(from[0]) - Number(to[0])) / step;
  return Math.abs(steps - Math.round(steps)) < STEP_TOLERANCE;
}

function stepOf(axis: unknown): number {
  return typeof axis === "object" && axis !== null && "step" in axis ? Number(axis.step) : 0;
}

function isSuperset(from: readonly unknown[], to: readonly unknown[]): boolean {
  return from.every((value) => to.includes(value));
}
