/** The records of the journal: everything that a run must not forget, as zod schemas and their types. */
import { z } from "zod";
import { experimentSchema } from "../config/index.ts";

/**
 * Version of the journal's format: raised with a new kind of record or a new value of a field, which an older program would refuse;
 * not with a new field, which it leaves out. Journals of all versions up to this one are read.
 *
 * 1: the first one. 2: trials that are `pruned`, attempts that end as `stalled` or by a `limit`, `run_extended`, `checkpoints_removed`.
 */
export const JOURNAL_VERSION = 2;

const version = z.int().min(1).max(JOURNAL_VERSION);
/** It names a folder of the run, and nothing outside of it. */
const trial = z.string().regex(/^(?!\.{1,2}$)[^/\0]+$/, "expected a trial's id");
const attempt = z.int().min(1);
// JSON has no NaN: a metric that is not a number is written as null.
const metrics = z.record(
  z.string(),
  z
    .number()
    .nullable()
    .transform((value) => value ?? Number.NaN),
);
const process = { host: z.string(), pid: z.int() };

/** Without `type` and `time`, as the event is told. */
const placed = z.object({
  change: z.string(),
  trials: z.number().nullable(),
  concurrency: z.number(),
  sizes: z.array(z.object({ replicas: z.number(), concurrency: z.number() })),
  room: z.number(),
  cpus: z.number(),
  gpus: z.number(),
});

const recordBodySchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("run_started"), version, experiment: experimentSchema, ...process }),
  z.object({
    type: z.literal("run_continued"),
    /** Of the program that continues the run: an older journal grows in its format from here on. */
    version: version.default(1),
    experiment: experimentSchema,
    ...process,
  }),
  /** Continues the run with an experiment that asks for more than the one before, see extend.ts. */
  z.object({
    type: z.literal("run_extended"),
    version,
    experiment: experimentSchema,
    ...process,
    /** What differs from the experiment before, for a person. */
    changes: z.array(z.string()),
    /** Trials that had ended and are to be run further. */
    reopened: z.array(trial),
  }),
  z.object({
    type: z.literal("trial_created"),
    trial,
    parameters: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  }),
  z.object({
    type: z.literal("attempt_started"),
    trial,
    attempt,
    replicas: z.int().min(1).default(1),
    nodes: z.array(z.string()),
    gpus: z.array(z.string()),
    /** Where each replica is, by rank, and on what it computes: the model of its GPUs or CPU. Missing in older journals. */
    workers: z
      .array(z.object({ node: z.string(), gpus: z.array(z.string()), device: z.string().optional() }))
      .optional(),
    /** The room that the run has, in its first attempt since it was looked for or has changed: see RunPlaced. */
    placed: placed.optional(),
  }),
  z.object({
    type: z.literal("epoch"),
    trial,
    attempt,
    epoch: z.int().min(1),
    epochs: z.int().min(0),
    metrics,
    seconds: z.number(),
    volumesPerSecond: z.number(),
    peakResidentBytes: z.number(),
    checkpoint: z.string(),
  }),
  /** The attempt is over, the trial is not: it waits for another one. */
  z.object({
    type: z.literal("attempt_ended"),
    trial,
    attempt,
    /** `lost` and `stalled` count as failures, the others as nothing. `limit`: a limit of the search was reached. */
    cause: z.enum(["lost", "stalled", "port_taken", "interrupted", "limit"]),
    error: z.string(),
  }),
  z.object({
    type: z.literal("trial_ended"),
    trial,
    attempt,
    /** `pruned`: the searcher saw no future in it. */
    state: z.enum(["completed", "failed", "pruned"]),
    metrics,
    error: z.string().nullable(),
  }),
  /** Somebody freed space: these files, relative to their trial's folder, are no longer there. */
  z.object({
    type: z.literal("checkpoints_removed"),
    trials: z.array(z.object({ trial, files: z.array(z.string()) })),
  }),
  z.object({
    type: z.literal("run_ended"),
    state: z.enum(["finished", "interrupted"]),
    /** Which limit of the search has ended it, in words. */
    limit: z.string().nullish(),
  }),
]);

const headerSchema = z.object({ seq: z.int().min(1), time: z.iso.datetime() });

export const recordSchema = z.intersection(headerSchema, recordBodySchema);

export type RecordBody = z.output<typeof recordBodySchema>;
/** A body with its place in the journal: sequence number from 1 and time (ISO 8601, UTC). */
export type JournalRecord = z.output<typeof headerSchema> & RecordBody;
