/** From a checkpoint to a model folder. */
import fs from "node:fs/promises";
import path from "node:path";
import { preprocessingSchema } from "../data/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { readModelFile, tensorsOf, unetParameters, writeModelFile } from "../model/index.ts";
import { makeFolder } from "../paths/index.ts";
import { describeLabels, describeMetrics, describeModel } from "./describe.ts";
import { modelFiles, sha256 } from "./files.ts";
import { describeProvenance } from "./provenance.ts";

export interface ExportOptions {
  /** A checkpoint, see findCheckpoint. */
  checkpoint: string;
  /** Folder to make. */
  output: string;
  /** Replaces a model folder that is there; anything else is never replaced. */
  overwrite?: boolean;
  /** Metrics of what was measured with it, for example `{ test: { dice: 0.9 } }`. */
  measured?: Readonly<Record<string, Record<string, number>>>;
}

/**
 * Writes a model folder, whole or not at all; docs/data-formats.md describes its files.
 * @returns its absolute path
 * @throws DistmisError FILE_UNUSABLE (no checkpoint, the output exists or can't be written), DATA_INVALID (a damaged checkpoint),
 * USAGE (the checkpoint is that of a model folder)
 */
export async function exportModel(options: ExportOptions): Promise<string> {
  const checkpoint = path.resolve(options.checkpoint);
  const output = path.resolve(options.output);
  if (path.basename(checkpoint) === modelFiles.weights) {
    throw new DistmisError("USAGE", `${path.dirname(checkpoint)}: is a model folder already: copy it`);
  }
  const replaces = await checkOutput(output, options.overwrite ?? false);
  const files = await contents(checkpoint, options.measured ?? {});
  // Beside it, as a folder can be renamed on one file system only.
  const temporary = path.join(path.dirname(output), `.${path.basename(output)}.${process.pid}.tmp`);
  const old = `${temporary}.old`;
  try {
    await makeFolder(path.dirname(output));
    await fs.rm(temporary, { recursive: true, force: true });
    await fs.mkdir(temporary);
    await writeModelFile(path.join(temporary, modelFiles.weights), files.weights, files.facts);
    const { json } = files;
    const sums = Object.entries(json).map(([name, text]) => [name, sha256(text)]);
    sums.unshift([modelFiles.weights, sha256(await fs.readFile(path.join(temporary, modelFiles.weights)))]);
    const manifest = jsonText({ ...files.description, sha256: Object.fromEntries(sums) });
    for (const [name, text] of [...Object.entries(json), [modelFiles.model, manifest] as const])
      await fs.writeFile(path.join(temporary, name), text, { flush: true });
    if (replaces) await fs.rename(output, old);
    await fs.rename(temporary, output);
    await fs.rm(old, { recursive: true, force: true });
  } catch (error) {
    await fs.rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("FILE_UNUSABLE", `${output}: can't be written: ${messageOf(error)}`, { cause: error });
  }
  return output;
}

const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function contents(checkpoint: string, measured: Readonly<Record<string, Record<string, number>>>) {
  const { tensors, facts } = await readModelFile(checkpoint);
  const { parameters, statistics } = unetParameters(facts.model, facts.channels, facts.outputs);
  const preprocessing = facts.preprocessing === null ? null : preprocessingSchema.parse(facts.preprocessing);
  return {
    weights: tensorsOf(checkpoint, tensors, [...parameters, ...statistics]),
    facts,
    description: describeModel(facts, preprocessing),
    json: {
      [modelFiles.preprocessing]: jsonText(preprocessing),
      [modelFiles.labels]: jsonText(describeLabels(preprocessing)),
      [modelFiles.provenance]: jsonText(await describeProvenance(checkpoint, facts)),
      [modelFiles.metrics]: jsonText(describeMetrics(facts, measured)),
    },
  };
}

/** Whether there is a model folder to replace. Refuses whatever must stay. */
async function checkOutput(output: string, overwrite: boolean): Promise<boolean> {
  let entries: string[];
  try {
    entries = await fs.readdir(output);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    const why = hasErrno(error, "ENOTDIR") ? "is a file or lies below one" : messageOf(error);
    throw new DistmisError("FILE_UNUSABLE", `${output}: ${why}; name a folder to make`, { cause: error });
  }
  if (entries.length === 0) return false;
  const known = new Set<string>(Object.values(modelFiles));
  const foreign = entries.filter((name) => !known.has(name));
  if (foreign.length > 0 || !entries.includes(modelFiles.model)) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${output}: holds ${(foreign.length > 0 ? foreign : entries).slice(0, 3).join(", ")} and is no model folder: name another`,
    );
  }
  if (!overwrite) throw new DistmisError("FILE_UNUSABLE", `${output}: holds a model already: --overwrite replaces it`);
  return true;
}
