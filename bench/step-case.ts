/** What a side of the step and fullvolume benchmarks is told, as JSON in its first argument. */
import { z } from "zod";

const caseSchema = z.strictObject({
  /** X, Y, Z of the volumes. */
  shape: z.tuple([z.int(), z.int(), z.int()]),
  batch: z.int(),
  norm: z.string(),
  memory: z.enum(["normal", "low"]),
  steps: z.int(),
  /** Steps before the measured ones. */
  warmUp: z.int(),
  threads: z.int(),
});
export type StepCase = z.output<typeof caseSchema>;

export const stepCase = (json: string): StepCase => caseSchema.parse(JSON.parse(json));
