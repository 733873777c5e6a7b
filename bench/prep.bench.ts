/**
 * A data set of 16 full-size volumes of BraTS to TFRecords: `distmis tfrecord` against DistMIS's pipeline on nibabel and tf.data
 * (peers/distmis_prep.py), each as a user starts it, from the start of the process to its end. Needs the sample of Task01 in
 * shared/data (DISTMIS_SHARED_DATA) and 6 GB of disk; source files come from the page cache on both sides. Ours has all of its
 * output on the disk when it ends (fdatasync), the peer leaves that to the system.
 *   npm run bench -- prep [--json]
 */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { packageRoot, pythonPath } from "../src/paths/index.ts";
import { compared, memory, printer, type Sample, seconds } from "./frame.ts";

const VOLUMES = 16;
const ROUNDS = 2;

const peers = path.join(import.meta.dirname, "peers");
const shared = process.env.DISTMIS_SHARED_DATA ?? path.join(packageRoot(), "../shared/data");
const run = promisify(execFile);

/** The sample's pairs, again and again under other names. */
async function repeatSample(target: string): Promise<void> {
  const source = path.join(shared, "Task01_BrainTumour_sample");
  const dataset = JSON.parse(await readFile(path.join(source, "dataset.json"), "utf8"));
  const pairs: { image: string; label: string }[] = dataset.training;
  const training = Array.from({ length: VOLUMES }, (_, index) => ({
    image: `./imagesTr/volume_${index}.nii.gz`,
    label: `./labelsTr/volume_${index}.nii.gz`,
  }));
  for (const [index, pair] of training.entries()) {
    const from = pairs[index % pairs.length];
    if (from === undefined) throw new Error(`${source}: no volumes`);
    await cp(path.join(source, from.image), path.join(target, pair.image));
    await cp(path.join(source, from.label), path.join(target, pair.label));
  }
  await writeFile(path.join(target, "dataset.json"), JSON.stringify({ ...dataset, training }));
}

/** Runs a command into a fresh folder; whatever is still to be written then doesn't burden the next one. */
async function measure(command: readonly string[], output: string): Promise<Sample> {
  await rm(output, { recursive: true, force: true });
  await mkdir(output);
  await run("sync");
  const { stdout } = await run(pythonPath(), [path.join(peers, "measure.py"), ...command]);
  return JSON.parse(stdout);
}

const dir = await mkdtemp(path.join(tmpdir(), "distmis-bench-prep-"));
try {
  const [source, ours, peer] = [path.join(dir, "source"), path.join(dir, "ours"), path.join(dir, "peer")];
  await repeatSample(source);
  const options = ["--source-dir", source, "--target-dir", ours];
  const sides = {
    ours: [process.execPath, path.join(packageRoot(), "bin", "distmis"), "tfrecord", ...options],
    peer: [pythonPath(), path.join(peers, "distmis_prep.py"), source, peer],
  };
  const samples: Record<keyof typeof sides, Sample[]> = { ours: [], peer: [] };
  for (let round = 0; round < ROUNDS; round++) {
    samples.ours.push(await measure(sides.ours, ours));
    samples.peer.push(await measure(sides.peer, peer));
    // The same work: the same shapes, and values that differ by rounding alone.
    await run(pythonPath(), [path.join(peers, "compare_records.py"), ours, peer]);
    for (const output of [ours, peer]) await rm(output, { recursive: true });
  }
  const print = printer(
    `${VOLUMES} volumes of 240 x 240 x 155 x 4 to TFRecords, whole process, median of ${ROUNDS} runs`,
  );
  const name = (metric: string) => `${metric}, ${VOLUMES} volumes, vs distmis`;
  print(compared("prep", name("time"), seconds(samples.ours), seconds(samples.peer), "s"));
  print(compared("prep", name("memory"), memory(samples.ours), memory(samples.peer), "MB"));
} finally {
  await rm(dir, { recursive: true, force: true });
}
