/** How the patient lies in the voxels, and with it which way up each plane is drawn. */
import type { Affine } from "../nifti/index.ts";

/** A direction along a voxel axis. */
export interface Direction {
  axis: 0 | 1 | 2;
  /** 1: the voxel index grows in this direction. */
  sign: 1 | -1;
}

export interface Plane {
  name: "axial" | "coronal" | "sagittal";
  /** From left to right of the picture. */
  right: Direction;
  /** From top to bottom. */
  down: Direction;
  /** From slice to slice: to the patient's left, front or head. */
  through: Direction;
  /** What lies at each edge. */
  letters: { left: string; right: string; top: string; bottom: string };
}

export interface Orientation {
  planes: readonly [Plane, Plane, Plane];
  /** Where each voxel axis runs to, as in nibabel's aff2axcodes, for example "LAS"; null without an affine. */
  code: string | null;
}

const AXES = [0, 1, 2] as const;
const WORLD = [
  { positive: "R", negative: "L" },
  { positive: "A", negative: "P" },
  { positive: "S", negative: "I" },
] as const;

/**
 * The three planes in the radiological convention: the patient's right is on the left of axial and coronal planes, the front on
 * the left of sagittal ones and on top of axial ones, the head on top. An oblique volume is drawn along its own axes,
 * each named by the direction of the body that it is nearest to. Without an affine the axes are drawn as stored: x to the right, y and
 * z up.
 */
export function orientationOf(affine: Affine | null): Orientation {
  const world = affine === null ? null : nearestAxes(affine);
  const along = (body: 0 | 1 | 2): Direction => world?.[body] ?? { axis: body, sign: 1 };
  const [x, y, z] = [along(0), along(1), along(2)];
  const [back, down] = [opposite(y), opposite(z)];
  const letter = (direction: Direction): string => {
    const name = "xyz"[direction.axis] ?? "";
    if (world === null) return direction.sign === 1 ? `+${name}` : `-${name}`;
    const body = AXES.find((index) => along(index).axis === direction.axis) ?? 0;
    return WORLD[body][along(body).sign === direction.sign ? "positive" : "negative"];
  };
  const plane = (name: Plane["name"], right: Direction, below: Direction, through: Direction): Plane => ({
    name,
    right,
    down: below,
    through,
    letters: {
      left: letter(opposite(right)),
      right: letter(right),
      top: letter(opposite(below)),
      bottom: letter(below),
    },
  });
  const across = world === null ? x : opposite(x);
  const planes = [
    plane("axial", across, back, z),
    plane("coronal", across, down, y),
    plane("sagittal", world === null ? y : back, down, across),
  ] as const;
  return { planes, code: world === null ? null : AXES.map((axis) => letter({ axis, sign: 1 })).join("") };
}

function opposite({ axis, sign }: Direction): Direction {
  return { axis, sign: sign === 1 ? -1 : 1 };
}

/** For the body's right, front and head: the voxel axis that runs there most directly, each axis once, the surest first. */
function nearestAxes(affine: Affine): Direction[] {
  const lengths = AXES.map((axis) => Math.hypot(...AXES.map((row) => affine[row]?.[axis] ?? 0)) || 1);
  const cosines = AXES.flatMap((body) =>
    AXES.map((axis) => ({ body, axis, cosine: (affine[body]?.[axis] ?? 0) / (lengths[axis] ?? 1) })),
  ).sort((a, b) => Math.abs(b.cosine) - Math.abs(a.cosine));
  const found: Direction[] = [];
  for (const { body, axis, cosine } of cosines) {
    if (found[body] !== undefined || found.some((direction) => direction?.axis === axis)) continue;
    found[body] = { axis, sign: cosine < 0 ? -1 : 1 };
  }
  return found;
}
