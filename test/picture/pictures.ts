/** Decodes what was written, and finds the panels in it. */
import { readFile } from "node:fs/promises";
import { GifReader } from "omggif";
import { PNG } from "pngjs";
import type { Box } from "../../src/picture/canvas.ts";

export interface Decoded {
  width: number;
  height: number;
  /** "#rrggbb" */
  at(x: number, y: number): string;
}

function decoded(width: number, height: number, rgba: Uint8Array): Decoded {
  return {
    width,
    height,
    at(x, y) {
      const start = 4 * (y * width + x);
      return `#${Buffer.from(rgba.subarray(start, start + 3)).toString("hex")}`;
    },
  };
}

export async function readPng(file: string): Promise<Decoded> {
  const { width, height, data } = PNG.sync.read(await readFile(file));
  return decoded(width, height, data);
}

export async function readGif(file: string): Promise<{ frames: Decoded[]; delaysMs: number[]; loops: number | null }> {
  const gif = new GifReader(await readFile(file));
  const { width, height } = gif;
  const frames = Array.from({ length: gif.numFrames() }, (_, frame) => {
    const rgba = new Uint8Array(4 * width * height);
    gif.decodeAndBlitFrameRGBA(frame, rgba);
    return decoded(width, height, rgba);
  });
  const delaysMs = frames.map((_, frame) => 10 * gif.frameInfo(frame).delay);
  return { frames, delaysMs, loops: gif.loopCount() };
}

/** The pixels of a panel, row by row. */
export function cropped(picture: Decoded, { x, y, width, height }: Box): string[][] {
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => picture.at(x + column, y + row)),
  );
}
