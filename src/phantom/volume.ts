/** One synthetic head: tissues, a lesion, bias field and noise. Pure arithmetic; see phantom.ts for the files. */

import type { Shape3 } from "../data/index.ts";
import type { Random } from "./random.ts";

export interface PhantomVolume {
  /** (X, Y, Z, C), x running fastest. */
  image: Int16Array;
  /** (X, Y, Z), x running fastest: 0 background, 1 edema, 2 non-enhancing, 3 enhancing. */
  label: Uint8Array;
}

/**
 * Mean signal of each tissue in FLAIR, T1w, t1gd, T2w. In every single column the lesion's classes meet another tissue: edema and
 * `flow` in FLAIR, edema and `gland` in T1w and T2w, the enhancing rim and `vessel` in t1gd, the core and fluid in T1w. Only
 * together do the columns tell them apart.
 */
const SIGNAL = {
  air: [20, 20, 20, 20],
  skull: [330, 780, 800, 300],
  grey: [520, 480, 500, 540],
  white: [430, 680, 690, 420],
  fluid: [150, 230, 240, 950],
  flow: [790, 690, 700, 430],
  gland: [540, 400, 420, 790],
  vessel: [400, 560, 960, 380],
  edema: [790, 410, 430, 790],
  core: [560, 260, 290, 900],
  enhancing: [660, 450, 950, 600],
} as const satisfies Record<string, readonly [number, number, number, number]>;

type Tissue = keyof typeof SIGNAL;

/** Names of the first channels, in MSD's order for BraTS; further ones are mixtures of these. */
export const PHANTOM_MODALITIES = ["FLAIR", "T1w", "t1gd", "T2w"] as const;
export const PHANTOM_CLASSES = ["background", "edema", "non-enhancing tumor", "enhancing tumour"] as const;

const NOISE = 35;
const BIAS = 0.12;

interface Ellipsoid {
  tissue: Tissue;
  /** Voxel value in the label; null leaves it. */
  label: number | null;
  /** In units of half the volume's side, from its middle. */
  centre: Shape3;
  radii: Shape3;
}

/** Each looks like the lesion in some modality. */
const DECOYS = [...repeat("flow", 4), ...repeat("gland", 4), ...repeat("vessel", 3)];

function repeat(tissue: Tissue, times: number): Tissue[] {
  return Array.from({ length: times }, () => tissue);
}

/** Later ellipsoids cover earlier ones. */
function anatomy(random: Random): Ellipsoid[] {
  const around = (value: number, share: number): number => value * random.uniform(1 - share, 1 + share);
  const shift: Shape3 = [random.uniform(-0.05, 0.05), random.uniform(-0.05, 0.05), random.uniform(-0.05, 0.05)];
  const part = (tissue: Tissue, centre: Shape3, radii: Shape3, label: number | null = null): Ellipsoid => ({
    tissue,
    label,
    centre: [centre[0] + shift[0], centre[1] + shift[1], centre[2] + shift[2]],
    radii,
  });
  const head = around(0.86, 0.05);
  const somewhere = (reach: number): Shape3 => {
    // Rejection keeps it inside the ball.
    for (;;) {
      const point: Shape3 = [
        random.uniform(-reach, reach),
        random.uniform(-reach, reach),
        random.uniform(-reach, reach),
      ];
      if (Math.hypot(...point) < reach) return point;
    }
  };
  const parts = [
    part("skull", [0, 0, 0], [head, head * 1.05, head]),
    part("grey", [0, 0, 0], [head - 0.08, head * 1.05 - 0.08, head - 0.08]),
    part("white", [0, 0.02, 0], [head * 0.7, head * 0.76, head * 0.7]),
    part("fluid", [-0.14, 0, 0.05], [around(0.08, 0.3), around(0.3, 0.2), around(0.16, 0.2)]),
    part("fluid", [0.14, 0, 0.05], [around(0.08, 0.3), around(0.3, 0.2), around(0.16, 0.2)]),
  ];
  for (const tissue of DECOYS) {
    parts.push(part(tissue, somewhere(0.6), [around(0.23, 0.3), around(0.23, 0.3), around(0.23, 0.3)]));
  }
  const centre = somewhere(0.4);
  const size = random.uniform(0.28, 0.46);
  const edema: Shape3 = [around(size, 0.15), around(size, 0.15), around(size, 0.15)];
  const shrunk = (share: number): Shape3 => [edema[0] * share, edema[1] * share, edema[2] * share];
  parts.push(part("edema", centre, edema, 1));
  parts.push(part("enhancing", centre, shrunk(around(0.68, 0.1)), 3));
  parts.push(part("core", centre, shrunk(around(0.45, 0.1)), 2));
  return parts;
}

