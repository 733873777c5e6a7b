import gifenc from "gifenc";
import { PNG } from "pngjs";
import type { Canvas } from "./canvas.ts";
import { PALETTE } from "./palette.ts";

/** An animation that repeats for ever. `delayMs` is rounded to GIF's hundredths of a second. The same frames always give the same bytes. */
export function encodeGif(frames: Iterable<Canvas>, delayMs: number): Uint8Array {
  const gif = gifenc.GIFEncoder();
  let first = true;
  for (const { pixels, width, height } of frames) {
    gif.writeFrame(pixels, width, height, { delay: delayMs, ...(first ? { palette: PALETTE } : {}) });
    first = false;
  }
  gif.finish();
  return gif.bytes();
}

export function encodePng({ pixels, width, height }: Canvas): Uint8Array {
  const png = new PNG({ width, height });
  for (const [index, colour] of pixels.entries()) {
    const [red, green, blue] = PALETTE[colour] ?? [0, 0, 0];
    png.data.set([red, green, blue, 255], 4 * index);
  }
  return PNG.sync.write(png, { colorType: 2 });
}
