/** The search space: which fields may be searched, whether their values are legal, and the configuration of one trial. */
import { leafPaths, nearestPath, nodeAt, schemaNode } from "./describe.ts";
import { isPlainObject, type Problem, problemsOf, setValue, splitPath } from "./problems.ts";
import {
  type Experiment,
  experimentSchema,
  type ParameterValue,
  type TrialConfig,
  trialConfigSchema,
} from "./schema.ts";

/** The values that a trial takes for the searched fields, by path. */
export type Parameters = Record<string, ParameterValue>;

/** More trials than this is a slip (a grid multiplies), not a search. */
export const MAX_GRID_TRIALS = 100_000;

const experimentNode = schemaNode(experimentSchema);
const trialNode = schemaNode(trialConfigSchema);
/** All trials of a search share code and what a replica has: only what a trial itself reads may be searched, and its size. */
const SEARCHABLE = leafPaths(trialNode).filter((path) => /^(data|model|train)\.|^resources\.replicas$/.test(path));
const FREE_PREFIX = "trainer.parameters.";

/** Configuration of the trial that has these parameters. The parameters are legal, see {@link checkSpace}. */
export function trialConfig(experiment: Experiment, parameters: Parameters): TrialConfig {
  return trialConfigSchema.parse(applied(experiment, parameters));
}

function applied(experiment: Experiment, parameters: Parameters): Record<string, unknown> {
  const { search: _search, failure: _failure, ...rest } = experiment;
  const config: Record<string, unknown> = structuredClone(rest);
  for (const [path, value] of Object.entries(parameters)) {
    setValue(config, splitPath(experimentNode, path) ?? path.split("."), value);
  }
  return config;
}

/** The combinations of a grid, the last field varying fastest; one empty combination for an empty space. */
export function* gridPoints(space: Experiment["search"]["space"]): Generator<Parameters> {
  const axes = Object.entries(space).map(([path, { grid }]) => ({ path, grid }));
  const size = gridSize(space);
  for (let index = 0; index < size; index++) {
    const point: Parameters = {};
    let rest = index;
    for (const { path, grid } of axes.toReversed()) {
      const value = grid[rest % grid.length];
      if (value !== undefined) point[path] = value;
      rest = Math.floor(rest / grid.length);
    }
    yield Object.fromEntries(axes.map(({ path }) => [path, point[path] ?? 0]));
  }
}

/** How many combinations a grid has. */
export function gridSize(space: Experiment["search"]["space"]): number {
  return Object.values(space).reduce((product, { grid }) => product * grid.length, 1);
}

/**
 * What is wrong with the search space: fields that do not exist, values that their field refuses, values given twice,
 * combinations that contradict each other. Values are replaced by what the schema makes of them (`bn` -> `batch`).
 */
export function checkSpace(experiment: Experiment): Problem[] {
  const problems: Problem[] = [];
  const { space } = experiment.search;
  for (const [path, axis] of Object.entries(space)) {
    const problem = unknownField(path);
    if (problem === undefined) problems.push(...checkAxis(experiment, path, axis));
    else problems.push({ path: ["search", "space", path], message: problem });
  }
  if (problems.length > 0) return problems;
  const size = gridSize(space);
  if (size > MAX_GRID_TRIALS) {
    return [
      { path: ["search", "space"], message: `expected at most ${MAX_GRID_TRIALS} trials, found a grid of ${size}` },
    ];
  }
  return checkCombinations(experiment);
}

function unknownField(path: string): string | undefined {
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

function checkAxis(experiment: Experiment, path: string, axis: { grid: ParameterValue[] }): Problem[] {
  const problems: Problem[] = [];
  const where = ["search", "space", path, "grid"];
  const keys = splitPath(experimentNode, path) ?? [];
  const seen = new Map<ParameterValue, number>();
  for (const [index, value] of axis.grid.entries()) {
    const raw = applied(experiment, { [path]: value });
    const parsed = trialConfigSchema.safeParse(raw);
    if (!parsed.success) {
      const own = problemsOf(parsed.error, raw, trialNode).filter((problem) => problem.path.join(".") === path);
      problems.push(...own.map(({ message }) => ({ path: [...where, index], message })));
      continue;
    }
    const normal = leaf(parsed.data, keys);
    if (normal !== undefined) axis.grid[index] = normal;
    const first = seen.get(normal ?? value);
    if (first !== undefined) {
      problems.push({ path: [...where, index], message: `the same value as grid[${first}]; expected each value once` });
    }
    seen.set(normal ?? value, index);
  }
  return problems;
}

function leaf(config: TrialConfig, keys: readonly string[]): ParameterValue | undefined {
  let value: unknown = config;
  for (const key of keys) value = isPlainObject(value) ? value[key] : undefined;
  return typeof value === "number" || typeof value === "string" || typeof value === "boolean" ? value : undefined;
}

/** The fields that {@link contradictions} looks at; only their combinations need a look. */
const ENTANGLED = [
  "model.norm",
  "model.filters",
  "model.groups",
  "train.epochs",
  "train.warmup_epochs",
  "resources.replicas",
];

function checkCombinations(experiment: Experiment): Problem[] {
  const space = Object.fromEntries(
    Object.entries(experiment.search.space).filter(([path]) => ENTANGLED.includes(path)),
  );
  for (const parameters of gridPoints(space)) {
    const [problem] = contradictions(trialConfig(experiment, parameters));
    if (problem === undefined) continue;
    const trial = Object.entries(parameters).map(([path, value]) => `${path}=${value}`);
    const example = trial.length === 0 ? "" : ` (in trials with ${trial.join(", ")})`;
    return [{ ...problem, message: problem.message + example }];
  }
  return [];
}

/** Fields that are legal each by itself but not together. */
function contradictions({ model, train, resources }: TrialConfig): Problem[] {
  const problems: Problem[] = [];
  if (model.norm === "group" && model.filters % model.groups !== 0) {
    problems.push({
      path: ["model", "groups"],
      message: `expected a divisor of model.filters (${model.filters}) with model.norm "group", found ${model.groups}`,
    });
  }
  if (train.warmup_epochs >= train.epochs) {
    problems.push({
      path: ["train", "warmup_epochs"],
      message: `expected less than train.epochs (${train.epochs}), found ${train.warmup_epochs}`,
    });
  }
  const { replicas, elastic } = resources;
  if (elastic !== undefined && (replicas < elastic.min || replicas > elastic.max)) {
    problems.push({
      path: ["resources", "replicas"],
      message: `expected a whole number from resources.elastic.min (${elastic.min}) to resources.elastic.max (${elastic.max}), found ${replicas}`,
    });
  }
  return problems;
}
