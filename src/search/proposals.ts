/**
 * The parameters of trials where they do not hang on results: given configurations, then those of a grid or random ones.
 * An adaptive sampler draws all but the first in a study (adaptive.ts).
 */
import { axesOf, type Experiment, gridSize, isAdaptive, type Parameters, pointIn } from "../config/index.ts";
import { keyOf } from "./draws.ts";
import { gridDraws } from "./grid.ts";
import { randomDraws } from "./random.ts";

export interface Proposals {
  /** How many more trials there are; Infinity if there is no end. */
  remaining(): number;
  /** Null when there are no more, or an adaptive sampler is to draw the next one. */
  next(): Parameters | null;
}

/**
 * First the configurations of the warm start, then the points of the sampler that no trial has had. The sequence is the same
 * whether it is drawn at once or in parts.
 * @param known parameters of the trials that were made before, in their order
 */
export function createProposals(experiment: Experiment, known: readonly Parameters[]): Proposals {
  const { sampler, seed, warm_start: warm } = experiment.search;
  const axes = axesOf(experiment);
  const adaptive = isAdaptive(sampler);
  const size = adaptive ? Number.POSITIVE_INFINITY : gridSize(axes);
  const covered = new Set<string>();
  for (const parameters of known) {
    // Null if the space has been changed and does not hold it any more.
    const point = pointIn(experiment, axes, parameters);
    if (point !== null) covered.add(keyOf(point));
  }
  const configured = warm.configurations.filter((point) => !covered.has(keyOf(point)));
  for (const point of configured) covered.add(keyOf(point));
  const draw = sampler === "grid" ? gridDraws(axes) : randomDraws(axes, seed);
  let number = known.length;
  let left = configured.length + size - covered.size;
  return {
    remaining: () => left,
    next() {
      number++;
      const point = configured.shift() ?? (adaptive ? null : draw(number, covered));
      if (point !== null) left--;
      // A grid has each point once.
      if (point !== null && sampler === "random") covered.add(keyOf(point));
      return point;
    },
  };
}
