/** `failure` of the experiment file: what happens to trials that are lost. */
import { z } from "zod";

export const failureSchema = z.strictObject({
  max_failures: z.int().min(0).default(2).describe("How often a trial whose worker was lost is started again."),
});
