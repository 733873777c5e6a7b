/** An experiment file as text: read, parsed as YAML (of which JSON is a part), with the line of every field. */
import { readFile, stat } from "node:fs/promises";
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import type { FieldPath } from "./describe.ts";

/** Far above any experiment; a data file named by mistake is refused before it is read. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

export interface ConfigDocument {
  /** Plain data. */
  data: unknown;
  /** The line (from 1) of a field, or of the nearest section that holds it; undefined if the file is empty. */
  lineOf(path: FieldPath): number | undefined;
}

/** Reads and parses a file. Throws FILE_UNUSABLE or CONFIG_INVALID. */
export async function readDocument(file: string): Promise<ConfigDocument> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) {
      throw new DistmisError(
        "CONFIG_INVALID",
        `${file}: expected an experiment file, found ${size} bytes of something else`,
      );
    }
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    const reason = hasErrno(error, "ENOENT")
      ? "there is no such file"
      : hasErrno(error, "EISDIR")
        ? "expected an experiment file, found a folder"
        : messageOf(error);
    throw new DistmisError("FILE_UNUSABLE", `${file}: ${reason}`, { cause: error });
  }
  return parseText(text, file);
}

/** Parses YAML or JSON. Throws CONFIG_INVALID that names `label` and the line. */
export function parseText(text: string, label: string): ConfigDocument {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = counter.linePos(error.pos[0]);
    throw new DistmisError(
      "CONFIG_INVALID",
      `${label}:${line}:${col}: not valid YAML or JSON: ${error.message.split("\n")[0]}`,
    );
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new DistmisError("CONFIG_INVALID", `${label}: not valid YAML or JSON: ${messageOf(cause)}`, { cause });
  }
  return {
    data,
    lineOf(path) {
      let node: unknown = document.contents;
      let offset: number | undefined;
      for (const key of path) {
        if (isMap(node)) {
          const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
          if (pair === undefined) break;
          offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
          node = pair.value;
        } else if (isSeq(node) && typeof key === "number") {
          node = node.items[key];
          offset = (isScalar(node) ? node.range?.[0] : undefined) ?? offset;
        } else break;
      }
      return offset === undefined ? undefined : counter.linePos(offset).line;
    },
  };
}
