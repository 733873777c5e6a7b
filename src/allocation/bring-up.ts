/** Starting Ray on all nodes of an allocation at once: the head first, the others as soon as it answers. */
import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { deferred } from "../async/index.ts";
import { DistmisError } from "../errors/index.ts";
import { createPrivateDir } from "../files/index.ts";
import { type Allocation, findAllocation, withGpus } from "./allocation.ts";
import { type HostStep, keepHost } from "./host-step.ts";

/** Ray's start takes seconds; Python on a cold shared file system, on many nodes at once, minutes. */
const DEADLINE_SECONDS = 300;

const LEAST_START_SECONDS = 90;

export interface BringUpOptions {
  /** With how many nodes the search may begin when the others have not come until the deadline; default: all. */
  minNodes?: number;
  /** Seconds that nodes have to come; default 300. */
  deadlineSeconds?: number;
  /** Network interface whose addresses the nodes use, for example "ib0"; default: the one that their names lead to. */
  interface?: string;
  /** How often the job may be started again when its first node is lost; default 0: it ends then. */
  maxRequeues?: number;
  /** Program and arguments that each node runs when everything else on it has ended. */
  lastly?: readonly string[];
  signal?: AbortSignal;
  /** What a person may want to know: nodes that do not come, are lost, or come back. */
  notice?: (text: string) => void;
}

export interface AllocationRay {
  /** host:port of the head. */
  readonly address: string;
  /** What a program needs in its environment to join. */
  readonly environment: Record<string, string>;
  /**
   * Resolves when all nodes are part of the cluster, or at least `minNodes` are at the deadline.
   * Rejects with DistmisError CLUSTER_UNAVAILABLE and the nodes that have not come, or INTERRUPTED.
   */
  readonly complete: Promise<void>;
  /** Resolves with a reason when the head has gone, and with it the cluster. */
  readonly ended: Promise<string>;
  /** Ends every node; nothing is left then. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts Ray on the nodes of the job in which this process runs; it has to run on the first of them (see startOnFirstNode).
 * Resolves when the head is there; the others follow, see `complete`.
 * @throws DistmisError CLUSTER_UNAVAILABLE, CONFIG_INVALID, INTERRUPTED, SLURM_FAILED; nothing is left then
 */
export async function bringUp(options: BringUpOptions = {}): Promise<AllocationRay> {
  const allocation = await withGpus(await findAllocation());
  const { hosts } = allocation;
  const needed = options.minNodes ?? hosts.length;
  if (needed > hosts.length) {
    throw new DistmisError(
      "CONFIG_INVALID",
      `--min-nodes ${needed}: job ${allocation.jobId} has ${hosts.length} nodes; expected at most as many`,
    );
  }

  const token = randomBytes(32).toString("hex");
  const dir = await createPrivateDir();
  const tokenFile = path.join(dir.path, "token");
  const nodes = startNodes(allocation, { ...options, notice: options.notice ?? (() => {}), token });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= nodes.close().finally(dir.remove);
    return closing;
  };
  try {
    await fs.writeFile(tokenFile, token, { mode: 0o600 });
    const complete = nodes.come(needed);
    // It is the head's failure, too; and is looked at only once the head is there.
    const address = await Promise.race([nodes.head, complete.then(() => nodes.head)]);
    complete.catch(() => {});
    return {
      address,
      complete,
      environment: { RAY_AUTH_MODE: "token", RAY_AUTH_TOKEN_PATH: tokenFile },
      ended: nodes.headLost,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Nodes {
  /** Resolves with the head's address. */
  readonly head: Promise<string>;
  /** Resolves when all nodes have come, or `needed` until the deadline. */
  come(needed: number): Promise<void>;
  readonly headLost: Promise<string>;
  close(): Promise<void>;
}

function startNodes(
  { hosts, jobId, restarts }: Allocation,
  options: BringUpOptions & { notice: (text: string) => void; token: string },
): Nodes {
  const { notice, token, deadlineSeconds = DEADLINE_SECONDS } = options;
  const head = deferred<string>();
  const headLost = deferred<string>();
  const all = deferred<void>();
  let running = false;

  // All agents start at once; the others have loaded what they need when the head answers.
  const steps: HostStep[] = hosts.map((host, index) => {
    const role = index === 0 ? "head" : "worker";
    return keepHost(
      host,
      {
        ...{ role, token, cpus: host.cpus, interface: options.interface ?? null },
        // One that is later than the deadline may still join.
        startSeconds: Math.max(deadlineSeconds, LEAST_START_SECONDS),
        // Before the deadline, so that it can be named with it.
        slowSeconds: Math.min(60, 0.7 * deadlineSeconds),
        requeue: restarts < (options.maxRequeues ?? 0),
        lastly: [...(options.lastly ?? [])],
      },
      {
        ready(address, gpus) {
          if (host.gpus !== null && gpus < host.gpus.count)
            notice(`${host.name}: job ${jobId} has ${host.gpus.count} GPUs there, but its step was given ${gpus}`);
          if (role === "head") {
            head.resolve(address);
            for (const step of steps.slice(1)) step.join(address);
          }
          if (steps.every(({ ready }) => ready)) all.resolve();
          if (running) notice(`${host.name} has joined`);
        },
        lost(reason) {
          if (role === "head") headLost.resolve(reason);
          // At the end of a job SLURM ends everything in it at once.
          if (running && options.signal?.aborted !== true) notice(reason);
        },
      },
    );
  });

  const missing = (): string =>
    steps
      .filter(({ ready }) => !ready)
      .map(({ host, reason }) => `${host.name} (${reason ?? "it has not answered"})`)
      .join(", ");

  return {
    head: head.promise,
    headLost: headLost.promise,
    async come(needed) {
      const { signal } = options;
      const settled = new AbortController();
      const over = signal === undefined ? settled.signal : AbortSignal.any([signal, settled.signal]);
      const ended = delay(deadlineSeconds * 1000, undefined, { signal: over }).catch(() => {});
      const first = await Promise.race([
        all.promise,
        ended,
        headLost.promise.then((reason) => {
          throw new DistmisError("CLUSTER_UNAVAILABLE", `the head of Ray did not start in job ${jobId}: ${reason}`);
        }),
      ])
        .then(() => steps.filter(({ ready }) => ready).length)
        .finally(() => settled.abort());
      if (signal?.aborted) throw new DistmisError("INTERRUPTED", "the start of the cluster was interrupted");
      if (!steps[0]?.ready || first < needed) {
        throw new DistmisError(
          "CLUSTER_UNAVAILABLE",
          `job ${jobId}: ${first} of ${hosts.length} nodes came within ${deadlineSeconds} s, needed ${needed} (--min-nodes, --node-deadline); missing: ${missing()}`,
        );
      }
      if (first < hosts.length) {
        notice(
          `${first} of ${hosts.length} nodes came within ${deadlineSeconds} s, and are enough; missing: ${missing()}`,
        );
      }
      running = true;
    },
    async close() {
      running = false;
      await Promise.all(steps.map((step) => step.close()));
    },
  };
}
