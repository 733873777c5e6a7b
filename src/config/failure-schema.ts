/** `failure` of the experiment file: what happens to trials that are lost, and to nodes that lose them. */
import { z } from "zod";

export const failureSchema = z.strictObject({
  max_failures: z
    .int()
    .min(0)
    .default(2)
    .describe(
      "How often a trial whose worker was lost is started again; the trial that is lost once more is held to be at fault " +
        "itself, and fails.",
    ),
  retry_delay: z
    .number()
    .min(0)
    .default(1)
    .describe("Seconds before a lost trial starts again, doubled with each loss. It holds no GPU meanwhile."),
  max_retry_delay: z.number().min(0).default(60).describe("Upper bound of that delay, in seconds."),
  node_failures: z
    .int()
    .min(0)
    .default(3)
    .describe(
      "A node on which so many trials in a row were lost is left out for the rest of the run; 0 leaves none out.",
    ),
  stall_timeout: z
    .number()
    .min(0)
    .default(3600)
    .describe(
      "A trial that has reported nothing for so many seconds is killed and counts as lost; to be longer than any epoch. 0 waits for ever.",
    ),
  stall_factor: z
    .number()
    .min(1)
    .default(5)
    .describe("It is never killed before so many times its own longest time between two reports."),
  heartbeat_timeout: z
    .number()
    .min(3)
    .default(30)
    .describe(
      "A trainer from whose control thread nothing has come for so many seconds is frozen, and killed; it sends a heartbeat every second.",
    ),
});

export type FailureConfig = z.output<typeof failureSchema>;
