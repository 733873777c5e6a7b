/** Whether one entry of `search.space` is legal: one kind, and only values that its field takes. */
import { AXIS_KINDS, axisSize, axisValues, kindsOf, valueAtIndex } from "./axis.ts";
import { nodeAt, shown } from "./describe.ts";
import { type Problem, problemsOf } from "./problems.ts";
import { type Experiment, type ParameterValue, trialConfigSchema } from "./schema.ts";
import type { AxisConfig, SearchConfig } from "./search-schema.ts";
import { applied, fieldKeys, fieldValue, trialNode } from "./space.ts";

/** An axis with more values is looked at by its bounds. */
const MOST_VALUES = 1_000;

/** What the field makes of a value (`bn` -> `batch`), or why it refuses it. */
export function fieldTakes(
  experiment: Experiment,
  path: string,
  value: ParameterValue,
): { value: ParameterValue } | { refusals: string[] } {
  const raw = applied(experiment, { [path]: value });
  const parsed = trialConfigSchema.safeParse(raw);
  if (parsed.success) return { value: fieldValue(parsed.data, path) ?? value };
  const own = problemsOf(parsed.error, raw, trialNode).filter((problem) => problem.path.join(".") === path);
  return own.length === 0 ? { value } : { refusals: own.map(({ message }) => message) };
}

/** What is wrong with an axis. Values are replaced by what the schema makes of them. */
export function checkAxis(experiment: Experiment, path: string, axis: AxisConfig): Problem[] {
  const where = ["search", "space", path];
  const kinds = kindsOf(axis);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    const found = kinds.length === 0 ? "none" : kinds.join(" and ");
    return [{ path: where, message: `expected one of ${AXIS_KINDS.join(", ")}, found ${found}` }];
  }
  if (kind === "grid" || kind === "choice")
    return [...extras(where, axis, kind), ...checkValues(experiment, path, axis, kind)];
  const problems = [...extras(where, axis, kind), ...checkRange(where, axis, kind)];
  return problems.length > 0 ? problems : checkNumbers(experiment, path, axis, kind, experiment.search);
}

/** Keys that mean nothing with this kind. */
function extras(where: string[], { step, log }: AxisConfig, kind: string): Problem[] {
  const problems: Problem[] = [];
  if (step !== undefined && kind !== "uniform" && kind !== "integer") {
    problems.push({ path: [...where, "step"], message: `expected it with uniform or integer, found it with ${kind}` });
  }
  if (log !== undefined && kind !== "integer") {
    const hint = kind === "uniform" ? "; write log_uniform" : "";
    problems.push({ path: [...where, "log"], message: `expected it with integer, found it with ${kind}${hint}` });
  }
  return problems;
}

function checkValues(experiment: Experiment, path: string, axis: AxisConfig, kind: "grid" | "choice"): Problem[] {
  const problems: Problem[] = [];
  const values = axis[kind] ?? [];
  const seen = new Map<ParameterValue, number>();
  for (const [index, value] of values.entries()) {
    const where = ["search", "space", path, kind, index];
    const taken = fieldTakes(experiment, path, value);
    if ("refusals" in taken) {
      problems.push(...taken.refusals.map((message) => ({ path: where, message })));
      continue;
    }
    values[index] = taken.value;
    const first = seen.get(taken.value);
    if (first !== undefined) {
      problems.push({ path: where, message: `the same value as ${kind}[${first}]; expected each value once` });
    }
    seen.set(taken.value, index);
  }
  return problems;
}

type NumberKind = "uniform" | "log_uniform" | "integer";

/** The bounds and the step as numbers, whatever the field. */
function checkRange(where: string[], axis: AxisConfig, kind: NumberKind): Problem[] {
  const [low, high] = axis[kind] ?? [0, 0];
  const problem = (keys: (string | number)[], message: string): Problem[] => [{ path: [...where, ...keys], message }];
  if (kind === "integer") {
    const index = [low, high].findIndex((bound) => !Number.isSafeInteger(bound));
    if (index >= 0) return problem([kind, index], `expected a whole number, found ${[low, high][index]}`);
    if (axis.step !== undefined && !Number.isSafeInteger(axis.step)) {
      return problem(["step"], `expected a whole number with integer, found ${axis.step}`);
    }
    if (axis.log === true && (axis.step ?? 1) !== 1) {
      return problem(["step"], "expected none with log: true; write choice for single values");
    }
  }
  if (low >= high) {
    const hint = low === high ? "; write one value in the field itself" : "";
    return problem([kind], `expected [low, high], the smaller one first, found ${shown([low, high])}${hint}`);
  }
  if ((kind === "log_uniform" || axis.log === true) && low <= 0) {
    return problem([kind, 0], `expected a number greater than 0, as a logarithm has one, found ${low}`);
  }
  return [];
}

/** The numbers of a range against the field, which takes them all or is to be written otherwise. */
function checkNumbers(
  experiment: Experiment,
  path: string,
  config: AxisConfig,
  kind: NumberKind,
  { sampler }: SearchConfig,
): Problem[] {
  const where = ["search", "space", path, kind];
  const axis = axisValues(config);
  if (axis === undefined || axis.kind === "categorical") return [];
  const { low, high } = axis;
  const problems: Problem[] = [];
  for (const [index, bound] of [low, high].entries()) {
    const taken = fieldTakes(experiment, path, bound);
    if ("refusals" in taken) problems.push(...taken.refusals.map((message) => ({ path: [...where, index], message })));
  }
  if (problems.length > 0) return problems;
  if (kind !== "integer" && nodeAt(trialNode, fieldKeys(path))?.type === "integer") {
    const log = kind === "log_uniform" ? ", log: true" : "";
    return [{ path: where, message: `${path} takes whole numbers; write integer: [${low}, ${high}]${log}` }];
  }
  const size = axisSize(axis);
  if (sampler === "grid" && size === Number.POSITIVE_INFINITY) {
    const step = kind === "uniform" ? "give it a step, " : "";
    const message = `has no end of values, and sampler grid takes all of them; ${step}list them as grid: [...], or set search.sampler to random`;
    return [{ path: where, message }];
  }
  // Between two legal bounds a field may still take only some numbers (model.kernel: 1, 3 or 5).
  const inside =
    size <= MOST_VALUES
      ? Array.from({ length: size }, (_, index) => valueAtIndex(axis, index))
      : [axis.kind === "integer" ? low + 1 : low + (high - low) * 0.382];
  for (const value of inside) {
    const taken = fieldTakes(experiment, path, value);
    if ("refusals" in taken) {
      return [{ path: where, message: `${taken.refusals.join("; ")}, which lies in it; write choice: [...]` }];
    }
  }
  return [];
}
