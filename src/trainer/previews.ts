/** Segmentations of a few validation cases, kept whenever a trial gets better: what a person sees of how it learns. */
import fs from "node:fs/promises";
import path from "node:path";
import { classValues, type DatasetInfo, gridAffine, moveFirstAxisFirst, type Shape3 } from "../data/index.ts";
import { replaceFile } from "../files/index.ts";
import { writeNifti } from "../nifti/index.ts";
import { previewFiles } from "../run-folder/index.ts";
import type { EvaluationOptions } from "./evaluation.ts";
import { unsaved } from "./save.ts";

export interface Previews {
  /** For the evaluation, which computes them anyway. */
  see: NonNullable<EvaluationOptions["see"]>;
  /**
   * Writes what the last evaluation has shown.
   * @param dice of each volume of the split
   * @throws DistmisError DISK_FULL; TRAINER_FAILED where this node can't write there for another reason
   */
  keep(epoch: number, dice: readonly number[]): Promise<void>;
}

/**
 * Of the first `count` volumes of the validation split. They cost what is written: the last evaluation's copies are in memory
 * until the next one. Of several replicas only rank 0 keeps those that it evaluates itself, the first batch among them.
 * @param trialDir absolute
 */
export function createPreviews(trialDir: string, count: number, shape: Shape3, info: DatasetInfo): Previews {
  const seen = new Map<number, Float32Array>();
  const write = async (epoch: number, dice: readonly number[]): Promise<void> => {
    const cases = [...seen.keys()].sort((a, b) => a - b);
    if (cases.length === 0) return;
    await fs.mkdir(path.join(trialDir, previewFiles.dir), { recursive: true });
    for (const index of cases) {
      const spacing = info.distmis?.samples.valid[index]?.spacing ?? null;
      await writeNifti(path.join(trialDir, previewFiles.volume(epoch, index)), {
        data: valuesOf(moveFirstAxisFirst(seen.get(index) ?? new Float32Array(), shape), info),
        shape,
        affine: gridAffine(spacing, info.distmis?.preprocessing.orientation ?? null),
        description: `distmis, epoch ${epoch}`,
      });
    }
    // JSON has no NaN: null.
    await replaceFile(path.join(trialDir, previewFiles.facts(epoch)), JSON.stringify({ epoch, dice, cases }));
  };
  return {
    see: { volume: (index) => index < count, chosen: (index, classes) => seen.set(index, classes) },
    keep: (epoch, dice) =>
      write(epoch, dice).catch((error: unknown) => {
        throw unsaved(error);
      }),
  };
}

/** As in the label files: a network's classes are places among their values. */
function valuesOf(places: Float32Array, { distmis }: DatasetInfo): Uint8Array | Uint16Array {
  if (distmis?.preprocessing.labels.mode !== "multiclass") return Uint8Array.from(places);
  const values = classValues(distmis.preprocessing);
  const named = places.map((place) => values[place] ?? place);
  return Math.max(...values) > 255 ? Uint16Array.from(named) : Uint8Array.from(named);
}
