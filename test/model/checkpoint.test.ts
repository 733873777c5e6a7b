import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { modelSchema, trainSchema } from "../../src/config/schema.ts";
import {
  checkpointBytes,
  initialState,
  parameterCount,
  readCheckpoint,
  stateTensors,
  stateValues,
  unet,
  writeCheckpoint,
} from "../../src/model/index.ts";
import { readSafetensors, writeSafetensors } from "../../src/model/safetensors.ts";
import { flatten, loadTensorFlow } from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
const model = modelSchema.parse({ filters: 2, depth: 1 });
const network = unet(runtime, model, 1, 1);
const count = parameterCount(network.parameters);

let dir = "";
before(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-checkpoint-"));
});
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const factsOf = (train: object) => ({
  format: 1 as const,
  model,
  train: trainSchema.parse(train),
  channels: 1,
  outputs: 1,
  epoch: 3,
  step: 9,
  metrics: { loss: 0.5, val_loss: Number.NaN },
  goal: { metric: "val_dice", mode: "max" as const },
  best: { value: 0.5, epoch: 2 },
  kept: [{ value: 0.5, epoch: 2 }],
  progress: { value: 0.4, epoch: 1 },
  reports: [{ epoch: 3, metrics: { loss: 0.5 }, checkpoint: "" }],
  preprocessing: null,
  versions: {},
  origin: {
    experiment: "e",
    trial: "0001",
    attempt: 1,
    host: "node1",
    time: "2026-01-02T03:04:05.678Z",
    data: { dir: "/data", name: null, info_sha256: "00" },
  },
});

for (const [train, names] of [
  [{ optimizer: "sgd" }, ["velocity"]],
  [{ optimizer: "adamw", amsgrad: true }, ["first", "largest", "second"]],
  [{}, ["first", "second"]],
] as const) {
  test(`what the optimiser remembers (${names.join(", ")}) comes back as it was`, async () => {
    const file = path.join(dir, "state.safetensors");
    const facts = factsOf(train);
    const state = initialState(runtime, network, facts.train);
    const values = stateValues(state);
    tf.dispose(flatten(state));
    for (const [index, name] of names.entries()) values.slots[name]?.fill(index + 1);
    await writeCheckpoint(file, network, values, facts);
    const read = await readCheckpoint(file, () => network);
    assert.deepEqual(read.facts, facts);
    const reckoned = checkpointBytes(model, facts.train, 1, 1) - fs.statSync(file).size;
    assert.ok(reckoned >= 0 && reckoned < 16 * 1024, `${reckoned} bytes more than there are`);
    assert.deepEqual(read.stored, values);
    assert.deepEqual(Object.keys(read.stored.slots).sort(), names);
    const again = stateTensors(tf, read.stored, facts.train);
    assert.deepEqual(stateValues(again), values);
    tf.dispose(flatten(again));
    assert.equal(tf.memory().numTensors, 0);
  });
}

test("a checkpoint from before there were several optimisers is read", async () => {
  const file = path.join(dir, "old.safetensors");
  const { kept, progress, reports, outputs, train, goal, origin, ...facts } = factsOf({});
  const { optimizer, schedule, keep_best, ...oldTrain } = train;
  const state = initialState(runtime, network, train);
  await writeCheckpoint(file, network, { ...stateValues(state), slots: {} }, factsOf({}));
  tf.dispose(flatten(state));
  const { tensors } = await readSafetensors(file);
  const slot = (name: string, size: number) => ({
    name: `optimizer.${name}`,
    shape: [size],
    data: new Float32Array(size).fill(7),
  });
  await writeSafetensors(file, [...tensors.values(), slot("first", count), slot("second", count), slot("largest", 0)], {
    format: "distmis",
    distmis: JSON.stringify({ ...facts, train: oldTrain }),
  });
  const read = await readCheckpoint(file, () => network);
  assert.deepEqual(Object.keys(read.stored.slots).sort(), ["first", "second"]);
  assert.equal(read.stored.slots.first?.[count - 1], 7);
  assert.deepEqual(read.facts.train, train);
  assert.deepEqual([read.facts.outputs, read.facts.kept, read.facts.progress], [1, [], null]);
  assert.deepEqual(read.facts.reports, []);
  assert.deepEqual([read.facts.goal, read.facts.origin], [null, null]);

  await writeSafetensors(file, [...tensors.values(), slot("first", count - 1)], {
    format: "distmis",
    distmis: JSON.stringify(facts),
  });
  await assert.rejects(
    readCheckpoint(file, () => network),
    { code: "DATA_INVALID" },
  );
});
