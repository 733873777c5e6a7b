/** Ways to pack bytes, and changes to the packed ones. */
import { gzipSync } from "node:zlib";
import type { Random } from "../random.ts";

/** A gzip member of 1/1000 of this size; twice as much as a reader passes over behind the voxels, and some more. */
const BOMB_BYTES = 130 * 2 ** 20;
const BOMB_SHARE = 1 / 500;
let bomb: Buffer | null = null;

function pack(bytes: Buffer, random: Random): { bytes: Buffer; what: string } {
  const level = random.pick([1, 1, 6, 0]);
  const way = random.below(10);
  if (random.chance(BOMB_SHARE)) {
    bomb ??= gzipSync(Buffer.alloc(BOMB_BYTES), { level: 9 });
    return { bytes: Buffer.concat([gzipSync(bytes, { level }), bomb]), what: "gzip bomb" };
  }
  if (way === 0) {
    const at = random.below(bytes.length + 1);
    const members = [bytes.subarray(0, at), bytes.subarray(at)].map((part) => gzipSync(part, { level }));
    return { bytes: Buffer.concat(members), what: "two members" };
  }
  if (way === 1) return { bytes: gzipSync(gzipSync(bytes, { level }), { level }), what: "gzip twice" };
  return { bytes: gzipSync(bytes, { level }), what: "gzip" };
}

type Damage = readonly [name: string, apply: (bytes: Buffer, random: Random) => Buffer];

const DAMAGES: readonly [Damage, ...Damage[]] = [
  ["gzip header", (bytes, random) => changed(bytes, random, 2, 10)],
  ["gzip trailer", (bytes, random) => changed(bytes, random, Math.max(0, bytes.length - 8), bytes.length)],
  ["deflate stream", (bytes, random) => changed(bytes, random, 10, bytes.length)],
  ["gzip cut", (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1))],
  ["gzip magic alone", (bytes, random) => bytes.subarray(0, random.below(20))],
  ["zeros behind", (bytes, random) => Buffer.concat([bytes, Buffer.alloc(random.below(2000))])],
  ["garbage behind", (bytes, random) => Buffer.concat([bytes, changed(Buffer.alloc(300), random, 0, 300)])],
  ["member cut behind", (bytes, random) => Buffer.concat([bytes, bytes.subarray(0, random.below(bytes.length))])],
];

function changed(bytes: Buffer, random: Random, from: number, to: number): Buffer {
  if (to <= from) return bytes;
  for (let count = 1 + random.below(4); count > 0; count--) bytes[from + random.below(to - from)] = random.below(256);
  return bytes;
}

/** Bytes as they are or gzipped, whole or damaged; returns what was done. */
export function packAndDamage(bytes: Buffer, random: Random): { bytes: Buffer; what: string } {
  if (random.chance(0.5)) return { bytes, what: "plain" };
  const packed = pack(bytes, random);
  if (random.chance(0.6)) return packed;
  const [name, apply] = random.pick(DAMAGES);
  return { bytes: apply(Buffer.from(packed.bytes), random), what: `${packed.what}, ${name}` };
}
