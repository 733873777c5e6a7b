import { type Affine, columnLengths } from "./affine.ts";

/** Towards which side of the patient an axis runs: right or left, anterior or posterior, superior or inferior. */
const CODES = ["RL", "AP", "SI"] as const;

/** Where a voxel axis runs in the world. */
export interface AxisDirection {
  /** 0: left to right, 1: back to front, 2: foot to head. */
  world: 0 | 1 | 2;
  /** It runs the other way. */
  reversed: boolean;
}

/**
 * The world axis that is closest to each of the three voxel axes, each world axis once: nibabel's io_orientation (shear and
 * spacing are taken out by a polar decomposition; the clearest axis chooses first). Null for an affine that maps the
 * volume onto a plane or less.
 */
export function axisDirections(affine: Affine): [AxisDirection, AxisDirection, AxisDirection] | null {
  const rotation = closestRotation(affine);
  if (rotation === null) return null;
  const strength = (voxel: number): number => Math.max(...rotation.map((row) => (row[voxel] ?? 0) ** 2));
  const free = new Set([0, 1, 2] as const);
  const found = new Map<number, AxisDirection>();
  for (const voxel of [0, 1, 2].sort((a, b) => strength(b) - strength(a))) {
    const at = (world: number): number => rotation[world]?.[voxel] ?? 0;
    const world = [...free].reduce((best, each) => (Math.abs(at(each)) > Math.abs(at(best)) ? each : best));
    free.delete(world);
    found.set(voxel, { world, reversed: at(world) < 0 });
  }
  const [x, y, z] = [found.get(0), found.get(1), found.get(2)];
  return x && y && z ? [x, y, z] : null;
}

/** Three letters such as "RAS" (the first voxel axis runs to the right, ...), as nibabel's aff2axcodes; null as above. */
export function axisCodes(affine: Affine): string | null {
  return (
    axisDirections(affine)
      ?.map(({ world, reversed }) => CODES[world][reversed ? 1 : 0])
      .join("") ?? null
  );
}

/** Axes of a code such as "RAS", or null if it isn't one letter of each of RL, AP and SI. */
export function parseAxisCodes(codes: string): [AxisDirection, AxisDirection, AxisDirection] | null {
  const axes = [...codes].flatMap((letter): AxisDirection[] => {
    const world = ([0, 1, 2] as const).find((axis) => CODES[axis].includes(letter));
    return world === undefined ? [] : [{ world, reversed: CODES[world][1] === letter }];
  });
  const [x, y, z] = axes;
  const distinct = new Set(axes.map(({ world }) => world)).size;
  return codes.length === 3 && distinct === 3 && x && y && z ? [x, y, z] : null;
}

/** Newton's iteration towards the orthogonal factor converges quadratically; spacing is taken out before. */
const ITERATIONS = 60;

function closestRotation(affine: Affine): number[][] | null {
  const lengths = columnLengths(affine);
  let matrix = [0, 1, 2].map((row) => [0, 1, 2].map((column) => (affine[row]?.[column] ?? 0) / (lengths[column] || 1)));
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const cofactors = cofactorsOf(matrix);
    const determinant = [0, 1, 2].reduce((sum, i) => sum + (matrix[0]?.[i] ?? 0) * (cofactors[0]?.[i] ?? 0), 0);
    if (!(Math.abs(determinant) > 1e-12)) return null;
    // The cofactors over the determinant are the inverse, transposed.
    const next = matrix.map((row, r) => row.map((value, c) => (value + (cofactors[r]?.[c] ?? 0) / determinant) / 2));
    const change = Math.max(
      ...next.flatMap((row, r) => row.map((value, c) => Math.abs(value - (matrix[r]?.[c] ?? 0)))),
    );
    matrix = next;
    if (change < 1e-14) break;
  }
  return matrix;
}

function cofactorsOf(m: number[][]): number[][] {
  const at = (row: number, column: number): number => m[row % 3]?.[column % 3] ?? 0;
  return [0, 1, 2].map((r) =>
    [0, 1, 2].map((c) => at(r + 1, c + 1) * at(r + 2, c + 2) - at(r + 1, c + 2) * at(r + 2, c + 1)),
  );
}
