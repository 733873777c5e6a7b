/** What runs on each node of an allocation: one node of Ray, kept alive, and its end. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { messageOf } from "../errors/index.ts";
import { createPrivateDir } from "../files/index.ts";
import { endMarked, startRayNode } from "../ray-node/index.ts";
import { type AgentSaid, LASTLY_MILLISECONDS, type StartNode } from "./messages.ts";
import { ownAddress } from "./own-address.ts";

const MARK_VARIABLE = "DISTMIS_ALLOCATION_NODE";

/** A node whose Ray ends again and again is left alone: the time between starts doubles up to this. */
const [FIRST_PAUSE_MILLISECONDS, LONGEST_PAUSE_MILLISECONDS] = [1_000, 60_000];

/**
 * By Ray's own settings a dead node shows after 15 s, one that is cut off after 65. With these after 3 and 12: a cluster whose
 * nodes compute on all cores may answer late.
 */
const QUICK_TO_NOTICE = {
  RAY_health_check_initial_delay_ms: "2000",
  RAY_health_check_period_ms: "1000",
  RAY_health_check_timeout_ms: "3000",
  RAY_health_check_failure_threshold: "4",
};

/** GPUs that SLURM gave to this step: indices or UUIDs, never read as numbers. */
function visibleGpus(): number {
  const devices = process.env.CUDA_VISIBLE_DEVICES ?? "";
  return devices === "" || devices === "NoDevFiles" ? 0 : devices.split(",").length;
}

/**
 * Runs a node until `end`, a worker's from when `head` resolves with the head's address, and starts it again when it dies; a head that dies ends the agent, as its cluster is gone with it.
 * Nothing is left when this resolves: no process, no file.
 */
export async function runNode(
  start: StartNode,
  head: Promise<string>,
  say: (said: AgentSaid) => void,
  end: AbortSignal,
): Promise<void> {
  const address = start.role === "head" ? null : head;
  const dir = await createPrivateDir();
  const mark = randomUUID();
  // At once: nobody else uses this Ray, and SLURM kills what lives KillWait (30 s, on some clusters less) after its warning.
  const clean = (): Promise<void> => endMarked([`${MARK_VARIABLE}=${mark}`], 0);
  const tokenFile = path.join(dir.path, "token");
  const ended = new Promise<"end">((resolve) => {
    end.addEventListener("abort", () => resolve("end"), { once: true });
    if (end.aborted) resolve("end");
  });
  try {
    await fs.writeFile(tokenFile, start.token, { mode: 0o600 });
    const hostName = process.env.SLURMD_NODENAME ?? os.hostname();
    const ip = await ownAddress(start.interface, hostName);
    const gpus = visibleGpus();
    let pause = FIRST_PAUSE_MILLISECONDS;
    for (;;) {
      const began = performance.now();
      try {
        const node = await startRayNode({
          name: `Ray on ${hostName}`,
          cpus: start.cpus,
          gpus,
          resources: {},
          labels: {},
          address,
          ip,
          tempDir: path.join(dir.path, "ray"),
          logFile: path.join(dir.path, "ray.log"),
          environment: {
            ...QUICK_TO_NOTICE,
            // Else each node starts as many Pythons as it has CPUs when the shim joins, and none of them is used.
            RAY_prestart_worker_first_driver: "0",
            RAY_AUTH_MODE: "token",
            RAY_AUTH_TOKEN_PATH: tokenFile,
            RAY_AUTH_TOKEN: undefined,
            RAY_ADDRESS: undefined,
            [MARK_VARIABLE]: mark,
          },
          startSeconds: start.startSeconds,
          slow: { afterSeconds: start.slowSeconds, say: (reason) => say({ type: "slow", reason }) },
          diesWithParent: true,
          signal: end,
        });
        say({ type: "ready", address: node.address, gpus });
        const why = await Promise.race([node.ended, ended]);
        if (end.aborted) return;
        say({ type: "lost", reason: `Ray on ${hostName} is gone: ${why}` });
      } catch (error) {
        if (end.aborted) return;
        say({ type: "lost", reason: messageOf(error) });
      }
      if (address === null) return;
      await clean();
      if (performance.now() - began > LONGEST_PAUSE_MILLISECONDS) pause = FIRST_PAUSE_MILLISECONDS;
      await Promise.race([delay(pause, undefined, { signal: end }).catch(() => {}), ended]);
      if (end.aborted) return;
      pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS);
    }
  } finally {
    try {
      await clean();
    } finally {
      await dir.remove();
      await runLastly(start.lastly);
    }
  }
}

/** Whether it succeeds or not, the node is at its end. */
async function runLastly([program, ...args]: readonly string[]): Promise<void> {
  if (program === undefined) return;
  await promisify(execFile)(program, args, { timeout: LASTLY_MILLISECONDS }).catch(() => {});
}
