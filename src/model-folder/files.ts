/** The files of a model folder, and whether they are whole. */
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

export const modelFiles = {
  /** What the network is, and the SHA-256 of the other files. */
  model: "model.json",
  weights: "weights.safetensors",
  preprocessing: "preprocessing.json",
  labels: "labels.json",
  provenance: "provenance.json",
  metrics: "metrics.json",
} as const;

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const manifestSchema = z.looseObject({ format: z.literal(1), sha256: z.record(z.string(), z.string()) });

/**
 * Verifies every file of a model folder against model.json.
 * @returns the path of its weights
 * @throws DistmisError FILE_UNUSABLE naming a file that is missing, DATA_INVALID one that was changed or damaged
 */
export async function checkModelFolder(dir: string): Promise<string> {
  const manifestFile = path.join(dir, modelFiles.model);
  const manifest = manifestSchema.safeParse(parse((await read(manifestFile)).toString("utf8")));
  if (!manifest.success) {
    throw new DistmisError(
      "DATA_INVALID",
      `${manifestFile}: damaged, or of another version than this distmis reads (format 1): export the model again`,
      { cause: manifest.error },
    );
  }
  const { model: _itself, ...others } = modelFiles;
  for (const name of Object.values(others)) {
    const file = path.join(dir, name);
    if (sha256(await read(file)) === manifest.data.sha256[name]) continue;
    throw new DistmisError(
      "DATA_INVALID",
      `${file}: damaged or changed, its SHA-256 is not that in ${modelFiles.model}: export the model again`,
    );
  }
  return path.join(dir, modelFiles.weights);
}

const provenanceSchema = z.looseObject({ trial: z.string().nullable(), epoch: z.int() });

const versionsSchema = z.looseObject({ versions: z.record(z.string(), z.string().nullable()) });

/** Of the programs that made the model in a folder, as far as they are known; null if there is none. */
export async function modelVersions(dir: string): Promise<Record<string, string> | null> {
  const bytes = await read(path.join(dir, modelFiles.provenance)).catch(() => null);
  const known = bytes === null ? undefined : versionsSchema.safeParse(parse(bytes.toString("utf8"))).data;
  if (known === undefined) return null;
  return Object.fromEntries(Object.entries(known.versions).flatMap(([name, of]) => (of === null ? [] : [[name, of]])));
}

/** The trial and epoch whose model a folder holds; null for one that is not there, not whole, or does not know. */
export async function modelSource(dir: string): Promise<{ trial: string | null; epoch: number } | null> {
  try {
    await checkModelFolder(dir);
    const text = (await read(path.join(dir, modelFiles.provenance))).toString("utf8");
    return provenanceSchema.safeParse(parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof DistmisError) return null;
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function read(file: string): Promise<Buffer> {
  try {
    return await fs.readFile(file);
  } catch (error) {
    const why = hasErrno(error, "ENOENT") ? "does not exist, this model folder is not whole" : messageOf(error);
    throw new DistmisError("FILE_UNUSABLE", `${file}: ${why}`, { cause: error });
  }
}
