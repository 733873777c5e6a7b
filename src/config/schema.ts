/**
 * The experiment file: one schema for YAML and JSON, for the orchestrator and for the trainers. Keys are in snake case as
 * in DistMIS's own files; unknown keys are refused (see load.ts).
 */
import { z } from "zod";
import { augmentationSchema } from "./augmentation.ts";
import { failureSchema } from "./failure-schema.ts";
import { searchSchema } from "./search-schema.ts";

const fraction = z.number().gt(0).lt(1);

export const dataSchema = z.strictObject({
  dir: z.string().min(1).describe("Folder of TFRecord shards with its info.json, as `distmis tfrecord` writes it."),
  cache_gigabytes: z
    .number()
    .min(0)
    .default(4)
    .describe("Memory a trainer may keep decoded volumes in; those that do not fit are read anew each epoch."),
  stage: z
    .strictObject({
      dir: z
        .string()
        .min(1)
        .optional()
        .describe("Folder on each node's local disk that the copy is made in; by default `$TMPDIR` there, or `/tmp`."),
      limit_gigabytes: z
        .number()
        .gt(0)
        .default(200)
        .describe("A larger data set is not copied, but read where it lies; 1 GB is 10^9 bytes."),
    })
    .optional()
    .describe(
      "Copies the shards to each node's local disk, once a node, and reads them there; without this section, none are.",
    ),
});

export const modelSchema = z.strictObject({
  filters: z.int().min(1).max(512).default(8).describe("Channels after the first convolution; doubled at each level."),
  depth: z
    .int()
    .min(1)
    .max(6)
    .default(3)
    .describe("How often the volume is halved; its sides must be divisible by 2^depth."),
  kernel: z
    .union([z.literal(1), z.literal(3), z.literal(5)])
    .default(3)
    .describe("Side of the convolution kernels in voxels."),
  norm: z
    .preprocess(
      (value) => (value === "bn" ? "batch" : value === "gn" ? "group" : value),
      z.enum(["batch", "group", "instance", "none"]),
    )
    .default("batch")
    .describe(
      "Normalisation over the channels after each convolution; `bn` and `gn` are DistMIS's names for the first two.",
    ),
  groups: z.int().min(1).default(4).describe("With `norm: group`: groups of channels; must divide `filters`."),
  norm_momentum: fraction
    .default(0.9)
    .describe("With `norm: batch`: weight of the past in the moving mean and variance."),
  activation: z.enum(["relu", "leaky_relu"]).default("relu").describe("After each norm."),
  negative_slope: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.01)
    .describe("With `activation: leaky_relu`: its slope for negative values."),
  upsampling: z
    .enum(["transpose", "nearest"])
    .default("transpose")
    .describe("Transposed convolution, or each voxel repeated and a convolution."),
  residual: z
    .boolean()
    .default(false)
    .describe("Each block's input, through a convolution of side 1, is added before its last activation."),
  dropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("Share of the channels that a training step drops at the end of each block."),
  initial_deviation: z
    .number()
    .gt(0)
    .default(0.05)
    .describe("Standard deviation of the truncated normal initial kernels."),
});

export const trainSchema = z.strictObject({
  epochs: z.int().min(1).default(20).describe("Passes over the training split."),
  batch_size_per_replica: z.int().min(1).default(2).describe("Volumes a step and replica."),
  loss: z
    .enum(["dice", "dice_ce"])
    .default("dice")
    .describe(
      "`dice`: 1 - Dice over the flattened batch, smoothed by 0.01, with several classes the mean over the foreground ones; " +
        "`dice_ce`: that plus the mean cross entropy over the voxels.",
    ),
  batch_dice: z
    .boolean()
    .default(true)
    .describe(
      "The Dice's sums are over the whole batch, as DistMIS's; `false`: over each volume, then the mean (nnU-Net's names).",
    ),
  sync: z
    .boolean()
    .default(false)
    .describe(
      "With several replicas: the Dice's sums and batch norm's statistics are over all of them, so that the result does not depend on " +
        "their number; else each replica has its own, as DistMIS.",
    ),
  optimizer: z.enum(["adam", "adamw", "sgd"]).default("adam").describe("Each as Keras computes it."),
  learning_rate: z.number().gt(0).default(1e-3).describe("The optimiser's step size, after the warm-up."),
  scale_learning_rate: z
    .enum(["none", "linear"])
    .default("none")
    .describe(
      "`linear`: the learning rate is multiplied by the trial's replicas, as the batch of a step grows with them.",
    ),
  beta1: fraction.default(0.9).describe("Adam's and AdamW's decay of the first moment."),
  beta2: fraction.default(0.999).describe("Adam's and AdamW's decay of the second moment."),
  epsilon: z.number().gt(0).default(1e-7).describe("Adam's and AdamW's guard against division by zero."),
  amsgrad: z.boolean().default(false).describe("Adam or AdamW with the largest second moment so far (AMSGrad)."),
  weight_decay: z
    .number()
    .min(0)
    .default(0.004)
    .describe("With `optimizer: adamw`: share of each parameter that a step takes off, times the learning rate."),
  momentum: z.number().min(0).lt(1).default(0.9).describe("With `optimizer: sgd`: share of the last move in the next."),
  nesterov: z.boolean().default(false).describe("With `optimizer: sgd`: Nesterov's momentum."),
  clip_norm: z
    .number()
    .min(0)
    .default(0)
    .describe("Gradients longer than this (norm over all parameters) are shortened to it; 0 leaves them as they are."),
  schedule: z
    .enum(["constant", "polynomial", "cosine"])
    .default("constant")
    .describe("How the learning rate falls after the warm-up, step by step, to 0 at the end of the training."),
  schedule_power: z.number().gt(0).default(0.9).describe("With `schedule: polynomial`: its power."),
  warmup_epochs: z
    .number()
    .min(0)
    .default(0)
    .describe("Epochs, or a fraction of one, in which the learning rate rises linearly from 0, step by step."),
  early_stopping: z
    .strictObject({
      patience: z.int().min(1).default(10).describe("Epochs without progress after which a trial ends."),
      min_delta: z
        .number()
        .min(0)
        .default(0)
        .describe("What `search.metric` must get better by for an epoch to count as progress."),
    })
    .optional()
    .describe("Ends a trial that makes no progress; without this section, none is."),
  checkpoint_epochs: z
    .int()
    .min(1)
    .default(1)
    .describe(
      "A checkpoint is written after every so many epochs, after the last one and after one that is the best so far; what a trial " +
        "has done since its newest one is repeated when it is lost or stopped.",
    ),
  keep_best: z
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe("How many of the best epochs' checkpoints are kept; above 1, also as `epoch-N.safetensors`."),
  previews: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe(
      "Of so many validation cases, the first ones, the segmentation is kept whenever a trial reaches its best value so far: " +
        "`distmis dashboard` shows them.",
    ),
  seed: z.int().min(0).max(0x7fffffff).default(1).describe("Seed of the initial weights and of the shuffling."),
  augmentation: augmentationSchema.optional().describe("Random changes to the training volumes; none unless named."),
  precision: z
    .enum(["float32", "bfloat16", "float16"])
    .default("float32")
    .describe(
      "Type of the convolutions and of what is kept between them; weights, norms, loss and optimiser stay in float32. " +
        "`float16` with dynamic loss scaling.",
    ),
  memory: z
    .enum(["normal", "low"])
    .default("normal")
    .describe(
      "`low` keeps no activation for the backward pass on a GPU either, and computes one gradient after the other.",
    ),
  debug: z.boolean().default(false).describe("Print every step, on the terminal and in the trial's log."),
  tensorboard: z
    .boolean()
    .optional()
    .describe("Write TensorBoard's event files of each trial; by default unless `train.debug`, as DistMIS."),
});

