import { stat } from "node:fs/promises";
import { extname, resolve } from "node:path";
import type { Shape3 } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import type { Box, Canvas } from "./canvas.ts";
import { type Drawing, prepareDrawing } from "./draw.ts";
import { encodeGif, encodePng } from "./encode.ts";
import { loadNifti, type NiftiFiles } from "./load-nifti.ts";
import { loadSample, type SampleChoice } from "./load-sample.ts";
import { hex, type SegmentationRole } from "./palette.ts";
import { checkPosition, journey, richestPosition } from "./positions.ts";
import { mergedVolume, type PictureVolume } from "./volume.ts";
import type { Window } from "./window.ts";

/** What to draw: NIfTI files, or a sample of a data set of TFRecords. */
export type VisualizeOptions = (NiftiFiles | SampleChoice) & {
  /** One PNG of the planes through this voxel, or through those with the most foreground; without it, a GIF through the volume. */
  slice?: Shape3 | "auto";
  /** Of the GIF, 1 to 1000. Default: one for each slice of the longest axis, 40 at most. */
  frames?: number;
  /** Of each frame, in ms, 20 to 60000. Default 120. */
  delayMs?: number;
  /** Count every class above 0 as one. */
  merge?: boolean;
  /** Default: named after the image or the sample, in the current folder. */
  output?: string;
};

export interface Picture {
  /** Absolute. */
  file: string;
  /** There was such a file before. */
  replaced: boolean;
  bytes: number;
  /** In pixels. */
  width: number;
  height: number;
  /** 1 for a PNG. */
  frames: number;
  /** Null for a PNG. */
  delay_ms: number | null;
  /** Voxel x, y, z that the planes of each frame go through. */
  positions: Shape3[];
  /** X, Y, Z of the volume. */
  shape: Shape3;
  /** Edges of a voxel; null if they aren't known: then voxels are drawn as cubes of 1 mm. */
  spacing_mm: Shape3 | null;
  /** Where the voxel axes run to, such as "LAS"; null if it isn't known. */
  orientation: string | null;
  convention: "radiological" | "as stored";
  pixels_per_mm: number;
  /** Each row, from the top: the values that are drawn black and white. */
  modalities: ({ name: string } & Window)[];
  /** Of each row: where the axial, the coronal and the sagittal plane lie in the picture. */
  panels: Box[][];
  /** What is outlined, in "#rrggbb". */
  labels: { of: SegmentationRole; value: number; name: string; colour: string }[];
  /** What a person should know, one sentence each. */
  notes: string[];
}

const MOST_FRAMES_BY_ITSELF = 40;
const DELAY_MS = 120;

/**
 * Draws a volume: axial, coronal and sagittal planes side by side in true proportions, a row for each modality, label and
 * prediction as outlines over it. In the radiological convention. Written atomically; the same input gives the same bytes.
 *
 * Errors: USAGE (options), DATA_INVALID and FILE_UNUSABLE naming the file.
 */
export async function visualize(options: VisualizeOptions): Promise<Picture> {
  const { slice, frames, delayMs = DELAY_MS } = options;
  checkWhole("frames", frames, 1, 1000);
  checkWhole("delay", delayMs, 20, 60_000);
  if (options.output !== undefined) checkName(options.output, slice !== undefined);
  const loaded = "image" in options ? await loadNifti(options) : await loadSample(options);
  const volume = options.merge === true ? mergedVolume(loaded) : loaded;
  const drawing = prepareDrawing(volume);
  const still = stillPosition(volume, slice);
  const count = frames ?? Math.min(MOST_FRAMES_BY_ITSELF, Math.max(...volume.shape));
  const positions = still === null ? journey(volume.shape, drawing.planes, count) : [still];
  const file = resolve(options.output ?? defaultName(volume, still));
  const bytes = still === null ? encodeGif(drawn(drawing, positions), delayMs) : encodePng(drawing.frame(still));
  const replaced = await stat(file).then(
    () => true,
    () => false,
  );
  await replaceFile(file, [bytes]);
  const { windows, panels, classes, width, height, scale } = drawing;
  return {
    file,
    replaced,
    bytes: bytes.length,
    width,
    height,
    frames: positions.length,
    delay_ms: still === null ? delayMs : null,
    positions,
    shape: volume.shape,
    spacing_mm: volume.spacing,
    orientation: volume.orientation,
    convention: volume.orientation === null ? "as stored" : "radiological",
    pixels_per_mm: scale,
    modalities: volume.channels.map(({ name }, row) => ({ name, ...(windows[row] ?? { low: 0, high: 1 }) })),
    panels,
    labels: classes.map(({ role, value, name, colour }) => ({ of: role, value, name, colour: hex(colour) })),
    notes: volume.notes,
  };
}

function stillPosition(volume: PictureVolume, slice: Shape3 | "auto" | undefined): Shape3 | null {
  if (slice === undefined) return null;
  return slice === "auto" ? richestPosition(volume) : checkPosition(slice, volume);
}

/** One frame at a time, as a long animation of a large volume takes much memory. */
function* drawn({ frame }: Drawing, positions: readonly Shape3[]): Generator<Canvas, void, undefined> {
  for (const position of positions) yield frame(position);
}

function defaultName({ stem, prediction }: PictureVolume, still: Shape3 | null): string {
  const name = prediction === null ? stem : `${stem}_prediction`;
  return still === null ? `${name}.gif` : `${name}_slice_${still.join("_")}.png`;
}

function checkName(output: string, still: boolean): void {
  const [expected, what] = still ? [".png", "--slice gives one PNG"] : [".gif", "without --slice the picture is a GIF"];
  if (extname(output).toLowerCase() !== expected) {
    throw new DistmisError("USAGE", `--output ${output}: ${what}, expected a name that ends with ${expected}`);
  }
}

function checkWhole(option: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  throw new DistmisError("USAGE", `--${option} ${value}: expected a whole number from ${least} to ${most}`);
}
