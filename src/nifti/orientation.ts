import { type Affine, columnLengths } from "./affine.ts";

type Matrix = [Row, Row, Row];
type Row = [number, number, number];

/** Letter of each world axis towards its positive and its negative end. */
const LETTERS = [
  ["R", "L"],
  ["A", "P"],
  ["S", "I"],
] as const;

/**
 * Where the voxel axes i, j, k run to: RAS is right, anterior, superior. Of an oblique affine, the world axis nearest to
 * each, as nibabel's aff2axcodes has it. Null if the affine is singular, so that an axis runs nowhere.
 */
export function orientationOf(affine: Affine): string | null {
  const lengths = columnLengths(affine);
  const row = (index: number): Row => {
    const at = (column: number): number => (affine[index]?.[column] ?? 0) / (lengths[column] || 1);
    return [at(0), at(1), at(2)];
  };
  const rotation = nearestRotation([row(0), row(1), row(2)]);
  if (rotation === null) return null;
  const column = (axis: number): number[] => rotation.map((values) => values[axis] ?? 0);
  const strength = (axis: number): number => Math.max(...column(axis).map(Math.abs));
  const letters = ["", "", ""];
  const free = new Set([0, 1, 2]);
  // The clearest axis chooses first.
  for (const axis of [0, 1, 2].sort((a, b) => strength(b) - strength(a))) {
    const values = column(axis);
    const [world = 0] = [...free].sort((a, b) => Math.abs(values[b] ?? 0) - Math.abs(values[a] ?? 0));
    free.delete(world);
    letters[axis] = LETTERS[world]?.[(values[world] ?? 0) < 0 ? 1 : 0] ?? "";
  }
  return letters.join("");
}

/** Halvings from the least determinant that is told from 0 down to 1, and some until it has converged. */
const MAX_ITERATIONS = 100;

/** The orthogonal factor of the polar decomposition by Newton's iteration X <- (X + X^-T) / 2 (Higham 1986). */
function nearestRotation(matrix: Matrix): Matrix | null {
  let x = matrix;
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
    const minors = cofactors(x);
    const determinant = x[0][0] * minors[0][0] + x[0][1] * minors[0][1] + x[0][2] * minors[0][2];
    if (iteration === 0 && !(Math.abs(determinant) > 1e-12)) return null;
    const next = combine(x, minors, determinant);
    const change = Math.max(...next.flatMap((row, r) => row.map((value, c) => Math.abs(value - (x[r]?.[c] ?? 0)))));
    x = next;
    if (change < 1e-15) break;
  }
  return x;
}

function combine(x: Matrix, minors: Matrix, determinant: number): Matrix {
  const row = (r: 0 | 1 | 2): Row => {
    const at = (c: 0 | 1 | 2): number => (x[r][c] + minors[r][c] / determinant) / 2;
    return [at(0), at(1), at(2)];
  };
  return [row(0), row(1), row(2)];
}

function cofactors([a, b, c]: Matrix): Matrix {
  return [cross(b, c), cross(c, a), cross(a, b)];
}

function cross(a: Row, b: Row): Row {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
