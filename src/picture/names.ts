import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

export interface Names {
  /** Of an image's channels; empty if they aren't known. */
  modalities: string[];
  /** Value in a label file -> name. */
  classes: ReadonlyMap<number, string>;
}

const schema = z.looseObject({ modality: z.record(z.string(), z.string()), labels: z.record(z.string(), z.string()) });

/**
 * What the dataset.json of the Decathlon's layout says, where `image` lies in an imagesTr or imagesTs beside one. Names are a help and no more: a
 * missing or strange dataset.json gives none.
 */
export async function namesFor(image: string): Promise<Names> {
  const none: Names = { modalities: [], classes: new Map() };
  const folder = dirname(image);
  if (!/^images/.test(basename(folder))) return none;
  try {
    const { modality, labels } = schema.parse(JSON.parse(await readFile(join(folder, "..", "dataset.json"), "utf8")));
    const byNumber = (record: Record<string, string>): [number, string][] =>
      Object.entries(record)
        .map(([key, name]): [number, string] => [Number(key), name])
        .sort(([a], [b]) => a - b);
    return { modalities: byNumber(modality).map(([, name]) => name), classes: new Map(byNumber(labels)) };
  } catch {
    return none;
  }
}
