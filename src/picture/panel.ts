/** One plane of a volume on a canvas: the image in greys, segmentations as outlines. */
import type { VoxelArray } from "../nifti/index.ts";
import { type Box, type Canvas, setPixel } from "./canvas.ts";
import { GREYS } from "./palette.ts";
import type { Direction, Plane } from "./planes.ts";
import type { PictureVolume } from "./volume.ts";
import type { Window } from "./window.ts";

/** Where the pixels along one edge of a panel find their voxels; places in the array, not indices. */
interface Taps {
  lower: Int32Array;
  upper: Int32Array;
  /** Share of `upper`. */
  weight: Float64Array;
  nearest: Int32Array;
}

export interface PanelTaps {
  across: Taps;
  down: Taps;
}

/** Pixels divide the volume's extent evenly, from edge to edge of its outer voxels. */
export function panelTaps(volume: Pick<PictureVolume, "shape" | "strides">, plane: Plane, box: Box): PanelTaps {
  const taps = ({ axis, sign }: Direction, pixels: number): Taps => {
    const [voxels, stride] = [volume.shape[axis], volume.strides[axis]];
    const result: Taps = {
      lower: new Int32Array(pixels),
      upper: new Int32Array(pixels),
      weight: new Float64Array(pixels),
      nearest: new Int32Array(pixels),
    };
    const place = (index: number): number => {
      const inside = Math.min(voxels - 1, Math.max(0, index));
      return (sign === 1 ? inside : voxels - 1 - inside) * stride;
    };
    for (let pixel = 0; pixel < pixels; pixel++) {
      const position = ((pixel + 0.5) * voxels) / pixels - 0.5;
      const floor = Math.floor(position);
      result.lower[pixel] = place(floor);
      result.upper[pixel] = place(floor + 1);
      result.weight[pixel] = position - floor;
      result.nearest[pixel] = place(Math.floor(((pixel + 0.5) * voxels) / pixels));
    }
    return result;
  };
  return { across: taps(plane.right, box.width), down: taps(plane.down, box.height) };
}

/** The image at place `start` of the through axis, interpolated linearly within the plane. What isn't a number is black. */
export function drawImage(
  { width, pixels }: Canvas,
  box: Box,
  { across, down }: PanelTaps,
  data: VoxelArray,
  start: number,
  { low, high }: Window,
): void {
  const scale = (GREYS - 1) / (high - low);
  for (let y = 0; y < box.height; y++) {
    const [above, below, part] = [start + (down.lower[y] ?? 0), start + (down.upper[y] ?? 0), down.weight[y] ?? 0];
    let at = (box.y + y) * width + box.x;
    for (let x = 0; x < box.width; x++) {
      const [left, right, share] = [across.lower[x] ?? 0, across.upper[x] ?? 0, across.weight[x] ?? 0];
      const top = mix(data[above + left] ?? 0, data[above + right] ?? 0, share);
      const bottom = mix(data[below + left] ?? 0, data[below + right] ?? 0, share);
      const grey = Math.round((mix(top, bottom, part) - low) * scale);
      pixels[at++] = grey > 0 ? Math.min(grey, GREYS - 1) : 0;
    }
  }
}

/** `from` alone where the share of `to` is 0, so that a voxel that isn't finite stays within its own pixels. */
function mix(from: number, to: number, share: number): number {
  return share === 0 ? from : from + (to - from) * share;
}

/**
 * Outlines of a segmentation, one pixel wide: the pixels of a class that have a neighbour (of four) of another class or outside the
 * plane. `colour` gives a palette index, or null to leave the pixel.
 */
export function drawOutline(
  canvas: Canvas,
  box: Box,
  { across, down }: PanelTaps,
  values: Uint16Array,
  start: number,
  colour: (value: number, x: number, y: number) => number | null,
): void {
  const classAt = (x: number, y: number): number =>
    x < 0 || y < 0 || x >= box.width || y >= box.height
      ? 0
      : (values[start + (down.nearest[y] ?? 0) + (across.nearest[x] ?? 0)] ?? 0);
  for (let y = 0; y < box.height; y++) {
    for (let x = 0; x < box.width; x++) {
      const value = classAt(x, y);
      if (value === 0) continue;
      const inside =
        classAt(x - 1, y) === value &&
        classAt(x + 1, y) === value &&
        classAt(x, y - 1) === value &&
        classAt(x, y + 1) === value;
      const index = inside ? null : colour(value, x, y);
      if (index !== null) setPixel(canvas, box.x + x, box.y + y, index);
    }
  }
}

/** Pixels of a dash, and of the gap behind it. */
const DASH = 3;

/** Whether a dashed line is drawn here. Steps of 1 across and 2 down: lines in any of the eight directions are broken. */
export function inDash(x: number, y: number): boolean {
  return (x + 2 * y) % (2 * DASH) < DASH;
}
