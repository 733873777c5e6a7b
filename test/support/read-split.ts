/** The volumes of a split, one after the other in this thread. */
import { readInfo, type Split, type Volume } from "../../src/data/index.ts";
import { arraysIn, memoryFor } from "../../src/pipeline/arrays.ts";
import { indexSplit } from "../../src/pipeline/index.ts";
import { recordReader } from "../../src/pipeline/read-volume.ts";

export async function* readSplit(dir: string, split: Split): AsyncGenerator<Volume, void> {
  const { records, shape } = await indexSplit(dir, await readInfo(dir), split);
  const reader = recordReader();
  for (const [index, place] of records.entries()) {
    const { images, labels } = arraysIn(new SharedArrayBuffer(memoryFor(shape, 1)), shape, 1);
    reader.read(place, shape, { images, labels });
    yield { image: images, label: labels, imageShape: shape, index };
  }
}
