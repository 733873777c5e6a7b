/** Fields that are legal each by itself but not together: found before any trial runs. */
import { type Axis, axisSize, type Parameters } from "./axis.ts";
import type { FieldPath } from "./describe.ts";
import { gridPoints, gridSize } from "./grid-points.ts";
import type { Problem } from "./problems.ts";
import type { Experiment, ParameterValue } from "./schema.ts";
import { axesOf, fieldValue } from "./space.ts";

interface Rule {
  /** What it looks at: only their combinations need a look. */
  fields: readonly string[];
  /** What is wrong with these values, or undefined. Where a field is continuous, its bounds are the worst cases. */
  problem(value: (path: string) => ParameterValue | undefined, experiment: Experiment): Problem | undefined;
}

const RULES: readonly Rule[] = [
  {
    fields: ["model.norm", "model.filters", "model.groups"],
    problem(value) {
      const [filters, groups] = [Number(value("model.filters")), Number(value("model.groups"))];
      if (value("model.norm") !== "group" || filters % groups === 0) return undefined;
      return {
        path: ["model", "groups"],
        message: `expected a divisor of model.filters (${filters}) with model.norm "group", found ${groups}`,
      };
    },
  },
  {
    fields: ["train.epochs", "train.warmup_epochs"],
    problem(value) {
      const [epochs, warmup] = [Number(value("train.epochs")), Number(value("train.warmup_epochs"))];
      if (warmup < epochs) return undefined;
      return {
        path: ["train", "warmup_epochs"],
        message: `expected less than train.epochs (${epochs}), found ${warmup}`,
      };
    },
  },
  {
    fields: ["resources.replicas"],
    problem(value, { resources: { elastic } }) {
      const replicas = Number(value("resources.replicas"));
      if (elastic === undefined || (replicas >= elastic.min && replicas <= elastic.max)) return undefined;
      return {
        path: ["resources", "replicas"],
        message: `expected a whole number from resources.elastic.min (${elastic.min}) to resources.elastic.max (${elastic.max}), found ${replicas}`,
      };
    },
  },
];

/** A check of that many combinations takes a second. */
const MAX_COMBINATIONS = 1_000_000;

/** The first contradiction that trials of the experiment can have, with such a trial as an example. */
export function contradictions(experiment: Experiment): Problem[] {
  const axes = axesOf(experiment);
  for (const rule of RULES) {
    const related = relatedAxes(axes, rule.fields);
    const size = gridSize(related);
    if (size > MAX_COMBINATIONS) {
      const names = related.map(({ path }) => path).join(" and ");
      const message = `expected at most ${MAX_COMBINATIONS} combinations of ${names}, which may contradict each other, found ${size}; give them a step or fewer values`;
      return [{ path: ["search", "space"], message }];
    }
    for (const parameters of gridPoints(related)) {
      const problem = rule.problem((path) => parameters[path] ?? fieldValue(experiment, path), experiment);
      if (problem !== undefined)
        return [{ path: inFile(problem.path, axes), message: problem.message + example(parameters) }];
    }
  }
  return [];
}

/** The axes of these fields and those that they depend on; continuous ones by their bounds. */
function relatedAxes(axes: readonly Axis[], fields: readonly string[]): Axis[] {
  const wanted = new Set(fields);
  // Axes stand behind those that they depend on.
  for (const { path, when } of axes.toReversed()) {
    if (wanted.has(path)) for (const condition of when) wanted.add(condition.path);
  }
  return axes.filter(({ path }) => wanted.has(path)).map(bounded);
}

function bounded(axis: Axis): Axis {
  if (axis.kind === "categorical" || Number.isFinite(axisSize(axis))) return axis;
  return { kind: "categorical", path: axis.path, when: axis.when, values: [axis.low, axis.high] };
}

/** A field that is searched stands in the file where its values do. */
function inFile(path: FieldPath, axes: readonly Axis[]): FieldPath {
  const searched = axes.find((axis) => axis.path === path.join("."));
  return searched === undefined ? path : ["search", "space", searched.path];
}

function example(parameters: Parameters): string {
  const fields = Object.entries(parameters).map(([path, value]) => `${path}=${value}`);
  return fields.length === 0 ? "" : ` (in trials with ${fields.join(", ")})`;
}
