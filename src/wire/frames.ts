/**
 * Frames on a trainer's pipes: the size of the payload in bytes as an unsigned 32-bit little-endian integer, then the
 * payload. See proto/distmis/v1/trainer.proto.
 */
import { DistmisError } from "../errors/index.ts";

/** Changes whenever proto/distmis/v1/trainer.proto or the framing does; sent in Ready. */
export const PROTOCOL_VERSION = 2;

/** Largest payload. Messages are some kilobytes; the bound keeps a corrupt size from dictating an allocation. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;

const HEADER_BYTES = 4;

/**
 * The frame of one payload, in memory of its own (so that it can be transferred to another thread).
 * @throws DistmisError TRAINER_FAILED if the payload is larger than {@link MAX_PAYLOAD_BYTES}.
 */
export function encodeFrame(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  checkSize(payload.byteLength, "to be sent");
  const frame = new Uint8Array(HEADER_BYTES + payload.byteLength);
  new DataView(frame.buffer).setUint32(0, payload.byteLength, true);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/**
 * Takes the next bytes of the pipe, cut anywhere, and yields the payloads that they complete; to be run to its end before
 * the next chunk. A payload may be a view of `chunk`. Time is linear in the bytes, however small the chunks; at most one
 * unfinished payload is held.
 * @throws DistmisError TRAINER_FAILED if a frame announces more than {@link MAX_PAYLOAD_BYTES}, after the payloads before
 * it; nothing is allocated for it, and the decoder is of no further use.
 */
export type FrameDecoder = (chunk: Uint8Array) => Generator<Uint8Array, void, undefined>;

/** A decoder for one pipe, from its beginning. */
export function createFrameDecoder(): FrameDecoder {
  const header = new Uint8Array(HEADER_BYTES);
  let headerFilled = 0;
  let payload: Uint8Array | null = null;
  let payloadFilled = 0;

  return function* (chunk) {
    let position = 0;
    /** Copies what `target` still lacks, as far as the chunk goes; returns how much that was. */
    const fill = (target: Uint8Array, filled: number): number => {
      const part = chunk.subarray(position, position + target.byteLength - filled);
      target.set(part, filled);
      position += part.byteLength;
      return part.byteLength;
    };
    while (position < chunk.byteLength) {
      if (payload === null) {
        headerFilled += fill(header, headerFilled);
        if (headerFilled < HEADER_BYTES) return;
        const size = new DataView(header.buffer).getUint32(0, true);
        checkSize(size, "announced");
        if (chunk.byteLength - position >= size) {
          headerFilled = 0;
          position += size;
          yield chunk.subarray(position - size, position);
          continue;
        }
        payload = new Uint8Array(size);
        payloadFilled = 0;
      }
      payloadFilled += fill(payload, payloadFilled);
      if (payloadFilled === payload.byteLength) {
        const complete = payload;
        payload = null;
        headerFilled = 0;
        yield complete;
      }
    }
  };
}

function checkSize(size: number, what: string): void {
  if (size > MAX_PAYLOAD_BYTES) {
    throw new DistmisError(
      "TRAINER_FAILED",
      `a frame of ${size} bytes was ${what}, at most ${MAX_PAYLOAD_BYTES} are legal`,
    );
  }
}
