/** What the classes in label files are called. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** The Decathlon's `{ "1": "edema" }`, or nnU-Net's `{ "edema": 1 }`, where a region of several classes has a list. */
const labelsSchema = z.record(z.string(), z.union([z.string(), z.int(), z.array(z.int())]));

/**
 * Names by class value: the `labels` of a data set's dataset.json.
 *
 * @param labels folder of label files; without `file`, the dataset.json in the folder above it counts if there is one with `labels`
 * @throws DistmisError FILE_UNUSABLE if `file` can't be read, DATA_INVALID if `labels` is not legal or missing in `file`
 */
export async function readClassNames(labels: string, file?: string): Promise<Map<number, string>> {
  const place = file ?? path.join(path.resolve(labels), "..", "dataset.json");
  let text: string;
  try {
    text = await readFile(place, "utf8");
  } catch (error) {
    if (file === undefined && hasErrno(error, "ENOENT")) return new Map();
    const why = hasErrno(error, "ENOENT") ? "does not exist" : `can't be read: ${messageOf(error)}`;
    throw new DistmisError("FILE_UNUSABLE", `${place}: ${why}`, { cause: error });
  }
  const found = fieldOf(text, place);
  if (found === undefined && file === undefined) return new Map();
  const parsed = labelsSchema.safeParse(found);
  if (!parsed.success) {
    throw new DistmisError(
      "DATA_INVALID",
      `${place}: field "labels": expected {"1": "edema"} or {"edema": 1}, found ${JSON.stringify(found)?.slice(0, 100) ?? "none"}`,
      { cause: parsed.error },
    );
  }
  const pairs = Object.entries(parsed.data).map(([key, value]) =>
    typeof value === "number" ? ([value, key] as const) : ([Number(key), value] as const),
  );
  return new Map(pairs.flatMap(([value, name]) => (typeof name === "string" ? [[value, name]] : [])));
}

function fieldOf(text: string, place: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return z.looseObject({ labels: z.unknown() }).safeParse(json).data?.labels;
  } catch (error) {
    throw new DistmisError("DATA_INVALID", `${place}: not JSON: ${messageOf(error)}`, { cause: error });
  }
}
