/** What the sides of the input benchmark are told, as JSON in their first argument. */
import { z } from "zod";

export const inputCaseSchema = z.strictObject({
  /** Folder of TFRecords; its training split is read. */
  dir: z.string(),
  /** Its shards. */
  files: z.array(z.string()),
  /** Volumes in them. */
  size: z.int(),
  /** [C, X, Y, Z] of an image. */
  shape: z.array(z.int()).length(4),
  /** Page cache dropped before each epoch, filled, or decoded volumes kept. */
  mode: z.enum(["cold", "warm", "cache"]),
  /** Drops the page cache of the files. */
  drop: z.array(z.string()),
  /** Volumes in the peer's shuffle buffer, where it does not keep them all. */
  shuffle: z.int(),
  batch: z.int(),
  threads: z.int(),
  /** Epochs before the measured ones. */
  warmUp: z.int(),
  epochs: z.int(),
  /** Whether to print a digest of each volume. */
  verify: z.boolean(),
});
export type InputCase = z.output<typeof inputCaseSchema>;
