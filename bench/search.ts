/** Searches on logical GPUs whose trials only wait, report, or end at once: what is measured is distmis alone. */
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Cluster, RunEvent } from "../src/index.ts";
import { packageRoot } from "../src/paths/index.ts";
import { connect, defineExperiment, runExperiment } from "./built.ts";

/**
 * The seconds that a trial takes; or a gate, where all trials of its name wait for each other, so that then as many workers are up;
 * or how long it reports how many times a second (default: as fast as it may). See tasks/planned.mjs.
 */
export type PlanEntry = number | string | { seconds: number; rate?: number };

const module = path.join(packageRoot(), "bench", "tasks", "planned.mjs");

/** Runs `use` on a local Ray with so many logical GPUs, which is gone after it, and a folder, which is gone at the end of the process. */
export async function withCluster<T>(gpus: number, use: (cluster: Cluster, dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), "distmis-bench-"));
  // Not now: ext4 looks for an inode that was not freed within the last minutes, so that files made soon after cost three times as much.
  process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
  const cluster = await connect({ gpus, cpus: gpus });
  try {
    return await use(cluster, dir);
  } finally {
    await cluster.close();
  }
}

/** Runs one trial for each entry of the plan, in its order; throws if one does not complete. Returns the run's folder. */
export async function runPlan(
  cluster: Cluster,
  { dir, name, gpus, plan }: { dir: string; name: string; gpus: number; plan: readonly PlanEntry[] },
  on: (event: RunEvent) => void,
): Promise<string> {
  const file = path.join(dir, `${name}.json`);
  await writeFile(file, JSON.stringify(plan));
  const experiment = defineExperiment({
    name,
    trainer: { module, parameters: { plan: file } },
    search: {
      metric: "score",
      space: { "trainer.parameters.index": { grid: plan.map((_, index) => index + 1) } },
    },
    resources: { replicas: 1, gpus_per_replica: 1, cpus_per_replica: 1, max_concurrent_trials: gpus },
  });
  const run = runExperiment(cluster, experiment, { runDir: path.join(dir, "runs", name) });
  for await (const event of run) {
    on(event);
    if (event.type === "trial_ended" && event.state !== "completed") throw new Error(event.error ?? event.state);
  }
  await run.results;
  return run.runDir;
}
