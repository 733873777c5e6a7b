/** The search space: which fields may be searched, their axes, and the configuration of one trial. */
import { type Axis, allows, axisValues, isActive, type Parameters } from "./axis.ts";
import { leafPaths, nearestPath, nodeAt, type SchemaNode, schemaNode } from "./describe.ts";
import { isPlainObject, splitPath } from "./problems.ts";
import {
  type Experiment,
  experimentSchema,
  type ParameterValue,
  type TrialConfig,
  trialConfigSchema,
} from "./schema.ts";

const experimentNode = schemaNode(experimentSchema);
/** The JSON schema of a trial's configuration. */
export const trialNode: SchemaNode = schemaNode(trialConfigSchema);
/** All trials of a search share code and what a replica has: only what a trial itself reads may be searched, and its size. */
const SEARCHABLE = leafPaths(trialNode).filter((path) =>
  /^data\.(?!stage\b)|^(model|train)\.|^resources\.replicas$/.test(path),
);
const FREE_PREFIX = "trainer.parameters.";

/** Configuration of the trial that has these parameters; fields that they lack are the experiment's. */
export function trialConfig(experiment: Experiment, parameters: Parameters): TrialConfig {
  return trialConfigSchema.parse(applied(experiment, parameters));
}

/**
 * The same as JSON, for a trainer, which validates it: the search space was checked, and a second validation of each trial is the
 * most that its start costs here.
 */
export function trialConfigJson(experiment: Experiment, parameters: Parameters): string {
  return JSON.stringify(applied(experiment, parameters));
}

/** The same before it is validated. */
export function applied(experiment: Experiment, parameters: Parameters): Record<string, unknown> {
  const { search: _search, failure: _failure, ...rest } = experiment;
  let config: Record<string, unknown> = rest;
  for (const [path, value] of Object.entries(parameters)) config = withValue(config, fieldKeys(path), value);
  return config;
}

/** A copy as far as it differs. */
function withValue(
  section: Record<string, unknown>,
  [key, ...below]: readonly string[],
  value: unknown,
): Record<string, unknown> {
  if (key === undefined) return section;
  const next = Object.hasOwn(section, key) ? section[key] : undefined;
  return { ...section, [key]: below.length === 0 ? value : withValue(isPlainObject(next) ? next : {}, below, value) };
}

/** The keys that the path of a searched field means. */
export function fieldKeys(path: string): string[] {
  return splitPath(experimentNode, path) ?? path.split(".");
}

/** The value of a field that may be searched; undefined if it has none. */
export function fieldValue(config: Experiment | TrialConfig, path: string): ParameterValue | undefined {
  let value: unknown = config;
  for (const key of fieldKeys(path)) value = isPlainObject(value) ? value[key] : undefined;
  return typeof value === "number" || typeof value === "string" || typeof value === "boolean" ? value : undefined;
}

/**
 * The axes of a space that {@link checkSpace} found legal, in the order of the file, but each behind those that its `when`
 * names. Conditions on fields that are not searched are decided here: an axis that never applies is left out.
 */
export function axesOf(experiment: Experiment): Axis[] {
  const { space } = experiment.search;
  const axes = new Map<string, Axis | null>();
  const visit = (path: string): Axis | null => {
    const known = axes.get(path);
    if (known !== undefined) return known;
    const config = space[path];
    const values = config && axisValues(config);
    if (config === undefined || values === undefined) return null;
    const conditions = Object.entries(config.when ?? {}).map(([on, allowed]) => ({ path: on, values: allowed }));
    const searched = conditions.filter((condition) => Object.hasOwn(space, condition.path));
    const applies =
      searched.every((condition) => visit(condition.path) !== null) &&
      conditions.every((condition) => {
        const fixed = fieldValue(experiment, condition.path);
        return searched.includes(condition) || (fixed !== undefined && condition.values.includes(fixed));
      });
    const axis = applies ? { path, ...values, when: searched } : null;
    axes.set(path, axis);
    return axis;
  };
  for (const path of Object.keys(space)) visit(path);
  return [...axes.values()].filter((axis) => axis !== null);
}

/**
 * The point of the space that a trial with these parameters is, of this experiment before its space was changed, or of another
 * one: fields that they lack are the experiment's, those that do not apply are left out. Null if the space does not hold it.
 */
export function pointIn(
  experiment: Experiment | TrialConfig,
  axes: readonly Axis[],
  parameters: Parameters,
): Parameters | null {
  const point: Parameters = {};
  for (const axis of axes) {
    if (!isActive(axis, point)) continue;
    const value = parameters[axis.path] ?? fieldValue(experiment, axis.path);
    if (value === undefined || !allows(axis, value)) return null;
    point[axis.path] = value;
  }
  return point;
}

/** Why no field of this path can be searched, or undefined if it can. */
export function unknownField(path: string): string | undefined {
  if (path.startsWith(FREE_PREFIX) && splitPath(experimentNode, path) !== undefined) return undefined;
  if (SEARCHABLE.includes(path)) return undefined;
  const keys = splitPath(experimentNode, path);
  if (keys !== undefined && nodeAt(trialNode, keys)?.properties !== undefined) {
    const inside = SEARCHABLE.filter((known) => known.startsWith(`${path}.`));
    if (inside.length > 0) return `is a section; expected a field in it, one of ${inside.join(", ")}`;
  }
  if (keys !== undefined) {
    return "can't be searched: all trials of a search share it; expected a field of data, model, train or trainer.parameters, or resources.replicas";
  }
  const guess = nearestPath(path, SEARCHABLE);
  return `unknown field; ${guess === undefined ? `expected one of ${SEARCHABLE.join(", ")} or ${FREE_PREFIX}*` : `did you mean ${guess}?`}`;
}
