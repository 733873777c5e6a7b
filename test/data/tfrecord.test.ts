import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readInfo, type Split, type Volume } from "../../src/data/index.ts";
import { Example } from "../../src/generated/tensorflow/example.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";
import { decodeExample, encodeExample } from "../../src/tfrecord/index.ts";
import { readSplit } from "../support/read-split.ts";
import { failure, noise, python, tempDir, tinyDataset } from "./helpers.ts";

/** DistMIS's way to read a data set, and to write one. Prints the samples as lists. */
const DISTMIS = `
import json, sys, numpy as np, tensorflow as tf
mode, folder = sys.argv[1:]
def parse(record):
    example = tf.io.parse_single_example(record, {"img": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.string)})
    return tf.io.parse_tensor(example["img"], tf.float32), tf.io.parse_tensor(example["label"], tf.float32)
def bytes_feature(tensor):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[tf.io.serialize_tensor(tensor).numpy()]))
if mode == "write":
    for split, size in (("train", 5), ("valid", 2), ("test", 0)):
        for shard in range(2 if size else 0):
            with tf.io.TFRecordWriter(f"{folder}/{split}_{shard}.tfrecord") as writer:
                for i in range(shard, size, 2):
                    img = np.arange(3 * 2 * 4 * 5, dtype="f4").reshape(3, 2, 4, 5) + 1000 * i
                    label = (np.arange(40).reshape(1, 2, 4, 5) % (i + 2) == 0).astype("f4")
                    feature = {"img": bytes_feature(tf.constant(img)), "label": bytes_feature(tf.constant(label))}
                    writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    counts = {"total_size": 7, "train_size": 5, "valid_size": 2, "test_size": 0, "train_shard": 2, "valid_shard": 2, "test_shard": 0}
    json.dump(counts, open(f"{folder}/info.json", "w"))
info = json.load(open(f"{folder}/info.json"))
out = {}
for split in ("train", "valid", "test"):
    files = [f"{folder}/{split}_{i}.tfrecord" for i in range(info[f"{split}_shard"])]
    pairs = [] if not files else [(x.numpy(), y.numpy()) for x, y in tf.data.TFRecordDataset(files).map(parse)]
    out[split] = [{"shape": list(x.shape), "img": x.flatten().tolist(), "labelShape": list(y.shape), "label": y.flatten().tolist()} for x, y in pairs]
json.dump(out, sys.stdout)
`;

interface Sample {
  shape: number[];
  img: number[];
  labelShape: number[];
  label: number[];
}

const SPLITS = ["train", "valid", "test"] as const;

async function all(dir: string, split: Split): Promise<Volume[]> {
  const volumes: Volume[] = [];
  for await (const volume of readSplit(dir, split)) volumes.push(volume);
  return volumes;
}

/** Our channels-last volumes against Python's channels-first samples. */
async function compare(dir: string, seen: Record<Split, Sample[]>): Promise<void> {
  for (const split of SPLITS) {
    const volumes = await all(dir, split);
    assert.equal(volumes.length, seen[split].length, split);
    for (const [index, { image, label, imageShape, index: position }] of volumes.entries()) {
      const sample = seen[split][index];
      assert.ok(sample !== undefined);
      const [x, y, z, channels] = imageShape;
      assert.equal(position, index);
      assert.deepEqual(sample.shape, [channels, x, y, z]);
      assert.deepEqual(sample.labelShape, [1, x, y, z]);
      const voxels = x * y * z;
      const first = Array.from(
        { length: image.length },
        (_, at) => image[(at % voxels) * channels + Math.floor(at / voxels)],
      );
      assert.deepEqual(first, sample.img);
      assert.deepEqual(Array.from(label), sample.label);
    }
  }
}

const isSeen = (value: unknown): value is Record<Split, Sample[]> =>
  typeof value === "object" && value !== null && "train" in value;

describe("TFRecords", () => {
  it("written here are read by tf.data with DistMIS's parse function", async (t) => {
    const dir = await tempDir(t);
    const source = await tinyDataset(join(dir, "source"), {
      shapes: Array.from({ length: 7 }, () => [6, 5, 4] as const),
      modalities: 4,
    });
    await writeTfrecords({ sourceDir: source, targetDir: join(dir, "out"), split: [0.6, 0.2, 0.2] });
    const seen = python(DISTMIS, "read", join(dir, "out"));
    assert.ok(isSeen(seen));
    assert.deepEqual(
      SPLITS.map((split) => seen[split].length),
      [4, 1, 2],
    );
    await compare(join(dir, "out"), seen);
  });

  it("written by Python, with DistMIS's plain info.json, are read here", async (t) => {
    const dir = await tempDir(t);
    const seen = python(DISTMIS, "write", dir);
    assert.ok(isSeen(seen));
    assert.equal(seen.train.length, 5);
    await compare(dir, seen);
    assert.equal((await readInfo(dir)).distmis, undefined);
  });

  it("hold the same bytes as the generated messages", () => {
    const tensors = {
      img: { shape: [2, 3, 1, 4], data: noise(24) },
      label: { shape: [1, 3, 1, 4], data: noise(12, 2) },
    };
    const bytes = Buffer.concat(encodeExample(tensors));
    const decoded = Example.decode(bytes);
    assert.deepEqual(Object.keys(decoded.features?.feature ?? {}), ["img", "label"]);
    assert.deepEqual(Buffer.from(Example.encode(decoded).finish()), bytes);
    assert.deepEqual(decodeExample(bytes, ["img", "label"]), tensors);
    assert.throws(() => decodeExample(bytes, ["mask"]), /no bytes feature "mask"; it has "img", "label"/);
    assert.throws(
      () => decodeExample(Buffer.concat(encodeExample({ img: { shape: [5], data: noise(4) } })), ["img"]),
      /holds 16 bytes, expected 20/,
    );
  });

  it("that are damaged are refused with file and byte offset", async (t) => {
    const dir = await tempDir(t);
    const source = await tinyDataset(join(dir, "source"), {
      shapes: Array.from({ length: 20 }, () => [4, 4, 4] as const),
    });
    const out = join(dir, "out");
    await writeTfrecords({ sourceDir: source, targetDir: out, split: [1, 0, 0] });
    // 20 samples in 16 files: the first four hold two records each.
    const path = join(out, "train_1.tfrecord");
    const whole = await readFile(path);
    const second = whole.length / 2;
    const flip = async (at: number): Promise<void> => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
      await writeFile(path, bytes);
    };
    const refused = (...patterns: string[]): Promise<void> =>
      assert.rejects(all(out, "train"), failure("DATA_INVALID", ...patterns));
    await flip(second + 200);
    await refused(path, `byte ${second}`, "checksum of its data");
    await flip(3);
    await refused(path, "byte 0", "checksum of its length");
    await writeFile(path, whole.subarray(0, whole.length - 7));
    await refused(path, `byte ${second}`, "cut off");
    await writeFile(path, whole.subarray(0, second + 5));
    await refused(path, `byte ${second}`, "cut off");
    await writeFile(path, whole.subarray(0, second));
    await refused("holds 19 samples", "says 20");
    await rm(path);
    await assert.rejects(all(out, "train"), failure("FILE_UNUSABLE", path, "does not exist"));
    await writeFile(join(out, "info.json"), '{"total_size": 3, "train_size": -1}');
    await assert.rejects(readInfo(out), failure("DATA_INVALID", "info.json", "train_size"));
    await assert.rejects(readInfo(dir), failure("FILE_UNUSABLE", "info.json", "distmis tfrecord"));
  });
});
