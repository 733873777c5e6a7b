/**
 * What is wrong with a search: fields that do not exist, values that their field refuses, conditions that can't hold,
 * combinations that contradict each other. All of it is found when the experiment is loaded: whatever a sampler draws from a
 * space that was accepted is a legal trial.
 */
import { type Axis, allows, axisValues, describeAxis, isActive, type Parameters } from "./axis.ts";
import { checkAxis, fieldTakes } from "./check-axis.ts";
import { contradictions } from "./contradictions.ts";
import { shown } from "./describe.ts";
import { gridSize } from "./grid-points.ts";
import type { Problem } from "./problems.ts";
import type { Experiment } from "./schema.ts";
import { axesOf, fieldValue, unknownField } from "./space.ts";
import { checkStudyOptions, isAdaptive } from "./study-options.ts";

/** More trials than this is a slip (a grid multiplies), not a search. */
export const MAX_GRID_TRIALS = 100_000;

/** Every problem. Values are replaced by what the schema makes of them (`bn` -> `batch`). */
export function checkSpace(experiment: Experiment): Problem[] {
  const { space } = experiment.search;
  for (const check of [
    () =>
      Object.entries(space).flatMap(([path, axis]) => {
        const message = unknownField(path);
        return message === undefined
          ? checkAxis(experiment, path, axis)
          : [{ path: ["search", "space", path], message }];
      }),
    () => Object.keys(space).flatMap((path) => checkConditions(experiment, path)),
    () => checkCycles(experiment),
    () => checkSize(experiment),
    () => contradictions(experiment),
    () => checkConfigurations(experiment),
    () => checkStudyOptions(experiment),
  ]) {
    // Each needs what the one before it has found to be in order.
    const problems = check();
    if (problems.length > 0) return problems;
  }
  return [];
}

/** The fields and values of a `when`. */
function checkConditions(experiment: Experiment, path: string): Problem[] {
  const { space } = experiment.search;
  return Object.entries(space[path]?.when ?? {}).flatMap(([on, values]) => {
    const where = ["search", "space", path, "when", on];
    const unknown = unknownField(on);
    if (unknown !== undefined) return [{ path: where, message: unknown }];
    const axis = space[on] && axisValues(space[on]);
    if (axis?.kind === "float" && axis.step === null) {
      return [{ path: where, message: `expected a field with values to name, found ${describeAxis(axis)}` }];
    }
    return values.flatMap((value, index): Problem[] => {
      const taken = fieldTakes(experiment, on, value);
      if ("refusals" in taken) return taken.refusals.map((message) => ({ path: [...where, index], message }));
      values[index] = taken.value;
      if (axis === undefined || allows(axis, taken.value)) return [];
      const message = `expected a value that search.space.${on} can take, ${describeAxis(axis)}, found ${shown(value)}`;
      return [{ path: [...where, index], message }];
    });
  });
}

function checkCycles(experiment: Experiment): Problem[] {
  const { space } = experiment.search;
  const cycleFrom = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    for (const on of Object.keys(space[path]?.when ?? {})) {
      const cycle = cycleFrom(on, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    return undefined;
  };
  for (const path of Object.keys(space)) {
    const cycle = cycleFrom(path, []);
    if (cycle === undefined) continue;
    const message = `expected conditions that end, found ${cycle.join(" when ")}`;
    return [{ path: ["search", "space", cycle[0] ?? path, "when"], message }];
  }
  return [];
}

/** Whether the search ends, and is no slip. */
function checkSize(experiment: Experiment): Problem[] {
  const { sampler, limits } = experiment.search;
  if (limits.gpu_hours !== undefined && experiment.resources.gpus_per_replica === 0) {
    const message = "counts GPUs, and resources.gpus_per_replica is 0; expected wall_hours or trials in its place";
    return [{ path: ["search", "limits", "gpu_hours"], message }];
  }
  const size = gridSize(axesOf(experiment));
  const trials = Math.min(size, limits.trials ?? Number.POSITIVE_INFINITY);
  if (sampler === "grid" && trials > MAX_GRID_TRIALS) {
    const message = `expected at most ${MAX_GRID_TRIALS} trials, found a grid of ${trials}`;
    return [{ path: ["search", "space"], message }];
  }
  if (
    sampler !== "grid" &&
    (size === Number.POSITIVE_INFINITY || isAdaptive(sampler)) &&
    Object.values(limits).every((limit) => limit === undefined)
  ) {
    const message = `expected an end for sampler ${sampler}, one of trials, wall_hours, gpu_hours, target, plateau, found none`;
    return [{ path: ["search", "limits"], message }];
  }
  return [];
}

/** The configurations of a warm start: points of the space, completed by the experiment's own values. */
function checkConfigurations(experiment: Experiment): Problem[] {
  const { configurations } = experiment.search.warm_start;
  const axes = axesOf(experiment);
  const seen = new Map<string, number>();
  return configurations.flatMap((given, index) => {
    const where = ["search", "warm_start", "configurations", index];
    const problems: Problem[] = Object.keys(given)
      .filter((path) => !Object.hasOwn(experiment.search.space, path))
      .map((path) => ({
        path: [...where, path],
        message: unknownField(path) ?? "is not searched; expected a field of search.space",
      }));
    const point: Parameters = {};
    for (const axis of axes) problems.push(...complete(experiment, axis, given, point, where));
    if (problems.length > 0) return problems;
    configurations[index] = point;
    const first = seen.get(JSON.stringify(point));
    if (first !== undefined) return [{ path: where, message: `the same as configurations[${first}]` }];
    seen.set(JSON.stringify(point), index);
    return [];
  });
}

/** Adds the value of one axis to `point`. */
function complete(
  experiment: Experiment,
  axis: Axis,
  given: Parameters,
  point: Parameters,
  configuration: readonly (string | number)[],
): Problem[] {
  const { path } = axis;
  const where = [...configuration, path];
  if (!isActive(axis, point)) {
    if (given[path] === undefined) return [];
    const conditions = axis.when.map(({ path: on, values }) => `${on} ${values.map(shown).join(" or ")}`);
    return [{ path: where, message: `has no effect here: it is searched with ${conditions.join(" and ")}` }];
  }
  const value = given[path] ?? fieldValue(experiment, path);
  const taken = value === undefined ? undefined : fieldTakes(experiment, path, value);
  if (taken !== undefined && "value" in taken && allows(axis, taken.value)) {
    point[path] = taken.value;
    return [];
  }
  const own = given[path] === undefined ? ", the experiment's own value" : "";
  return [
    { path: where, message: `expected ${describeAxis(axis)}, found ${shown(value)}${value === undefined ? "" : own}` },
  ];
}
