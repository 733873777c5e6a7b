/** TFRecords of the size of BraTS for the input benchmark. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { createTfrecord, encodeExample } from "../src/tfrecord/index.ts";

const SHARDS = { train: 16, valid: 4 };

/** MurmurHash3's finaliser of a counter: noise that no cache or disk compresses, and always the same. */
function noise(length: number, seed: number): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let bits = Math.imul(i + 1, 0x9e3779b1) + seed;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    values[i] = ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 31 - 1;
  }
  return values;
}

/**
 * Writes images [C, X, Y, Z] and labels, round robin over the shards, with DistMIS's plain info.json. A label is a ball, brighter
 * in the image, so that a network has something to learn. Returns the training shards.
 */
export async function writeInputData(
  dir: string,
  shape: readonly [number, number, number, number],
  sizes: { train: number; valid: number },
): Promise<string[]> {
  const [channels, x, y, z] = shape;
  const voxels = x * y * z;
  const shards = { train: Math.min(SHARDS.train, sizes.train), valid: Math.min(SHARDS.valid, sizes.valid) };
  for (const split of ["train", "valid"] as const) {
    for (let shard = 0; shard < shards[split]; shard++) {
      const writer = await createTfrecord(path.join(dir, `${split}_${shard}.tfrecord`));
      for (let index = shard; index < sizes[split]; index += shards[split]) {
        const image = noise(channels * voxels, index + (split === "train" ? 0 : 1000));
        const label = new Float32Array(voxels);
        const centre = [0.3 + 0.05 * (index % 8), 0.5, 0.4 + 0.03 * (index % 5)] as const;
        for (let voxel = 0; voxel < voxels; voxel++) {
          const place = [Math.floor(voxel / (y * z)) / x, (Math.floor(voxel / z) % y) / y, (voxel % z) / z] as const;
          if (Math.hypot(place[0] - centre[0], place[1] - centre[1], place[2] - centre[2]) > 0.2) continue;
          label[voxel] = 1;
          for (let channel = 0; channel < channels; channel++)
            image[channel * voxels + voxel] = 1 + (image[channel * voxels + voxel] ?? 0);
        }
        await writer.write(
          encodeExample({
            img: { shape: [...shape], data: image },
            label: { shape: [1, x, y, z], data: label },
          }),
        );
      }
      await writer.close();
    }
  }
  const info = {
    total_size: sizes.train + sizes.valid,
    train_size: sizes.train,
    valid_size: sizes.valid,
    test_size: 0,
    train_shard: shards.train,
    valid_shard: shards.valid,
    test_shard: 0,
  };
  fs.writeFileSync(path.join(dir, "info.json"), JSON.stringify(info));
  return Array.from({ length: shards.train }, (_, shard) => path.join(dir, `train_${shard}.tfrecord`));
}

/** What drops these files from the page cache, and fails where more than 1 % of them stay there. */
export function dropCommand(files: readonly string[]): string[] {
  const script =
    'for file; do dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none || exit 1; done; ' +
    'fincore --bytes --noheadings --raw --output RES,SIZE "$@" | ' +
    `awk '{ resident += $1; size += $2 } END { if (resident > size / 100) { print "in the page cache: " resident; exit 1 } }'`;
  const command = ["bash", "-c", script, "drop", ...files];
  execFileSync(command[0] as string, command.slice(1));
  return command;
}
