/** Measures of two masks: against MedPy's figures, and against distances by trying every pair of voxels. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { hausdorff95, overlapCounts, overlapScores } from "../../src/metrics/index.ts";
import { classScores } from "../../src/metrics/scores.ts";
import { noise } from "../data/helpers.ts";

const figure = z.number().nullable();
const triple = z.tuple([z.number(), z.number(), z.number()]);
const caseSchema = z.object({
  name: z.string(),
  shape: triple,
  spacing: triple,
  truth: z.base64(),
  predicted: z.base64(),
  dice: figure,
  iou: figure,
  sensitivity: figure,
  precision: figure,
  /** In the truth and in the prediction. */
  voxels: z.tuple([z.int(), z.int()]),
  hd95: figure,
});
const REFERENCE = path.join(import.meta.dirname, "../fixtures/metrics/reference.json");
const { cases } = z.object({ cases: z.array(caseSchema) }).parse(JSON.parse(readFileSync(REFERENCE, "utf8")));
type Triple = z.output<typeof triple>;

/** Bits, the lowest of a byte first. */
function unpack(text: string, [x, y, z]: Triple): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  return Uint8Array.from({ length: x * y * z }, (_, at) => ((bytes[at >> 3] ?? 0) >> (at & 7)) & 1);
}

function close(found: number | null, expected: number | null, what: string): void {
  if (expected === null || found === null) assert.equal(found, expected, what);
  else assert.ok(Math.abs(found - expected) < 1e-9, `${what}: ${found}, expected ${expected}`);
}

const isOne = (value: number): boolean => value === 1;

test("agrees with MedPy on random, nested, distant and degenerate masks", () => {
  assert.equal(cases.length, 32);
  for (const { name, shape, spacing, truth, predicted, voxels, hd95, ...expected } of cases) {
    const [a, b] = [unpack(truth, shape), unpack(predicted, shape)];
    const counts = overlapCounts(a, b, [1]).get(1);
    assert.ok(counts);
    const [dx, dy, dz] = spacing;
    const scores = classScores(counts, dx * dy * dz, hausdorff95(a, b, isOne, shape, spacing));
    const [inTruth, inPrediction] = voxels;
    close(scores.volume_difference_ml, ((inPrediction - inTruth) * dx * dy * dz) / 1000, `${name}: volume difference`);
    for (const key of ["dice", "iou", "sensitivity", "precision"] as const)
      close(scores[key], expected[key], `${name}: ${key}`);
    close(scores.hd95_mm, hd95, `${name}: HD95`);
  }
});

/** HD95 as its definition says, without a distance transform. */
function slowHausdorff(a: Float32Array, b: Float32Array, wanted: number, [nx, ny, nz]: Triple, spacing: Triple) {
  const at = (mask: Float32Array, x: number, y: number, z: number): number =>
    x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz ? -1 : (mask[(z * ny + y) * nx + x] ?? -1);
  const surface = (mask: Float32Array): Triple[] => {
    const found: Triple[] = [];
    for (let z = 0; z < nz; z++)
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++) {
          const around = [
            at(mask, x - 1, y, z),
            at(mask, x + 1, y, z),
            at(mask, x, y - 1, z),
            at(mask, x, y + 1, z),
            at(mask, x, y, z - 1),
            at(mask, x, y, z + 1),
          ];
          if (at(mask, x, y, z) === wanted && around.some((value) => value !== wanted)) found.push([x, y, z]);
        }
    return found;
  };
  const directed = (from: Triple[], to: Triple[]): number => {
    const nearest = from
      .map((p) =>
        Math.min(...to.map((q) => Math.hypot(...p.map((value, i) => (value - (q[i] ?? 0)) * (spacing[i] ?? 1))))),
      )
      .sort((x, y) => x - y);
    const place = 0.95 * (nearest.length - 1);
    const [low = 0, high = 0] = [nearest[Math.floor(place)], nearest[Math.ceil(place)]];
    return low + (high - low) * (place % 1);
  };
  const [inA, inB] = [surface(a), surface(b)];
  return Math.max(directed(inA, inB), directed(inB, inA));
}

test("surface distances of each class are those of a search over all pairs", () => {
  const shape: Triple = [8, 9, 7];
  for (const [seed, spacing] of [
    [1, [1, 1, 1]],
    [2, [0.7, 2.2, 1.1]],
    [3, [3, 0.4, 5]],
  ] as const) {
    // A few large patches of three classes, and noise.
    const field = (shift: number) =>
      noise(8 * 9 * 7, seed + shift).map((value, at) => {
        const patch = Math.floor((Math.sin(at / (7 + seed)) + 1) * 1.5);
        return value > 0.85 ? Math.floor(value * 100) % 3 : patch;
      });
    const [a, b] = [field(0), field(10)];
    for (const wanted of [1, 2]) {
      const found = hausdorff95(a, b, (value) => value === wanted, shape, spacing);
      close(found, slowHausdorff(a, b, wanted, shape, [...spacing]), `seed ${seed}, class ${wanted}`);
    }
  }
});

test("two empty masks agree, and one alone has neither surface distance nor what divides by it", () => {
  const [none, some] = [new Uint8Array(8), Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0)];
  const scores = (a: Uint8Array, b: Uint8Array) => {
    const counts = overlapCounts(a, b, [1]).get(1);
    return {
      ...overlapScores(counts ?? { truth: 9, predicted: 9, common: 9 }),
      hd95: hausdorff95(a, b, isOne, [2, 2, 2], [1, 1, 1]),
    };
  };
  assert.deepEqual(scores(none, none), { dice: 1, iou: 1, sensitivity: 1, precision: 1, hd95: 0 });
  assert.deepEqual(scores(none, some), { dice: 0, iou: 0, sensitivity: null, precision: 0, hd95: null });
  assert.deepEqual(scores(some, none), { dice: 0, iou: 0, sensitivity: 0, precision: null, hd95: null });
});

test("classes are counted one by one, or merged", () => {
  const [truth, predicted] = [Uint8Array.of(0, 1, 1, 3, 3, 0), Uint8Array.of(0, 1, 3, 3, 1, 1)];
  assert.deepEqual(
    [...overlapCounts(truth, predicted, [1, 3])],
    [
      [1, { truth: 2, predicted: 3, common: 1 }],
      [3, { truth: 2, predicted: 2, common: 1 }],
    ],
  );
  assert.deepEqual([...overlapCounts(truth, predicted, [1], true)], [[1, { truth: 4, predicted: 5, common: 4 }]]);
});