/** Smooth multiplicative field: exp of a random quadratic over [-1, 1]^3. */
function biasField(random: Random): (x: number, y: number, z: number) => number {
  const c = Array.from({ length: 9 }, () => random.uniform(-BIAS, BIAS));
  const [x1 = 0, y1 = 0, z1 = 0, xx = 0, yy = 0, zz = 0, xy = 0, xz = 0, yz = 0] = c;
  return (x, y, z) =>
    Math.exp(x1 * x + y1 * y + z1 * z + xx * x * x + yy * y * y + zz * z * z + xy * x * y + xz * x * z + yz * y * z);
}

/** Draws one volume. */
export function drawPhantom(random: Random, [nx, ny, nz]: Shape3, modalities: number): PhantomVolume {
  const voxels = nx * ny * nz;
  const parts = anatomy(random);
  const tissue = new Uint8Array(voxels);
  const label = new Uint8Array(voxels);
  const names: Tissue[] = ["air"];
  for (const { tissue: name, label: value, centre, radii } of parts) {
    names.push(name);
    paint([nx, ny, nz], centre, radii, (index) => {
      tissue[index] = names.length - 1;
      label[index] = value ?? 0;
    });
  }
  const image = new Int16Array(voxels * modalities);
  for (let modality = 0; modality < modalities; modality++) {
    const bias = biasField(random);
    const signal = names.map((name) => signalOf(name, modality) * random.uniform(0.96, 1.04));
    let index = 0;
    for (let k = 0; k < nz; k++) {
      for (let j = 0; j < ny; j++) {
        for (let i = 0; i < nx; i++, index++) {
          const field = bias((2 * i + 1) / nx - 1, (2 * j + 1) / ny - 1, (2 * k + 1) / nz - 1);
          const value = (signal[tissue[index] ?? 0] ?? 0) * field + NOISE * random.normal();
          // Magnitude images have no negative voxels.
          image[modality * voxels + index] = Math.round(Math.abs(value));
        }
      }
    }
  }
  return { image, label };
}

function signalOf(tissue: Tissue, modality: number): number {
  const row = SIGNAL[tissue];
  const first = row[modality % 4] ?? 0;
  if (modality < 4) return first;
  const second = row[(modality + 1) % 4] ?? 0;
  return (first + second) / 2;
}

/** Calls `use` with the index of every voxel whose centre lies in the ellipsoid. */
function paint(shape: Shape3, centre: Shape3, radii: Shape3, use: (index: number) => void): void {
  const [nx, ny] = shape;
  const range = (axis: 0 | 1 | 2): [number, number] => {
    const toIndex = (value: number): number => ((value + 1) * shape[axis] - 1) / 2;
    return [
      Math.max(0, Math.ceil(toIndex(centre[axis] - radii[axis]))),
      Math.min(shape[axis] - 1, Math.floor(toIndex(centre[axis] + radii[axis]))),
    ];
  };
  const distance = (axis: 0 | 1 | 2, index: number): number =>
    (((2 * index + 1) / shape[axis] - 1 - centre[axis]) / radii[axis]) ** 2;
  const [[x0, x1], [y0, y1], [z0, z1]] = [range(0), range(1), range(2)];
  for (let k = z0; k <= z1; k++) {
    for (let j = y0; j <= y1; j++) {
      const rest = 1 - distance(2, k) - distance(1, j);
      if (rest < 0) continue;
      for (let i = x0; i <= x1; i++) if (distance(0, i) <= rest) use((k * ny + j) * nx + i);
    }
  }
}
