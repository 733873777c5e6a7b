/** How the patient lies in the voxels, and with it which way up each plane is drawn. */
import { parseAxisCodes } from "../data/index.ts";

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

const AXES = [0, 1, 2] as const;
const ENDS = ["RL", "AP", "SI"] as const;

/**
 * Axial, coronal and sagittal plane in the radiological convention: the patient's right is on the left of the first two, the front on top of
 * the first and on the left of the last, the head on top of the last two. An oblique volume is drawn along its own axes.
 *
 * @param code where the voxel axes run to, such as "LAS"; if it isn't known, x is drawn to the right (y in the last plane), y and z
 * upwards.
 */
export function planesOf(code: string | null): readonly [Plane, Plane, Plane] {
  const axes = code === null ? null : parseAxisCodes(code);
  // For the body's right, front and head: what runs there.
  const along = (body: 0 | 1 | 2): Direction => {
    const axis = AXES.find((each) => axes?.[each].world === body) ?? body;
    return { axis, sign: axes?.[axis].reversed === true ? -1 : 1 };
  };
  const [x, y, z] = [along(0), along(1), along(2)];
  const [back, down] = [opposite(y), opposite(z)];
  const letter = (direction: Direction): string => {
    if (axes === null) return `${direction.sign === 1 ? "+" : "-"}${"xyz"[direction.axis]}`;
    const { world, reversed } = axes[direction.axis];
    return ENDS[world][(direction.sign === 1) === reversed ? 1 : 0] ?? "";
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
  const across = axes === null ? x : opposite(x);
  return [
    plane("axial", across, back, z),
    plane("coronal", across, down, y),
    plane("sagittal", axes === null ? y : back, down, across),
  ];
}

function opposite({ axis, sign }: Direction): Direction {
  return { axis, sign: sign === 1 ? -1 : 1 };
}