/** Far above what one model gains from; a slip is refused before the cluster is asked. */
export const MAX_REPLICAS = 1024;

const replicas = z.int().min(1).max(MAX_REPLICAS);

export const resourcesSchema = z.strictObject({
  replicas: replicas
    .default(1)
    .describe("Workers a trial: all of them at once train its one model, each on its part of every batch."),
  elastic: z
    .strictObject({
      min: replicas.describe("A trial is not placed with fewer."),
      max: replicas.describe("Nor with more."),
    })
    .optional()
    .describe(
      "Lets a trial run with other `replicas`: with fewer where the cluster does not hold so many, and when it starts again " +
        "after a loss with more if they are free. Without this section, it waits for exactly `replicas`.",
    ),
  gpus_per_replica: z.number().min(0).default(1).describe("GPUs a worker; a fraction shares one."),
  cpus_per_replica: z
    .union([z.literal("auto"), z.number().gt(0)])
    .default("auto")
    .describe("CPUs a worker, also its TensorFlow threads; `auto` is a node's CPUs divided by its GPUs."),
  memory_per_replica: z.int().min(0).default(0).describe("Bytes that Ray reserves for a worker; 0 reserves none."),
  custom: z.record(z.string(), z.number().gt(0)).default({}).describe("Custom Ray resources a worker."),
  accelerator_type: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
    .optional()
    .meta({
      description: "Kind of GPU that the node must have, by Ray's name for it (for example `H100` or `A100`).",
      expected: "a name as Ray's, such as H100: letters, digits, '.', '_' or '-'",
    }),
  node_labels: z.record(z.string(), z.string()).default({}).describe("Ray node labels that the node must carry."),
  strategy: z
    .enum(["pack", "strict_pack", "spread", "strict_spread"])
    .default("pack")
    .describe("How the replicas of one trial are laid over the nodes."),
  max_concurrent_trials: z
    .int()
    .min(1)
    .optional()
    .describe("Upper bound of trials at once; default: what the cluster holds."),
  placement_deadline: z
    .number()
    .gt(0)
    .default(300)
    .describe("Seconds to wait for the first trial's place in a busy cluster."),
});

export const trainerSchema = z.strictObject({
  module: z
    .string()
    .min(1)
    .optional()
    .describe("Path of a module that exports a task of your own, instead of the 3D U-Net."),
  parameters: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Handed to that task; may be searched over as any field."),
});

export const experimentSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
    .meta({
      description: "Names the run folder.",
      expected: "1 to 100 letters, digits, '.', '_' or '-', the first one a letter or digit",
    }),
  data: dataSchema.optional().describe("Needed unless `trainer.module` is given."),
  model: modelSchema.prefault({}),
  train: trainSchema.prefault({}),
  search: searchSchema.prefault({}),
  resources: resourcesSchema.prefault({}),
  trainer: trainerSchema.prefault({}),
  failure: failureSchema.prefault({}),
});

/** What one trial is: the experiment without its search. */
export const trialConfigSchema = experimentSchema.omit({ search: true, failure: true });

/** A valid experiment, every default filled in. */
export type Experiment = z.output<typeof experimentSchema>;
/** What a person may write: defaults may be left out. */
export type ExperimentInput = z.input<typeof experimentSchema>;
/** The configuration of one trial, the search's parameters applied. */
export type TrialConfig = z.output<typeof trialConfigSchema>;
export type ModelConfig = z.output<typeof modelSchema>;
export type TrainConfig = z.output<typeof trainSchema>;
export type ResourcesConfig = z.output<typeof resourcesSchema>;
/** A value of a searched parameter. */
export type ParameterValue = number | string | boolean;
