import { open } from "node:fs/promises";

const PIECE_BYTES = 1 << 20;

/** The bytes of `file` from `at` on, up to the end that it has meanwhile. */
export async function* pieces(file: string, at: number): AsyncGenerator<Buffer, void, undefined> {
  const handle = await open(file);
  try {
    for (;;) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
