/**
 * TFRecords to batches in TensorFlow: ours and tf.data on the same shards, seconds a volume, with the page cache dropped, with it
 * filled, and with the decoded volumes kept. What augmentation costs a volume. And what share of its epochs a real training
 * waits for data.
 *   npm run bench -- input [--json] [--quick]
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { augment, withPreset } from "../src/augment/index.ts";
import { augmentationSchema, experimentSchema, trialConfigSchema } from "../src/config/index.ts";
import type { Volume } from "../src/data/index.ts";
import { entryCommand, pythonPath } from "../src/paths/index.ts";
import { arraysIn, memoryFor } from "../src/pipeline/arrays.ts";
import { compared, inTurn, printer, type Sample, seconds } from "./frame.ts";
import type { InputCase } from "./input-case.ts";
import { dropCommand, writeInputData } from "./input-data.ts";

const THREADS = 2;
const BATCH = 2;
const quick = process.argv.includes("--quick");
const SHAPE = quick ? ([4, 64, 64, 64] as const) : ([4, 120, 120, 152] as const);
const SIZES = { train: 16, valid: 4 };
const environment = { DISTMIS_CPUS: String(THREADS) };

const here = path.dirname(fileURLToPath(import.meta.url));
const ours = entryCommand(new URL("./input-ours.ts", import.meta.url));
const peer = [pythonPath(), path.join(here, "peers", "tfdata_input.py")];
const training = entryCommand(new URL("./input-training.ts", import.meta.url));

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-input-"));
try {
  const print = printer(`input, volumes of ${SHAPE.join(" x ")}, batches of ${BATCH}, ${THREADS} threads`);
  const files = await writeInputData(dir, SHAPE, SIZES);
  const drop = dropCommand(files);
  for (const [mode, name] of [
    ["cold", "time, cold, vs tf-data"],
    ["warm", "time, warm, vs tf-data"],
    ["cache", "time, decoded cache, vs tf-data-cache"],
  ] as const) {
    const given: InputCase = {
      dir,
      files,
      size: SIZES.train,
      shape: [...SHAPE],
      mode,
      drop,
      shuffle: 4 * BATCH,
      batch: BATCH,
      threads: THREADS,
      warmUp: 1,
      epochs: quick ? 2 : 3,
      verify: true,
    };
    const args = [JSON.stringify(given)];
    const sides = { ours: { command: [...ours, ...args] }, peer: { command: [...peer, ...args] } };
    const samples = await inTurn(sides, quick ? 1 : 2);
    checkSame([...samples.ours, ...samples.peer]);
    print(compared("input", name, seconds(samples.ours), seconds(samples.peer), "s a volume"));
  }

  const alone = { bench: "input", peer: null, ratio: null };
  for (const [name, section] of [
    ["distmis preset", { preset: "distmis" }],
    ["everything", { rotation: {}, scaling: {}, flip: {}, gaussian_noise: {}, intensity: {}, gamma: {} }],
  ] as const) {
    print({ ...alone, case: `time, augmentation ${name}`, ours: augmentation(section), unit: "s a volume" });
  }

  const shares: number[] = [];
  for (const [name, train, cache] of [
    ["plain", {}, 4],
    ["distmis preset", { augmentation: { preset: "distmis" } }, 4],
    ["nothing kept", {}, 0],
  ] as const) {
    const { search, failure, ...config } = experimentSchema.parse({
      name: "input",
      data: { dir, cache_gigabytes: cache },
      train: { epochs: 2, batch_size_per_replica: BATCH, previews: 0, ...train },
    });
    const command = [...training, JSON.stringify(trialConfigSchema.parse(config))];
    const { trial } = await inTurn({ trial: { command, environment } }, 1);
    const [share] = (trial as (Sample & { share: number })[]).map((sample) => sample.share);
    shares.push(share ?? Number.NaN);
    print({ ...alone, case: `share, waiting, ${name}`, ours: share ?? Number.NaN, unit: "of the epochs" });
  }
  print({ ...alone, case: "share, waiting", ours: Math.max(...shares), unit: "of the epochs, the largest" });
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}

/** Whether all sides have delivered the same volumes, each once. */
function checkSame(samples: readonly (Sample & { digests?: string[] })[]): void {
  const [first] = samples.map(({ digests }) => digests ?? []);
  if (new Set(first).size !== SIZES.train) throw new Error(`${new Set(first).size} different volumes`);
  for (const { digests } of samples) {
    if (digests?.join() !== first?.join()) throw new Error("the sides have delivered different volumes");
  }
}

/** Mean seconds a volume, as a thread of the pipeline spends them: into memory that is there. */
function augmentation(section: unknown): number {
  const [channels, ...spatial] = SHAPE;
  const imageShape: Volume["imageShape"] = [...spatial, channels];
  const arrays = () => arraysIn(new SharedArrayBuffer(memoryFor(imageShape, 1)), imageShape, 1);
  const [from, to] = [arrays(), arrays()];
  for (const [i, value] of from.images.entries()) from.images[i] = Math.sin(i) + value;
  const config = withPreset(augmentationSchema.parse(section));
  const room = { image: to.images, label: to.labels };
  const volume = { image: from.images, label: from.labels, imageShape };
  // The mean over the epochs: what is seldom but costs much counts as often as it happens.
  const [warmUp, count] = [10, 60];
  let start = 0;
  for (let index = 0; index < warmUp + count; index++) {
    if (index === warmUp) start = performance.now();
    const result = augment({ ...volume, index }, config, 1, 1, room);
    if (result.image === volume.image) room.image.set(volume.image);
    if (result.label === volume.label) room.label.set(volume.label);
  }
  return (performance.now() - start) / 1000 / count;
}
