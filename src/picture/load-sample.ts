import { access } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { classValues, type DatasetInfo, readInfo, type Shape3, type Split, writtenSpacing } from "../data/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { niftiStem, orientationOf, readNiftiHeader } from "../nifti/index.ts";
import { decodeExample, type Tensor } from "../tfrecord/index.ts";
import { loadNifti } from "./load-nifti.ts";
import type { Names } from "./names.ts";
import { recordAt, type SampleRecord } from "./record-at.ts";
import { segmentationOf } from "./segmentation.ts";
import { merged, mergedVolume, type PictureVolume } from "./volume.ts";

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

  if (prediction !== undefined) {
    if (source === null) {
      throw new DistmisError(
        "USAGE",
        `--prediction ${prediction}: the info.json of ${datasetDir} doesn't name the files that its samples were made from; give them instead: distmis visualize IMAGE --label FILE --prediction FILE`,
      );
    }
    for (const file of [source.image, source.label]) await checkThere(file, sample);
    const volume = await loadNifti({ ...source, prediction });
    const drawn = info.distmis?.preprocessing.labels.mode === "binary" ? mergedVolume(volume) : volume;
    return { ...drawn, title: title(volume.stem), stem };
  }

  const { modalities, classes } = namesOf(info);
  const voxels = x * y * z;
  return {
    title: title(source && `${niftiStem(source.image)}${source.copy > 0 ? `, augmented copy ${source.copy}` : ""}`),
    stem,
    shape: [x, y, z],
    strides: [y * z, z, 1],
    ...(await lieOf(info, source)),
    channels: Array.from({ length: img.shape[0] ?? 0 }, (_, channel) => ({
      name: modalities[channel] ?? `channel ${channel}`,
      data: img.data.subarray(channel * voxels, (channel + 1) * voxels),
    })),
    truth: segmentationOf({ path: record.place, shape: [x, y, z], data: valuesOf(label.data, info) }, classes),
    prediction: null,
  };
}

async function checkThere(file: string, sample: number): Promise<void> {
  try {
    await access(file);
  } catch (error) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${file}: can't be read, but sample ${sample} was made from it and the prediction lies on its grid: ${messageOf(error)}`,
      { cause: error },
    );
  }
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

interface Source {
  image: string;
  label: string;
  /** 0, or the number of the augmented copy. */
  copy: number;
  /** Edges of a voxel of the record in mm; null where info.json doesn't say it. */
  spacing: Shape3 | null;
}

/** What a sample was made from; null in a data set of DistMIS's. */
function sourceOf({ distmis }: DatasetInfo, { split, index }: SampleRecord): Source | null {
  const sample = distmis?.samples[split][index];
  if (distmis === undefined || sample === undefined) return null;
  const [x, y, z] = sample.spacing ?? [];
  return {
    image: join(distmis.source_dir, sample.image.path),
    label: join(distmis.source_dir, sample.label.path),
    copy: sample.copy,
    spacing: x !== undefined && y !== undefined && z !== undefined ? [x, y, z] : null,
  };
}

function namesOf({ distmis }: DatasetInfo): Names {
  if (distmis === undefined) return { modalities: [], classes: new Map() };
  const classes = new Map(Object.entries(distmis.classes).map(([value, name]) => [Number(value), name]));
  const binary = distmis.preprocessing.labels.mode === "binary";
  return {
    modalities: distmis.preprocessing.modalities,
    classes: binary ? merged({ values: new Uint16Array(), names: classes }).names : classes,
  };
}

/** A multi-class target holds the places of the classes; a picture shows them by their values in the label files. */
function valuesOf(target: Float32Array, { distmis }: DatasetInfo): Float32Array {
  if (distmis?.preprocessing.labels.mode !== "multiclass") return target;
  const values = classValues(distmis.preprocessing);
  return target.map((place) => values[place] ?? place);
}

type Lie = Pick<PictureVolume, "spacing" | "orientation" | "notes">;

/** How a record's voxels lie in the patient: by info.json, and by the header of its source for what that doesn't say. */
async function lieOf(info: DatasetInfo, source: Source | null): Promise<Lie> {
  const recipe = info.distmis?.preprocessing;
  const spacing = source?.spacing ?? null;
  const orientation = recipe?.orientation ?? null;
  if (spacing !== null && orientation !== null) return { spacing, orientation, notes: [] };
  const unknown = (why: string): Lie => {
    const what = [
      ...(spacing === null ? ["spacing is unknown, voxels are drawn as cubes"] : []),
      ...(orientation === null ? ["orientation is unknown, axes are drawn as stored"] : []),
    ];
    return { spacing, orientation, notes: [`${why}: ${what.join("; ")}`] };
  };
  if (recipe === undefined || source === null) return unknown("info.json names no sources");
  try {
    const header = await readNiftiHeader(source.image);
    return {
      spacing: spacing ?? writtenSpacing(header, recipe),
      orientation: orientation ?? orientationOf(header.affine),
      notes: [],
    };
  } catch (error) {
    return unknown(messageOf(error));
  }
}
