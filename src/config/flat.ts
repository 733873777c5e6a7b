/**
 * DistMIS's own configuration file, four flat keys, as a short form of an experiment: its published grid of 32 trials
 * (learning rate x norm x beta2 x AMSGrad) with the epochs and batch size of the file.
 */
import { z } from "zod";
import { schemaNode } from "./describe.ts";
import { isPlainObject, type Problem, problemsOf } from "./problems.ts";
import type { ExperimentInput } from "./schema.ts";

const flatSchema = z.strictObject({
  batch_size_per_replica: z.int().min(1),
  num_epochs: z.int().min(1),
  debug: z.boolean().default(false),
  num_replicas: z.int().min(1).max(1).default(1),
  dataset_dir: z.string().min(1).optional(),
});

const flatNode = schemaNode(flatSchema);

/** The grid that DistMIS searches, see its paper and exp_parallel. */
export const DISTMIS_SPACE = {
  "train.learning_rate": { grid: [1e-4, 5e-4, 1e-3, 5e-3] },
  "model.norm": { grid: ["batch", "group"] },
  "train.beta2": { grid: [0.99, 0.999] },
  "train.amsgrad": { grid: [true, false] },
} satisfies NonNullable<ExperimentInput["search"]>["space"];

/** Whether these are DistMIS's flat keys rather than our sections. */
export function isFlat(data: unknown): boolean {
  return (
    isPlainObject(data) &&
    ["batch_size_per_replica", "num_epochs", "num_replicas"].some((key) => Object.hasOwn(data, key))
  );
}

/** The experiment that DistMIS's file means, or what is wrong with the file. */
export function expandFlat(data: unknown): { input: ExperimentInput } | { problems: Problem[] } {
  const parsed = flatSchema.safeParse(data);
  if (!parsed.success) return { problems: problemsOf(parsed.error, data, flatNode) };
  const { batch_size_per_replica, num_epochs, debug, dataset_dir } = parsed.data;
  return {
    input: {
      name: "distmis-exp-parallel",
      ...(dataset_dir === undefined ? {} : { data: { dir: dataset_dir } }),
      train: { epochs: num_epochs, batch_size_per_replica, debug },
      search: { space: structuredClone(DISTMIS_SPACE) },
    },
  };
}
