/** Files that are almost NIfTI, made from the fixtures of the tests. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { caseRandom, type Random } from "../random.ts";
import { packAndDamage } from "./mutate-gzip.ts";
import { mutateHeader, splitPair } from "./mutate-header.ts";

export interface Case {
  /** Name and bytes of one file, or of two that belong together. */
  files: { name: string; bytes: Buffer }[];
  /** The file to name to the reader. */
  open: string;
  /** What was done, for a person. */
  what: string;
}

const FIXTURES = join(import.meta.dirname, "../../test/fixtures/nifti");
const NAMES = [
  ...["standard.nii.gz", "5D_small.nii", "resampled_anat_moved.nii", "example_nifti2.nii.gz", "functional.nii"],
  ...["analyze.hdr", "nifti1.hdr", "nifti2.hdr", "row_major.dconn.nii"],
];
/** Short ones are quick, and chosen more often. */
const WEIGHTS = [10, 10, 6, 2, 1, 1, 1, 1, 1];
const PAIR_SHARE = 0.12;

/** Makes the case of a seed and a number: always the same bytes. */
export function caseMaker(seed: number): (index: number) => Case {
  const bases = NAMES.map((name) => {
    const stored = readFileSync(join(FIXTURES, name));
    return { name, bytes: name.endsWith(".gz") ? gunzipSync(stored) : stored };
  });
  const lottery = bases.flatMap((base, index) => Array.from({ length: WEIGHTS[index] ?? 1 }, () => base));
  const others = bases.map(({ bytes }) => bytes);

  return (index) => {
    const random = caseRandom(seed, index);
    const base = lottery[random.below(lottery.length)];
    if (base === undefined) throw new Error("there are no fixtures");
    const mutated = mutateHeader(base.bytes, random, others);
    const pair = random.chance(PAIR_SHARE) ? splitPair(mutated.bytes) : null;
    const stem = `case-${index}`;
    const what = `${base.name}: ${mutated.what}`;
    if (pair !== null) return pairCase(stem, what, pair, random);
    const packed = packAndDamage(mutated.bytes, random);
    const name = `${stem}.${random.pick(["nii", "nii.gz"])}`;
    return { files: [{ name, bytes: packed.bytes }], open: name, what: `${what}; ${packed.what}` };
  };
}

function pairCase(stem: string, what: string, pair: { header: Buffer; image: Buffer }, random: Random): Case {
  const header = packAndDamage(pair.header, random);
  const image = packAndDamage(pair.image, random);
  const files = [
    { name: `${stem}.hdr`, bytes: header.bytes },
    { name: `${stem}.img`, bytes: image.bytes },
  ];
  const open = `${stem}.${random.pick(["hdr", "img"])}`;
  // Now and then the other file is missing.
  const kept = random.chance(0.05) ? files.filter(({ name }) => name === open) : files;
  return { files: kept, open, what: `${what}; pair: ${header.what}; ${image.what}` };
}
