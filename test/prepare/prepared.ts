/** Data sets of a few volumes, written with many options. */
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { OwnInfo, Split, Volume } from "../../src/data/index.ts";
import { type WriteTfrecordsOptions, writeTfrecords } from "../../src/prepare/index.ts";
import { type TinyOptions, tempDir, tinyDataset } from "../data/helpers.ts";
import { readSplit } from "../support/read-split.ts";

/** All volumes of a split. */
export async function all(dir: string, split: Split): Promise<Volume[]> {
  const volumes: Volume[] = [];
  for await (const volume of readSplit(dir, split)) volumes.push(volume);
  return volumes;
}

export type Options = Omit<WriteTfrecordsOptions, "sourceDir" | "targetDir">;

/** A tiny data set, and a function that writes it into a folder of its own each time and returns what info.json says. */
export async function prepared(t: TestContext, tiny: TinyOptions) {
  const dir = await tempDir(t);
  const sourceDir = await tinyDataset(join(dir, "source"), tiny);
  let runs = 0;
  const write = async (options: Options): Promise<{ own: OwnInfo; dir: string; notes: string[] }> => {
    const targetDir = join(dir, `out${runs++}`);
    const { info, notes } = await writeTfrecords({ sourceDir, targetDir, ...options });
    if (info.distmis === undefined) throw new Error("info.json has no distmis");
    return { own: info.distmis, dir: targetDir, notes };
  };
  return { sourceDir, write };
}

export const same = (count: number, ...shape: [number, number, number]) => Array.from({ length: count }, () => shape);

/** Numbers of the images of a split, in the order of its samples. */
export const images = (own: OwnInfo, split: Split): string[] =>
  own.samples[split].map(({ image }) => image.path.replace(/\D/g, ""));
