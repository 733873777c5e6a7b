/** Which voxels the planes of each frame go through. */

import type { Shape3 } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { Plane } from "./planes.ts";
import type { PictureVolume } from "./volume.ts";

const AXES = [0, 1, 2] as const;

/**
 * Positions of `frames` frames that go through all three axes together, each from its first slice to its last: upwards, to the front
 * and to the patient's left.
 */
export function journey(shape: Shape3, planes: readonly Plane[], frames: number): Shape3[] {
  return Array.from({ length: frames }, (_, frame) => {
    const position: [number, number, number] = [0, 0, 0];
    for (const { through } of planes) {
      const slices = shape[through.axis];
      const step = Math.min(slices - 1, Math.floor(((frame + 0.5) * slices) / frames));
      position[through.axis] = through.sign === 1 ? step : slices - 1 - step;
    }
    return position;
  });
}

/** On each axis the slice with the most foreground of the truth, else of the prediction, the middle one of equals; else the centre. */
export function richestPosition({ shape, strides, truth, prediction }: PictureVolume): Shape3 {
  const values = truth?.values ?? prediction?.values;
  const counts = shape.map((length) => new Float64Array(length));
  if (values !== undefined) {
    const [alongX, alongY, alongZ] = counts;
    for (let z = 0; z < shape[2]; z++) {
      for (let y = 0; y < shape[1]; y++) {
        let at = z * strides[2] + y * strides[1];
        for (let x = 0; x < shape[0]; x++, at += strides[0]) {
          if (values[at] === 0) continue;
          if (alongX !== undefined) alongX[x] = (alongX[x] ?? 0) + 1;
          if (alongY !== undefined) alongY[y] = (alongY[y] ?? 0) + 1;
          if (alongZ !== undefined) alongZ[z] = (alongZ[z] ?? 0) + 1;
        }
      }
    }
  }
  const middle = (axis: 0 | 1 | 2): number => {
    const along = Array.from(counts[axis] ?? []);
    const most = Math.max(...along);
    const best = along.flatMap((count, index) => (count === most ? index : []));
    return best[Math.floor(best.length / 2)] ?? 0;
  };
  return [middle(0), middle(1), middle(2)];
}

/** Errors: USAGE for a position that isn't a voxel of the volume. */
export function checkPosition(position: Shape3, { shape, title }: PictureVolume): Shape3 {
  if (AXES.every((axis) => Number.isInteger(position[axis]) && position[axis] >= 0 && position[axis] < shape[axis]))
    return position;
  throw new DistmisError(
    "USAGE",
    `--slice ${position.join(",")}: ${title} is ${shape.join(" x ")} voxels, expected a position from 0,0,0 to ${shape.map((length) => length - 1).join(",")}`,
  );
}
