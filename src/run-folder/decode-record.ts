/** One line of the journal: a record with its checksum, or what is wrong with it. */
import { crc32c } from "@node-rs/crc32";
import { DistmisError } from "../errors/index.ts";
import { JOURNAL_VERSION, type JournalRecord, recordSchema } from "./record.ts";

export const NEWLINE = 0x0a;
/** Longest line that is believed; a record is some hundred bytes, the experiment's some thousand. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;
const TRAILER = /,"crc32c":"([0-9a-f]{8})"}$/;

/** The error for a line that is no record, whatever is in it. */
export function tooLong(file: string, line: number): DistmisError {
  return new DistmisError(
    "RUN_REFUSED",
    `${file}:${line}: expected a record, found a line of over ${MAX_LINE_BYTES} bytes`,
  );
}

/** Whether it is a record with its checksum, whatever its number. */
export function isWholeLine(bytes: Buffer): boolean {
  return typeof checkedText(bytes.toString("utf8")) === "object";
}

function checkedText(text: string): { json: string } | string {
  const trailer = TRAILER.exec(text);
  if (trailer === null) return "expected a record that ends with its checksum";
  const body = text.slice(0, trailer.index);
  const found = crc32c(body).toString(16).padStart(8, "0");
  return found === trailer[1] ? { json: `${body}}` } : `the checksum is ${trailer[1]}, the record's is ${found}`;
}

/** The record, or what is wrong with the line. @param where file and line, for messages */
export function decodeLine(where: string, bytes: Buffer, expectedSeq: number): JournalRecord | string {
  const checked = checkedText(bytes.toString("utf8"));
  if (typeof checked === "string") return checked;
  const raw: unknown = JSON.parse(checked.json);
  const parsed = recordSchema.safeParse(raw);
  if (!parsed.success) {
    const version = versionOf(raw);
    if (version > JOURNAL_VERSION) {
      throw new DistmisError(
        "RUN_REFUSED",
        `${where}: written by a newer distmis, in version ${version} of the format; this one reads up to ${JOURNAL_VERSION}: update it`,
      );
    }
    const [issue] = parsed.error.issues;
    const what = issue === undefined ? "" : `: ${issue.path.join(".")}: ${issue.message}`;
    throw new DistmisError(
      "RUN_REFUSED",
      `${where}: not a record of this distmis, which reads up to version ${JOURNAL_VERSION} of the format${what}; use the distmis that wrote it, or another run folder`,
    );
  }
  return parsed.data.seq === expectedSeq ? parsed.data : `expected record ${expectedSeq}, found ${parsed.data.seq}`;
}

function versionOf(record: unknown): number {
  const found = typeof record === "object" && record !== null && "version" in record ? record.version : 0;
  return typeof found === "number" ? found : 0;
}
