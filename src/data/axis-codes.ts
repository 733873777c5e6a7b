/** Towards which side of the patient an axis runs: right or left, anterior or posterior, superior or inferior. */
const CODES = ["RL", "AP", "SI"] as const;

/** Where a voxel axis runs in the world. */
export interface AxisDirection {
  /** 0: left to right, 1: back to front, 2: foot to head. */
  world: 0 | 1 | 2;
  /** It runs the other way. */
  reversed: boolean;
}

/** The axes of a code such as "RAS", or null if it isn't one letter of each of R/L, A/P and S/I. */
export function parseAxisCodes(codes: string): [AxisDirection, AxisDirection, AxisDirection] | null {
  const axes = [...codes].flatMap((letter): AxisDirection[] => {
    const world = ([0, 1, 2] as const).find((axis) => CODES[axis].includes(letter));
    return world === undefined ? [] : [{ world, reversed: CODES[world][1] === letter }];
  });
  const [x, y, z] = axes;
  const distinct = new Set(axes.map(({ world }) => world)).size;
  return codes.length === 3 && distinct === 3 && x && y && z ? [x, y, z] : null;
}
