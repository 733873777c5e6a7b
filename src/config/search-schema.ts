/** `search` of the experiment file: the space, how trials are drawn from it, and when it ends. See docs/search.md. */
import { z } from "zod";

const value = z.union([z.number(), z.string(), z.boolean()]);
const values = z.array(value).min(1);
const bounds = z.tuple([z.number(), z.number()]).meta({ expected: "[low, high], two numbers, the smaller one first" });
const count = z.int().min(1);

/** One searched field: exactly one kind, which space.ts checks together with the field's own schema. */
export const axisSchema = z.strictObject({
  grid: values.optional().describe("All of these values; for samplers other than `grid` the same as `choice`."),
  choice: values.optional().describe("One of these values, in no order."),
  uniform: bounds.optional().describe("A number, both bounds included."),
  log_uniform: bounds.optional().describe("A number whose logarithm is uniform, both bounds included."),
  integer: bounds.optional().describe("A whole number, both bounds included."),
  step: z.number().gt(0).optional().describe("With `uniform` or `integer`: only low, low + step, and so on."),
  log: z.boolean().optional().describe("With `integer`: its logarithm is uniform."),
  when: z
    .record(z.string(), values)
    .optional()
    .describe("Searched only in trials in which each of these fields has one of these values."),
});

export const limitsSchema = z.strictObject({
  trials: count.optional().describe("So many trials are made."),
  wall_hours: z.number().gt(0).optional().describe("Wall time of the run, all its parts together."),
  gpu_hours: z.number().gt(0).optional().describe("GPUs of each trial times the time it had them, all together."),
  target: z.number().optional().describe("A value of `search.metric` that is good enough."),
  plateau: z
    .strictObject({
      trials: count.describe("So many trials have ended since the best value got better."),
      min_delta: z.number().min(0).default(0).describe("By how much it must get better to count."),
    })
    .optional()
    .describe("No more trials are made when the best value gets no better; those that run go on to their end."),
});

/** Which sampler has which: study-options.ts, which also has the defaults. */
export const samplerOptionsSchema = z.strictObject({
  startup_trials: count
    .optional()
    .describe("`tpe` (10), `cmaes` (1): trials drawn at random before it has learnt enough."),
  multivariate: z.boolean().optional().describe("`tpe` (true): fields are drawn together; `false`: each by itself."),
  population: z
    .int()
    .min(2)
    .optional()
    .describe("`cmaes`: trials of a generation; by default 4 + 3 ln(number of fields)."),
});

/** Which pruner has which: study-options.ts, which also has the defaults. */
export const prunerSchema = z.strictObject({
  kind: z
    .enum(["median", "percentile", "asha", "hyperband"])
    .describe("`asha` is asynchronous successive halving. See docs/search.md."),
  percentile: z
    .number()
    .gt(0)
    .lt(100)
    .optional()
    .describe("`percentile` (25): trials go on that are among so many percent of the best at the same epoch."),
  startup_trials: z
    .int()
    .min(0)
    .optional()
    .describe("`median`, `percentile` (5): no trial is ended before so many have completed."),
  warmup_epochs: z
    .int()
    .min(0)
    .optional()
    .describe("`median`, `percentile` (0): no trial is ended in so many first epochs."),
  interval: count.optional().describe("`median`, `percentile` (1): epochs from one decision to the next."),
  min_epochs: count.optional().describe("`asha`, `hyperband` (1): the first decision is after this epoch."),
  reduction_factor: z
    .int()
    .min(2)
    .optional()
    .describe("`asha` (4), `hyperband` (3): one trial in so many goes on, and epochs to the next decision grow by it."),
  min_early_stopping_rate: z
    .int()
    .min(0)
    .optional()
    .describe("`asha` (0): so many of the first decisions are left out."),
});

export const searchSchema = z.strictObject({
  sampler: z
    .enum(["grid", "random", "tpe", "cmaes", "qmc"])
    .default("grid")
    .describe(
      "How trials are drawn from the space; `tpe`, `cmaes` and `qmc` are Optuna's, the first two learn from results.",
    ),
  sampler_options: samplerOptionsSchema.optional(),
  seed: z.int().min(0).max(0x7fffffff).default(1).describe("Seed of the sampler."),
  metric: z.string().min(1).default("val_dice").describe("The reported metric that ranks the trials."),
  mode: z.enum(["max", "min"]).default("max").describe("Whether more of the metric is better."),
  pruner: prunerSchema.optional().describe("Ends trials early that do worse than others; none: all run to their end."),
  limits: limitsSchema.prefault({}),
  warm_start: z
    .strictObject({
      runs: z
        .array(z.string().min(1))
        .default([])
        .describe("Folders of earlier runs, whose trials adaptive samplers and pruners learn from."),
      configurations: z
        .array(z.record(z.string(), value))
        .default([])
        .meta({ expected: "a list of sections of fields and values" })
        .describe("Parameters of the first trials, before the sampler's own."),
    })
    .prefault({}),
  space: z
    .record(z.string(), axisSchema)
    .default({})
    .describe("Field of this file, by its path (`train.learning_rate`), to the values it takes."),
});

export type SamplerOptions = z.output<typeof samplerOptionsSchema>;
export type PrunerConfig = z.output<typeof prunerSchema>;
export type SearchConfig = z.output<typeof searchSchema>;
export type AxisConfig = z.output<typeof axisSchema>;
