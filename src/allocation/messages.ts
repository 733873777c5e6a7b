/** What the one who starts a Ray and the agents on its nodes say to each other: lines of JSON on the standard streams of `srun`. */
import { z } from "zod";

/**
 * An empty line every few seconds says that somebody is there: a node that is cut off gets no end of its input, and its agent ends
 * without these.
 */
export const BEAT_MILLISECONDS = 5_000;
/** Counted and not timed: of a job that is suspended, all processes are. */
export const MISSED_BEATS = 6;

/** For what a node runs at its very end: what is to be removed may be large. SLURM ends it earlier if the job is over. */
export const LASTLY_MILLISECONDS = 30_000;

/** To an agent, first. The end of its input ends its node. */
export const startSchema = z.object({
  role: z.enum(["head", "worker"]),
  /** Of Ray's token authentication. Not in the environment or the arguments, which others may see. */
  token: z.string(),
  cpus: z.int(),
  /** Name of the network interface whose address the node has for the others; null: that of its name. */
  interface: z.string().nullable(),
  /** Seconds that one start of Ray may take, and those after which is told how far it is. */
  startSeconds: z.number(),
  slowSeconds: z.number(),
  /** Whether the job may be put back into the queue when its first node is lost. */
  requeue: z.boolean(),
  /** Program and arguments that the node runs when everything else on it has ended; empty: none. */
  lastly: z.array(z.string()),
});
export type StartNode = z.output<typeof startSchema>;

/** To the agent of a worker, when the head is there: host:port of the head. */
export const joinSchema = z.object({ address: z.string() });

export const saidSchema = z.discriminatedUnion("type", [
  /** The node is part of the cluster. */
  z.object({ type: z.literal("ready"), address: z.string(), gpus: z.number() }),
  /** It is not yet, and why it may be. */
  z.object({ type: z.literal("slow"), reason: z.string() }),
  /** It is not, or not any more; the agent tries again unless it ends. */
  z.object({ type: z.literal("lost"), reason: z.string() }),
]);
export type AgentSaid = z.output<typeof saidSchema>;
