/** The segmentations of validation cases that a trial has kept. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { previewFiles, runFiles } from "./layout.ts";

const factsSchema = z.object({
  epoch: z.int().min(1),
  /** Dice of each volume of the validation split. */
  dice: z.array(z.number().nullable()),
  /** Places in the split of those whose segmentations are there. */
  cases: z.array(z.int().min(0)),
});

/** What is known of an epoch whose segmentations are kept. */
export type PreviewFacts = z.output<typeof factsSchema>;

/** By epoch; empty if there are none. @throws DistmisError FILE_UNUSABLE, DATA_INVALID naming the file */
export async function readPreviews(runDir: string, trial: string): Promise<PreviewFacts[]> {
  const dir = runFiles.trial(runDir, trial);
  const names = await readdir(path.join(dir, previewFiles.dir)).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be read: ${messageOf(error)}`, { cause: error });
  });
  const epochs = names.flatMap((name) => {
    const found = /^epoch-(\d+)\.json$/.exec(name)?.[1];
    return found === undefined ? [] : [Number(found)];
  });
  const facts = epochs
    .toSorted((a, b) => a - b)
    .map(async (epoch) => {
      const file = path.join(dir, previewFiles.facts(epoch));
      try {
        return factsSchema.parse(JSON.parse(await readFile(file, "utf8")));
      } catch (error) {
        throw new DistmisError("DATA_INVALID", `${file}: not what distmis writes there: ${messageOf(error)}`, {
          cause: error,
        });
      }
    });
  return Promise.all(facts);
}
