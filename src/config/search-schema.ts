/** `search` of the experiment file: the space, and how trials are drawn from it. */
import { z } from "zod";

const gridParameter = z.strictObject({
  grid: z.array(z.union([z.number(), z.string(), z.boolean()])).min(1),
});

export const searchSchema = z.strictObject({
  sampler: z.enum(["grid"]).default("grid").describe("How trials are drawn from the space."),
  metric: z.string().min(1).default("val_dice").describe("The reported metric that ranks the trials."),
  mode: z.enum(["max", "min"]).default("max").describe("Whether more of the metric is better."),
  space: z
    .record(z.string(), gridParameter)
    .default({})
    .describe("Field of this file, by its path (`train.learning_rate`), to the values it takes."),
});
