/** Where a model comes from: its trial, the code, the data. */
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { INFO_FILE, readInfo, type SampleInfo, SPLITS } from "../data/index.ts";
import { hasErrno } from "../errors/index.ts";
import type { ModelFacts } from "../model/index.ts";
import { sha256 } from "./files.ts";

/** A row of results.jsonl, as far as it matters here. */
const rowSchema = z.object({
  trial: z.string(),
  parameters: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  nodes: z.array(z.string()),
  gpus: z.array(z.string()),
  seconds: z.number(),
});

/** provenance.json. What is not known is null: an old file's origin, a lone file's trial, data that are gone or others by now. */
export async function describeProvenance(checkpoint: string, facts: ModelFacts) {
  const { origin, train, epoch, step, versions } = facts;
  const row = await trialRow(checkpoint);
  return {
    experiment: origin?.experiment ?? null,
    trial: origin?.trial ?? null,
    attempt: origin?.attempt ?? null,
    /** What the search chose, by the field's path. */
    parameters: row?.parameters ?? null,
    seed: train.seed,
    epoch,
    step,
    train,
    versions,
    host: origin?.host ?? null,
    nodes: row?.nodes ?? null,
    gpus: row?.gpus ?? null,
    seconds: row?.seconds ?? null,
    trained: origin?.time ?? null,
    exported: new Date().toISOString(),
    checkpoint,
    data: origin && { ...origin.data, sources: await sources(origin.data) },
  };
}

/** What the run of a checkpoint `RUN/trials/ID/checkpoints/NAME` says of its trial; null for a file elsewhere. */
async function trialRow(checkpoint: string): Promise<z.output<typeof rowSchema> | null> {
  const trialDir = path.resolve(path.dirname(checkpoint), "..");
  const results = path.resolve(trialDir, "../..", "results.jsonl");
  const text = await fs.readFile(results, "utf8").catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return "";
    throw error;
  });
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const row = rowSchema.safeParse(JSON.parse(line)).data;
    if (row?.trial === path.basename(trialDir)) return row;
  }
  return null;
}

type Origin = NonNullable<ModelFacts["origin"]>;

/** Checksums of the source files by split, if info.json is still the one of the training. */
async function sources({ dir, info_sha256 }: Origin["data"]) {
  const bytes = await fs.readFile(path.join(dir, INFO_FILE)).catch(() => null);
  if (bytes === null || sha256(bytes) !== info_sha256) return null;
  const { distmis } = await readInfo(dir);
  if (distmis === undefined) return null;
  const ofSample = ({ image, label }: SampleInfo) => ({
    image: image.path,
    image_sha256: image.sha256,
    label: label.path,
    label_sha256: label.sha256,
  });
  return {
    dir: distmis.source_dir,
    ...Object.fromEntries(SPLITS.map((split) => [split, distmis.samples[split].map(ofSample)])),
  };
}
