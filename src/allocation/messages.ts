/** What the one who starts a Ray and the agents on its nodes say to each other: lines of JSON on the standard streams of `srun`. */
import { z } from "zod";

/** To an agent, once. The end of its input ends its node. */
export const startSchema = z.object({
  /** host:port of the head; null: this node is the head. */
  address: z.string().nullable(),
  /** Of Ray's token authentication. Not in the environment or the arguments, which others may see. */
  token: z.string(),
  cpus: z.int(),
  /** Name of the network interface whose address the node has for the others; null: that of its name. */
  interface: z.string().nullable(),
});
export type StartNode = z.output<typeof startSchema>;

export const saidSchema = z.discriminatedUnion("type", [
  /** The node is part of the cluster. */
  z.object({ type: z.literal("ready"), address: z.string(), gpus: z.number() }),
  /** It is not, or not any more; the agent tries again unless it ends. */
  z.object({ type: z.literal("lost"), reason: z.string() }),
]);
export type AgentSaid = z.output<typeof saidSchema>;
