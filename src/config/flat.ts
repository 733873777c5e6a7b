/**
 * DistMIS's own configuration files, flat keys, as a short form of an experiment: its published grid of 32 trials
 * (learning rate x norm x beta2 x AMSGrad) with the epochs and batch size of the file. That of exp_parallel trains many
 * trials at once with a replica each; that of data_parallel, which has num_replicas, one trial after the other with all
 * replicas and a learning rate that grows with them.
 */
import { z } from "zod";
import { schemaNode } from "./describe.ts";
import { isPlainObject, type Problem, problemsOf } from "./problems.ts";
import { type ExperimentInput, MAX_REPLICAS } from "./schema.ts";

const common = {
  batch_size_per_replica: z.int().min(1),
  num_epochs: z.int().min(1),
  debug: z.boolean().default(false),
  dataset_dir: z.string().min(1).optional(),
};
const replicas = z.int().min(1).max(MAX_REPLICAS);
const one = z.literal(1).default(1).meta({ expected: "1, or the command data-parallel" });

/** Which of DistMIS's two programs a file is for. */
export type FlatMode = "exp-parallel" | "data-parallel";

const SCHEMAS = {
  "exp-parallel": z.strictObject({ ...common, num_replicas: one }),
  "data-parallel": z.strictObject({ ...common, num_replicas: replicas }),
  either: z.strictObject({ ...common, num_replicas: replicas.default(1) }),
};

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

/**
 * The experiment that DistMIS's file means, or what is wrong with the file. Without a mode, more than one replica make it
 * data parallel.
 */
export function expandFlat(data: unknown, mode?: FlatMode): { input: ExperimentInput } | { problems: Problem[] } {
  const schema = SCHEMAS[mode ?? "either"];
  const parsed = schema.safeParse(data);
  if (!parsed.success) return { problems: problemsOf(parsed.error, data, schemaNode(schema)) };
  const { batch_size_per_replica, num_epochs, debug, dataset_dir, num_replicas } = parsed.data;
  const train = { epochs: num_epochs, batch_size_per_replica, debug };
  const parallel: Pick<ExperimentInput, "name" | "train" | "resources"> =
    mode === "data-parallel" || num_replicas > 1
      ? {
          name: "distmis-data-parallel",
          train: { ...train, scale_learning_rate: "linear" },
          resources: { replicas: num_replicas, max_concurrent_trials: 1 },
        }
      : { name: "distmis-exp-parallel", train };
  return {
    input: {
      ...parallel,
      ...(dataset_dir === undefined ? {} : { data: { dir: dataset_dir } }),
      search: { space: structuredClone(DISTMIS_SPACE) },
    },
  };
}
