/** A volume through a {@link Geometry}. */
import type { Volume } from "../data/index.ts";
import type { Geometry } from "./geometry.ts";

type Arrays = Pick<Volume, "image" | "label">;

/**
 * The image (X, Y, Z, C) by trilinear interpolation, the label (X, Y, Z) by its nearest voxel. Places outside of the
 * volume take the value of the nearest voxel inside, in image and label alike: no edge that no scanner has made.
 * @param room where the result goes, of its size; default: arrays of its own
 */
export function resample(volume: Volume, geometry: Geometry, room?: Arrays): Arrays {
  const [x, y, z] = geometry.shape;
  const channels = volume.imageShape[3];
  const result = room ?? { image: new Float32Array(x * y * z * channels), label: new Float32Array(x * y * z) };
  if (isCopy(volume, geometry)) copy(volume, geometry, result);
  else interpolate(volume, geometry, result);
  return result;
}

/** Crop and flips alone: each row along z is one of the source's, forwards or backwards. */
function isCopy(volume: Volume, { shape, matrix, offset }: Geometry): boolean {
  return matrix.every((row, axis) => {
    if (row.some((value, other) => Math.abs(value) !== (other === axis ? 1 : 0))) return false;
    const first = offset[axis] as number;
    const last = first + (row[axis] as number) * ((shape[axis] as number) - 1);
    return (
      Number.isInteger(first) &&
      Math.min(first, last) >= 0 &&
      Math.max(first, last) < (volume.imageShape[axis] as number)
    );
  });
}

function copy(volume: Volume, { shape, matrix, offset }: Geometry, result: Arrays): void {
  const [, height, depth, channels] = volume.imageShape;
  const [countX, countY, countZ] = shape;
  const [stepX, stepY, stepZ] = [matrix[0][0], matrix[1][1], matrix[2][2]];
  const { image, label } = volume;
  let to = 0;
  for (let x = 0; x < countX; x++) {
    for (let y = 0; y < countY; y++) {
      const row = ((offset[0] + stepX * x) * height + offset[1] + stepY * y) * depth + offset[2];
      if (stepZ === 1) {
        result.label.set(label.subarray(row, row + countZ), to);
        result.image.set(image.subarray(row * channels, (row + countZ) * channels), to * channels);
      } else {
        for (let z = 0; z < countZ; z++) {
          result.label[to + z] = label[row - z] as number;
          const [from, into] = [(row - z) * channels, (to + z) * channels];
          for (let c = 0; c < channels; c++) result.image[into + c] = image[from + c] as number;
        }
      }
      to += countZ;
    }
  }
}

function interpolate(volume: Volume, { shape, matrix, offset }: Geometry, result: Arrays): void {
  const [width, height, depth, channels] = volume.imageShape;
  const [countX, countY, countZ] = shape;
  const { image, label } = volume;
  const [mx, my, mz] = matrix;
  const [lastX, lastY, lastZ] = [width - 1, height - 1, depth - 1];
  const [strideX, strideY] = [height * depth, depth];
  let to = 0;
  for (let i = 0; i < countX; i++) {
    for (let j = 0; j < countY; j++) {
      const rowX = mx[0] * i + mx[1] * j + offset[0];
      const rowY = my[0] * i + my[1] * j + offset[1];
      const rowZ = mz[0] * i + mz[1] * j + offset[2];
      for (let k = 0; k < countZ; k++) {
        const x = Math.min(Math.max(rowX + mx[2] * k, 0), lastX);
        const y = Math.min(Math.max(rowY + my[2] * k, 0), lastY);
        const z = Math.min(Math.max(rowZ + mz[2] * k, 0), lastZ);
        // Not negative, so that the integer part is the one below.
        const [x0, y0, z0] = [x | 0, y | 0, z | 0];
        result.label[to] = label[((x + 0.5) | 0) * strideX + ((y + 0.5) | 0) * strideY + ((z + 0.5) | 0)] as number;
        const [fx, fy, fz] = [x - x0, y - y0, z - z0];
        // On the last voxel the one beyond has no weight, but must not be read either.
        const dx = x0 < lastX ? strideX * channels : 0;
        const dy = y0 < lastY ? strideY * channels : 0;
        const dz = z0 < lastZ ? channels : 0;
        const corner = (x0 * strideX + y0 * strideY + z0) * channels;
        for (let c = 0; c < channels; c++) {
          const a = corner + c;
          const b = a + dy;
          const a0 = image[a] as number;
          const b0 = image[b] as number;
          const c0 = image[a + dx] as number;
          const d0 = image[b + dx] as number;
          const az = a0 + ((image[a + dz] as number) - a0) * fz;
          const bz = b0 + ((image[b + dz] as number) - b0) * fz;
          const cz = c0 + ((image[a + dx + dz] as number) - c0) * fz;
          const dzz = d0 + ((image[b + dx + dz] as number) - d0) * fz;
          const near = az + (bz - az) * fy;
          const far = cz + (dzz - cz) * fy;
          result.image[to * channels + c] = near + (far - near) * fx;
        }
        to++;
      }
    }
  }
}
