import { basename, join, resolve } from "node:path";
import {
  classValues,
  type DatasetInfo,
  decodeExample,
  type Preprocessing,
  readInfo,
  type Shape3,
  type Split,
  shapeAfterCut,
  type Tensor,
} from "../data/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { type NiftiHeader, niftiStem, readNiftiHeader } from "../nifti/index.ts";
import { loadNifti } from "./load-nifti.ts";
import type { Names } from "./names.ts";
import { recordAt, type SampleRecord } from "./record-at.ts";
import { segmentationOf } from "./segmentation.ts";
import { merged, type PictureVolume } from "./volume.ts";

export interface SampleChoice {
  datasetDir: string;
  /** Counted over train, valid and test in this order, or within `split`. */
  sample: number;
  split?: Split | undefined;
  /** What X, Y, Z of the records is expected to be. */
  dataShape?: Shape3 | undefined;
  /** NIfTI on the grid of the sample's source, as `distmis predict` writes it. */
  prediction?: string | undefined;
}

/**
 * A sample of a data set that `distmis tfrecord` or DistMIS's tfrecord.py wrote, as it stands in its record; with a prediction, the
 * image and the label that the sample was made from, since a prediction lies on their grid.
 * Errors: as recordAt; USAGE for another shape than expected, or a prediction for a data set that names no sources; FILE_UNUSABLE if
 * these are gone.
 */
export async function loadSample(choice: SampleChoice): Promise<PictureVolume> {
  const { datasetDir, sample, split, dataShape, prediction } = choice;
  const info = await readInfo(datasetDir);
  const record = await recordAt(datasetDir, info, sample, split);
  const { img, label } = decode(record);
  const [, x = 1, y = 1, z = 1] = img.shape;
  if (dataShape !== undefined && dataShape.join() !== [x, y, z].join()) {
    throw new DistmisError(
      "USAGE",
      `--data-shape ${dataShape.join(",")}: ${record.place} holds ${x} x ${y} x ${z} voxels; leave the option out, the records say their shape`,
    );
  }
  const set = basename(resolve(datasetDir));
  const place = split === undefined ? `${sample} (${record.split} ${record.index})` : `${record.split} ${record.index}`;
  const title = (name: string | null): string => `${set}: sample ${place}${name === null ? "" : `, ${name}`}`;
  const stem = `${set}_sample_${split === undefined ? "" : `${split}_`}${sample}`;
  const source = sourceOf(info, record);
  const names = namesOf(info);

  if (prediction !== undefined) {
    if (source === null) {
      throw new DistmisError(
        "USAGE",
        `--prediction ${prediction}: the info.json of ${datasetDir} doesn't name the files that its samples were made from; give them instead: distmis visualize IMAGE --label FILE --prediction FILE`,
      );
    }
    const volume = await loadNifti({ ...source, prediction }, names).catch((error: unknown) => {
      if (!(error instanceof DistmisError && hasErrno(error.cause, "ENOENT")) || error.message.includes(prediction))
        throw error;
      throw new DistmisError(
        "FILE_UNUSABLE",
        `${error.message}; the sample was made from it, and the prediction lies on its grid`,
        { cause: error },
      );
    });
    const binary = info.distmis?.preprocessing.labels.mode === "binary";
    return {
      ...volume,
      truth: volume.truth && binary ? merged(volume.truth) : volume.truth,
      title: title(volume.stem),
      stem,
    };
  }

  const { header, note } = await headerOf(source);
  const voxels = x * y * z;
  return {
    title: title(source && niftiStem(source.image)),
    stem,
    shape: [x, y, z],
    strides: [y * z, z, 1],
    spacing: spacingOf(header, info.distmis?.preprocessing, [x, y, z]),
    affine: header?.affine ?? null,
    channels: Array.from({ length: img.shape[0] ?? 0 }, (_, channel) => ({
      name: names.modalities[channel] ?? `channel ${channel}`,
      data: img.data.subarray(channel * voxels, (channel + 1) * voxels),
    })),
    truth: segmentationOf({ path: record.place, shape: [x, y, z], data: valuesOf(label.data, info) }, names.classes),
    prediction: null,
    notes: note === null ? [] : [note],
  };
}

function decode({ place, data }: SampleRecord): { img: Tensor; label: Tensor } {
  const refuse = (what: string, cause?: unknown): DistmisError =>
    new DistmisError("DATA_INVALID", `${place}: ${what}`, { cause });
  let tensors: { img: Tensor; label: Tensor };
  try {
    tensors = decodeExample(data, ["img", "label"]);
  } catch (error) {
    throw refuse(`not a sample of DistMIS: ${messageOf(error)}`, error);
  }
  const { img, label } = tensors;
  if (img.shape.length !== 4 || label.shape.join() !== [1, ...img.shape.slice(1)].join()) {
    throw refuse(
      `image ${img.shape.join(" x ")} and label ${label.shape.join(" x ")}, expected C x X x Y x Z and 1 x X x Y x Z`,
    );
  }
  return tensors;
}

/** The files that a sample was made from; null in a data set of DistMIS's. */
function sourceOf({ distmis }: DatasetInfo, { split, index }: SampleRecord): { image: string; label: string } | null {
  const files = distmis?.samples[split][index];
  if (distmis === undefined || files === undefined) return null;
  return { image: join(distmis.source_dir, files.image.path), label: join(distmis.source_dir, files.label.path) };
}

function namesOf({ distmis }: DatasetInfo): Names {
  if (distmis === undefined) return { modalities: [], classes: new Map() };
  const classes = new Map(Object.entries(distmis.classes).map(([value, name]) => [Number(value), name]));
  const binary = distmis.preprocessing.labels.mode === "binary";
  return {
    modalities: distmis.modalities,
    classes: binary ? merged({ values: new Uint16Array(), names: classes }).names : classes,
  };
}

/** A multi-class target holds the places of the classes; a picture shows them by their values in the label files. */
function valuesOf(target: Float32Array, { distmis }: DatasetInfo): Float32Array {
  if (distmis?.preprocessing.labels.mode !== "multiclass") return target;
  const values = classValues(distmis.preprocessing);
  return target.map((place) => values[place] ?? place);
}

async function headerOf(
  source: { image: string } | null,
): Promise<{ header: NiftiHeader | null; note: string | null }> {
  const unknown = "spacing and orientation are unknown: voxels are drawn as cubes, axes as stored";
  if (source === null) return { header: null, note: `info.json names no sources, so that ${unknown}` };
  try {
    return { header: await readNiftiHeader(source.image), note: null };
  } catch (error) {
    return { header: null, note: `${messageOf(error)}; ${unknown}` };
  }
}

/** A record's voxels divide the source's extent after the cut. */
function spacingOf(header: NiftiHeader | null, recipe: Preprocessing | undefined, shape: Shape3): Shape3 {
  if (header === null || recipe === undefined) return [1, 1, 1];
  const cut = shapeAfterCut(header.shape, recipe.cut);
  const edge = (axis: 0 | 1 | 2): number => (header.spacing[axis] * cut[axis]) / shape[axis];
  return [edge(0), edge(1), edge(2)];
}
