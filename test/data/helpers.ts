import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { DistmisError, type ErrorCode } from "../../src/errors/index.ts";
import { type Affine, type NiftiVolume, writeNifti } from "../../src/nifti/index.ts";
import { repositoryRoot, testPython } from "../support/python.ts";

/** A folder of its own for one test, removed after it. */
export async function tempDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "distmis-data-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Folder of shared test data (DISTMIS_SHARED_DATA, or shared/data beside the repository), or the reason to skip. */
export function sharedData(name: string): { dir: string; skip: false } | { dir: string; skip: string } {
  const dir = join(process.env.DISTMIS_SHARED_DATA ?? resolve(repositoryRoot, "../shared/data"), name);
  return existsSync(dir) ? { dir, skip: false } : { dir, skip: `${name} is not on this machine (DISTMIS_SHARED_DATA)` };
}

/** Runs a Python program with the project's interpreter; returns what it printed, parsed as JSON. */
export function python(program: string, ...args: string[]): unknown {
  const { status, stdout, stderr, error } = spawnSync(testPython, ["-c", program, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" },
  });
  if (error !== undefined || status !== 0) throw new Error(`${testPython}: ${error?.message ?? stderr}`);
  return JSON.parse(stdout);
}

/** For assert.rejects: a DistmisError of this code whose message matches everything. */
export function failure(code: ErrorCode, ...patterns: (RegExp | string)[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof DistmisError)) throw error;
    const missing = patterns.filter((part) =>
      typeof part === "string" ? !error.message.includes(part) : !part.test(error.message),
    );
    if (error.code !== code || missing.length > 0 || error.message.includes("\n")) {
      throw new Error(`expected ${code} with ${missing.join(", ")}, found ${error.code}: ${error.message}`);
    }
    return true;
  };
}

export const AFFINE: Affine = [
  [-2, 0, 0, 10],
  [0, 1.5, 0, -20],
  [0, 0, 3, 5],
  [0, 0, 0, 1],
];

/** Numbers without a pattern that repeat exactly. */
export function noise(length: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

const NAMES = ["background", "one", "two"];

export interface TinyOptions {
  shapes: (readonly [number, number, number])[];
  modalities?: number;
  /** Values of the label files' classes; default 0, 1, 2. The cube of case i has the foreground class i, in turn. */
  classes?: readonly number[];
}

/** An MSD data set with a bright cube as the label in each volume. Returns its folder. */
export async function tinyDataset(
  dir: string,
  { shapes, modalities = 1, classes = [0, 1, 2] }: TinyOptions,
): Promise<string> {
  await mkdir(join(dir, "imagesTr"), { recursive: true });
  await mkdir(join(dir, "labelsTr"), { recursive: true });
  const names = shapes.map((_, index) => `case_${index}.nii.gz`);
  for (const [index, shape] of shapes.entries()) {
    const voxels = shape[0] * shape[1] * shape[2];
    const label = new Uint8Array(voxels);
    label.fill(classes[1 + (index % (classes.length - 1))] ?? 0, Math.floor(voxels / 3), Math.floor(voxels / 2));
    const data = noise(voxels * modalities, index + 1).map((value, at) => 100 * value + 50 * (label[at % voxels] ?? 0));
    const image: NiftiVolume = { data, shape: modalities === 1 ? shape : [...shape, modalities], affine: AFFINE };
    await writeNifti(join(dir, "imagesTr", names[index] ?? ""), image);
    await writeNifti(join(dir, "labelsTr", names[index] ?? ""), { data: label, shape, affine: AFFINE });
  }
  const dataset = {
    name: "tiny",
    modality: Object.fromEntries(Array.from({ length: modalities }, (_, index) => [String(index), `m${index}`])),
    labels: Object.fromEntries(classes.map((value) => [String(value), NAMES[value] ?? `class ${value}`])),
    training: names.map((name) => ({ image: `./imagesTr/${name}`, label: `./labelsTr/${name}` })),
  };
  await writeFile(join(dir, "dataset.json"), JSON.stringify(dataset));
  return dir;
}
