/**
 * How long a job waits for its Ray: from the first line of its batch script until a program sees all of four nodes, on a real SLURM
 * of namespaces on this machine. Against DistMIS's own script (its options of today's Ray, its sleeps) and `ray symmetric-run`.
 * Takes root and slurm-wlm.
 *   npm run bench -- bringup [--json]
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { slurmMissing, startSlurmCluster } from "../test/slurm/slurm-cluster.ts";
import { repositoryRoot, testPython } from "../test/support/python.ts";
import { compared, median, printer } from "./frame.ts";

const NODES = 4;
const GPUS = 4;
const ROUNDS = 3;

const missing = slurmMissing();
if (missing !== null) throw new Error(`bringup can't be measured here: ${missing}`);

const peers = path.join(import.meta.dirname, "peers");
const ours = path.join(import.meta.dirname, "bringup-ours.mjs");
const SIDES = {
  ours: `exec ${process.execPath} ${ours} ${NODES}`,
  distmis: `exec bash ${peers}/bringup_distmis.sh`,
  symmetric: `exec bash ${peers}/bringup_symmetric.sh`,
} as const;
type Side = keyof typeof SIDES;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-bringup-"));
const cluster = await startSlurmCluster({ nodes: NODES, gpus: GPUS, cpus: 8 });

/** Seconds from the job's start to the line that says that all nodes are there. */
async function bringUp(side: Side): Promise<number> {
  const [script, log] = [path.join(folder, `${side}.sbatch`), path.join(folder, `${side}.log`)];
  const setUp = `export PATH=${path.dirname(testPython)}:$PATH RAY_USAGE_STATS_ENABLED=0 PYTHONPATH=`;
  fs.writeFileSync(script, `#!/bin/bash\necho "began $(date +%s.%N)"\n${setUp}\n${SIDES[side]}\n`);
  const resources = [`-N${NODES}`, "--ntasks-per-node=1", "--cpus-per-task=8", `--gpus-per-node=${GPUS}`];
  const where = [`--chdir=${repositoryRoot}`, `--output=${log}`, "--open-mode=truncate"];
  // Its end is not measured: `ray symmetric-run` ends with 1 where `ray stop` had to kill.
  await cluster.exec("bash", "-c", 'sbatch --wait "$@" || true', "-", ...resources, ...where, script);
  const printed = fs.readFileSync(log, "utf8");
  const time = (word: string): number => Number(new RegExp(`^${word} ([\\d.]+)$`, "m").exec(printed)?.[1]);
  const seconds = time("usable") - time("began");
  if (!(seconds > 0)) throw new Error(`${side} did not come up: ${printed}`);
  return seconds;
}

const seconds: Record<Side, number[]> = { ours: [], distmis: [], symmetric: [] };
const print = printer(`seconds until ${NODES} nodes of a job are usable; medians of ${ROUNDS} rounds in turn`);
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of Object.keys(SIDES) as Side[]) seconds[side].push(await bringUp(side));
  }
} finally {
  await cluster.stop();
  fs.rmSync(folder, { recursive: true });
}
for (const [side, name] of [
  ["distmis", "distmis-script"],
  ["symmetric", "symmetric-run"],
] as const) {
  print(compared("bringup", `time, ${NODES} nodes, vs ${name}`, median(seconds.ours), median(seconds[side]), "s"));
}
