/** Segmentations of a few validation cases, kept whenever a trial gets better: what a person sees of how it learns. */
import fs from "node:fs/promises";
import path from "node:path";
import { classValues, type DatasetInfo, gridAffine, moveFirstAxisFirst, type Shape3 } from "../data/index.ts";
import { replaceFile } from "../files/index.ts";
import { niftiStem, writeNifti } from "../nifti/index.ts";
import { drawStill, type PictureVolume } from "../picture/index.ts";
import { previewFiles } from "../run-folder/index.ts";
import type { EvaluationOptions, SeenVolume } from "./evaluation.ts";
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

/** A tenth of a second for a picture is nothing beside an epoch of minutes, and much beside one of a second. */
const MOST_SHARE_OF_TIME = 0.01;

export interface PreviewOptions {
  /** Absolute. */
  trialDir: string;
  /** So many volumes, the first ones of the validation split. */
  count: number;
  /** X, Y, Z */
  shape: Shape3;
  info: DatasetInfo;
  /** Draw the first of them as well, for TensorBoard, at most in {@link MOST_SHARE_OF_TIME}. */
  picture: boolean;
}

/**
 * Of the first `count` volumes of the validation split. They cost what is written: the last evaluation's copies are in memory
 * until the next one. Of several replicas only rank 0 keeps those that it evaluates itself, the first batch among them.
 */
export function createPreviews({ trialDir, count, shape, info, picture }: PreviewOptions): Previews {
  const seen = new Map<number, Float32Array>();
  let drawn: PictureVolume | null = null;
  let nextPicture = 0;
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
    const first = seen.get(0);
    const begin = performance.now();
    if (drawn !== null && first !== undefined && begin >= nextPicture) {
      const prediction = { values: Uint16Array.from(valuesOf(first, info)), names: drawn.truth?.names ?? new Map() };
      const png = drawStill({ ...drawn, title: `${drawn.title}, epoch ${epoch}`, prediction });
      await replaceFile(path.join(trialDir, previewFiles.picture(epoch)), [png]);
      const end = performance.now();
      nextPicture = end + (end - begin) / MOST_SHARE_OF_TIME;
    }
    // JSON has no NaN: null.
    await replaceFile(path.join(trialDir, previewFiles.facts(epoch)), JSON.stringify({ epoch, dice, cases }));
  };
  return {
    see: {
      volume: (index) => index < count,
      chosen(volume) {
        seen.set(volume.index, volume.classes);
        if (picture && volume.index === 0) drawn ??= drawable(volume, shape, info);
      },
    },
    keep: (epoch, dice) =>
      write(epoch, dice).catch((error: unknown) => {
        throw unsaved(error);
      }),
  };
}

/** The first channel of a volume, with its truth. */
function drawable({ image, truth }: SeenVolume, shape: Shape3, info: DatasetInfo): PictureVolume {
  const { distmis } = info;
  const sample = distmis?.samples.valid[0];
  const [x = 1, y = 1, z = 1] = sample?.spacing ?? [];
  const channels = image.length / truth.length;
  const names = Object.entries(distmis?.classes ?? {}).map(([value, name]) => [Number(value), name] as const);
  const binary = distmis?.preprocessing.labels.mode !== "multiclass";
  return {
    title: sample === undefined ? "validation case 0" : niftiStem(sample.image.path),
    stem: "",
    shape,
    strides: [shape[1] * shape[2], shape[2], 1],
    spacing: sample?.spacing ? [x, y, z] : null,
    orientation: distmis?.preprocessing.orientation ?? null,
    channels: [
      {
        name: distmis?.preprocessing.modalities[0] ?? "channel 0",
        data: Float32Array.from(truth, (_, at) => image[at * channels] ?? 0),
      },
    ],
    truth: { values: Uint16Array.from(valuesOf(truth, info)), names: new Map(binary ? [[1, "foreground"]] : names) },
    prediction: null,
    notes: [],
  };
}

/** As in the label files: a network's classes are places among their values. */
function valuesOf(places: Float32Array, { distmis }: DatasetInfo): Uint8Array | Uint16Array {
  if (distmis?.preprocessing.labels.mode !== "multiclass") return Uint8Array.from(places);
  const values = classValues(distmis.preprocessing);
  const named = places.map((place) => values[place] ?? place);
  return Math.max(...values) > 255 ? Uint16Array.from(named) : Uint8Array.from(named);
}
