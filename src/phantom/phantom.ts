import { readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { type Affine, writeNifti } from "../nifti/index.ts";
import { makeFolder } from "../paths/index.ts";
import { seededRandom } from "./random.ts";
import { drawPhantom, PHANTOM_CLASSES, PHANTOM_MODALITIES } from "./volume.ts";

export interface PhantomOptions {
  /** Folder to make: an MSD data set with dataset.json, imagesTr and labelsTr. */
  targetDir: string;
  /** Labelled volumes. Default 24. */
  count?: number;
  /** X, Y, Z. Default 48, 48, 40. */
  shape?: readonly [number, number, number];
  /** Default 1. Volume i depends on the seed and on i alone, not on `count`. */
  seed?: number;
  /** Channels of the images, 1 to 16. Default 4, named as in MSD's brain tumours. */
  modalities?: number;
  /** Replace what another call made in the folder. */
  overwrite?: boolean;
  signal?: AbortSignal;
}

export interface PhantomResult {
  status: "written" | "up-to-date";
  targetDir: string;
}

/** Bumped whenever the same options would give other voxels. */
const PHANTOM_VERSION = 1;
const AT_ONCE = 4;

const requestSchema = z.object({
  version: z.int(),
  count: z.int(),
  shape: z.array(z.int()),
  seed: z.int(),
  modalities: z.int(),
});
type Request = z.output<typeof requestSchema>;

/** Oblique, with unequal edges and x running to the left: whoever mixes up axes or ignores the affine shows it. */
function phantomAffine([nx, ny, nz]: readonly number[]): Affine {
  const turn = (5 * Math.PI) / 180;
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const edges = [1.2, 1.1, 1.5];
  const axes = [
    [-cos, -sin, 0],
    [-sin, cos, 0],
    [0, 0, 1],
  ];
  const centre = [nx, ny, nz].map((side) => ((side ?? 1) - 1) / 2);
  return [
    ...axes.map((row) => {
      const scaled = row.map((value, axis) => value * (edges[axis] ?? 1));
      const offset = -scaled.reduce((sum, value, axis) => sum + value * (centre[axis] ?? 0), 0);
      return [...scaled, offset];
    }),
    [0, 0, 0, 1],
  ];
}

/**
 * Makes a synthetic data set in MSD's layout: int16 images of a head with a lesion of varying size and place (classes 1 to 3,
 * nested), with noise and a smooth bias field, and uint8 labels. dataset.json is written last. Up to date if it was made with the same
 * options before.
 *
 * Errors: USAGE (options), FILE_UNUSABLE (not writable, or the folder holds something else and `overwrite` is not set), INTERRUPTED.
 */
export async function makePhantom(
  options: PhantomOptions,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<PhantomResult> {
  const { count = 24, shape = [48, 48, 40], seed = 1, modalities = 4, overwrite = false, signal } = options;
  const targetDir = resolve(options.targetDir);
  const request: Request = { version: PHANTOM_VERSION, count, shape: [...shape], seed, modalities };
  checkRequest(request);

  const names = Array.from({ length: count }, (_, index) => `phantom_${String(index + 1).padStart(3, "0")}.nii.gz`);
  const files = names.flatMap((name) => [join(targetDir, "imagesTr", name), join(targetDir, "labelsTr", name)]);
  const path = join(targetDir, "dataset.json");
  const found = await recordedRequest(path);
  const same = isDeepStrictEqual(found?.request, request);
  if (same && (await allExist(files))) return { status: "up-to-date", targetDir };
  if (found !== null && !same && !overwrite) {
    const what = found.request === null ? "a data set that is no phantom" : "another phantom";
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${targetDir}: holds ${what}; replace it with --overwrite or name another folder`,
    );
  }
  try {
    await rm(path, { force: true });
    if (found?.request)
      for (const folder of ["imagesTr", "labelsTr"])
        await rm(join(targetDir, folder), { recursive: true, force: true });
  } catch (error) {
    throw new DistmisError("FILE_UNUSABLE", `${targetDir}: can't be written to: ${messageOf(error)}`, { cause: error });
  }
  for (const folder of ["imagesTr", "labelsTr"]) await makeFolder(join(targetDir, folder));

  const affine = phantomAffine(shape);
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      if (signal?.aborted)
        throw new DistmisError("INTERRUPTED", `stopped; ${targetDir} is incomplete`, { cause: signal.reason });
      const { image, label } = drawPhantom(seededRandom(seed, index), shape, modalities);
      const name = names[index] ?? "";
      const size = modalities === 1 ? [...shape] : [...shape, modalities];
      await writeNifti(join(targetDir, "imagesTr", name), {
        data: image,
        shape: size,
        affine,
        description: "distmis phantom",
      });
      await writeNifti(join(targetDir, "labelsTr", name), {
        data: label,
        shape: [...shape],
        affine,
        description: "distmis phantom",
      });
      onProgress(++done, count);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await replaceFile(path, `${JSON.stringify(datasetJson(request, names), null, 1)}\n`);
  return { status: "written", targetDir };
}

function checkRequest({ count, shape, seed, modalities }: Request): void {
  const inRange = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  if (!inRange(count, 1, 100_000)) throw new DistmisError("USAGE", `--count ${count}: expected a whole number above 0`);
  if (shape.length !== 3 || !shape.every((side) => inRange(side, 8, 1024))) {
    throw new DistmisError("USAGE", `--shape ${shape.join(",")}: expected three whole numbers from 8 to 1024`);
  }
  if (!inRange(seed, 0, 2 ** 31 - 1))
    throw new DistmisError("USAGE", `--seed ${seed}: expected a whole number from 0 to ${2 ** 31 - 1}`);
  if (!inRange(modalities, 1, 16))
    throw new DistmisError("USAGE", `--modalities ${modalities}: expected a whole number from 1 to 16`);
}

function datasetJson(request: Request, names: readonly string[]): object {
  const modality = (index: number): string => PHANTOM_MODALITIES[index] ?? `mixture ${index + 1}`;
  return {
    name: "Phantom",
    description: "Synthetic heads with a lesion, made by distmis phantom",
    licence: "CC0 1.0",
    tensorImageSize: request.modalities === 1 ? "3D" : "4D",
    modality: Object.fromEntries(
      Array.from({ length: request.modalities }, (_, index) => [String(index), modality(index)]),
    ),
    labels: Object.fromEntries(PHANTOM_CLASSES.map((name, value) => [String(value), name])),
    numTraining: names.length,
    numTest: 0,
    training: names.map((name) => ({ image: `./imagesTr/${name}`, label: `./labelsTr/${name}` })),
    test: [],
    phantom: request,
  };
}

/** What an existing dataset.json was made from: null if there is none, `request` null if it is no phantom's. */
async function recordedRequest(path: string): Promise<{ request: Request | null } | null> {
  try {
    const parsed = z.object({ phantom: requestSchema }).safeParse(JSON.parse(await readFile(path, "utf8")));
    return { request: parsed.success ? parsed.data.phantom : null };
  } catch (error) {
    if (hasErrno(error, "ENOENT") || hasErrno(error, "ENOTDIR")) return null;
    return { request: null };
  }
}

async function allExist(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    const found = await stat(file).then(
      () => true,
      () => false,
    );
    if (!found) return false;
  }
  return true;
}
