import { readFile, stat } from "node:fs/promises";
import { isAbsolute, join, normalize, resolve, sep } from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** One labelled volume; paths relative to the data set's folder, with forward slashes and no leading "./". */
export interface Pair {
  image: string;
  label: string;
}

/** A data set in the layout of the Medical Segmentation Decathlon. */
export interface MsdDataset {
  /** Absolute path of the folder that holds dataset.json. */
  dir: string;
  name: string;
  /** Names of the channels of an image, in the order of the file's last axis. */
  modalities: string[];
  /** Class value in a label file -> name, background (0) included. */
  classes: Map<number, string>;
  /** Labelled volumes in the order of dataset.json. */
  pairs: Pair[];
}

const numberedNames = z.record(z.string().regex(/^\d+$/, "keys must be whole numbers"), z.string());

const datasetSchema = z.looseObject({
  name: z.string().default("unnamed"),
  modality: numberedNames,
  labels: numberedNames,
  training: z
    .array(z.looseObject({ image: z.string().min(1), label: z.string().min(1) }))
    .min(1, "no labelled volumes"),
});

/**
 * Reads and checks dataset.json and, unless told otherwise, that every file of its `training` list exists.
 *
 * Errors: FILE_UNUSABLE (folder, dataset.json or a listed file is missing), DATA_INVALID (anything in dataset.json).
 */
export async function readMsdDataset(
  sourceDir: string,
  { filesMustExist = true }: { filesMustExist?: boolean } = {},
): Promise<MsdDataset> {
  const dir = resolve(sourceDir);
  const path = join(dir, "dataset.json");
  const refuse = (what: string, cause?: unknown): DistmisError =>
    new DistmisError("DATA_INVALID", `${path}: ${what}`, { cause });

  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const why = hasErrno(error, "ENOENT")
      ? "does not exist; a data set is a folder with dataset.json, imagesTr and labelsTr"
      : `can't be read: ${messageOf(error)}`;
    throw new DistmisError("FILE_UNUSABLE", `${path}: ${why}`, { cause: error });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refuse(`not JSON: ${messageOf(error)}`, error);
  }
  const parsed = datasetSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`field "${issue?.path.join(".") ?? ""}": ${issue?.message ?? "invalid"}`, parsed.error);
  }
  const { name, modality, labels, training } = parsed.data;

  const modalities = Object.keys(modality)
    .map(Number)
    .sort((a, b) => a - b)
    .map((key, index) => {
      if (key !== index) throw refuse(`field "modality": expected the keys 0, 1, 2, ... but ${index} is missing`);
      return modality[String(key)] ?? "";
    });
  if (modalities.length === 0) throw refuse('field "modality": names no modality');
  const classes = new Map(Object.entries(labels).map(([value, label]) => [Number(value), label]));
  if (!classes.has(0)) throw refuse('field "labels": class 0, the background, is missing');

  const pairs = training.map(({ image, label }, index) => ({
    image: insidePath(image, `training.${index}.image`, refuse),
    label: insidePath(label, `training.${index}.label`, refuse),
  }));
  const seen = new Set<string>();
  for (const { image } of pairs) {
    if (seen.has(image)) throw refuse(`field "training": ${image} is listed twice; it could land in two splits`);
    seen.add(image);
  }
  if (filesMustExist) await checkExist(dir, pairs);
  return { dir, name, modalities, classes, pairs };
}

function insidePath(path: string, field: string, refuse: (what: string) => DistmisError): string {
  const clean = normalize(path);
  if (isAbsolute(clean) || clean === ".." || clean.startsWith(`..${sep}`)) {
    throw refuse(`field "${field}": ${path} leads out of the data set's folder`);
  }
  return clean.split(sep).join("/");
}

async function checkExist(dir: string, pairs: readonly Pair[]): Promise<void> {
  const files = pairs.flatMap(({ image, label }) => [image, label]);
  const missing: string[] = [];
  for (const file of files) {
    const found = await stat(join(dir, file)).then(
      (status) => status.isFile(),
      () => false,
    );
    if (!found) missing.push(file);
  }
  const [first] = missing;
  if (first === undefined) return;
  const others = missing.length > 1 ? ` and ${missing.length - 1} more of its ${files.length} files` : "";
  throw new DistmisError("FILE_UNUSABLE", `${join(dir, first)}${others}: listed in dataset.json but not there`);
}
