/** Checks a TFRecord file that passes by in pieces. */
import { crc32c } from "@node-rs/crc32";
import { HEAD_BYTES, mask, TAIL_BYTES } from "./frame.ts";
import { damaged } from "./read.ts";

export interface RecordVerifier {
  /** The next bytes of the file. Errors: DATA_INVALID naming file and byte offset of the record. */
  push(piece: Uint8Array): void;
  /** The file has ended here. Errors: DATA_INVALID if that is within a record. */
  end(): void;
}

/** @param path for messages */
export function recordVerifier(path: string): RecordVerifier {
  /** Where the record at hand begins, and how much data it has. */
  let [offset, length] = [0, 0];
  // Head or tail, as far as it has come.
  let gathered = Buffer.alloc(0);
  let [left, crc] = [0, 0];
  let part: "head" | "data" | "tail" = "head";
  const take = (piece: Uint8Array, bytes: number): Buffer | null => {
    gathered = Buffer.concat([gathered, piece.subarray(0, bytes - gathered.length)]);
    if (gathered.length < bytes) return null;
    const whole = gathered;
    gathered = Buffer.alloc(0);
    return whole;
  };
  return {
    push(piece) {
      for (let at = 0; at < piece.length || (part === "data" && left === 0); ) {
        const rest = piece.subarray(at);
        if (part === "data") {
          const here = rest.subarray(0, left);
          crc = crc32c(here, crc);
          left -= here.length;
          at += here.length;
          if (left === 0) part = "tail";
          continue;
        }
        const before = gathered.length;
        const wanted = part === "head" ? HEAD_BYTES : TAIL_BYTES;
        const whole = take(rest, wanted);
        at += Math.min(rest.length, wanted - before);
        if (whole === null) continue;
        if (part === "head") {
          if (mask(crc32c(whole.subarray(0, 8))) !== whole.readUInt32LE(8))
            throw damaged({ path, offset }, "checksum of its length is wrong");
          length = Number(whole.readBigUInt64LE(0));
          [left, crc] = [length, 0];
          part = "data";
        } else {
          if (mask(crc) !== whole.readUInt32LE(0)) throw damaged({ path, offset }, "checksum of its data is wrong");
          offset += HEAD_BYTES + length + TAIL_BYTES;
          part = "head";
        }
      }
    },
    end() {
      if (part !== "head" || gathered.length > 0) throw damaged({ path, offset }, "cut off");
    },
  };
}
