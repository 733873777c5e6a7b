import { eachDot } from "./font.ts";
import { PAGE } from "./palette.ts";

/** A picture of palette indices, row by row from the top. */
export interface Canvas {
  width: number;
  height: number;
  pixels: Uint8Array;
}

/** A part of a canvas, in pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function createCanvas(width: number, height: number): Canvas {
  return { width, height, pixels: new Uint8Array(width * height).fill(PAGE) };
}

export function setPixel({ width, height, pixels }: Canvas, x: number, y: number, colour: number): void {
  if (x >= 0 && y >= 0 && x < width && y < height) pixels[y * width + x] = colour;
}

/** `x`, `y`: the upper left corner. */
export function drawText(canvas: Canvas, text: string, x: number, y: number, colour: number): void {
  eachDot(text, (column, row) => setPixel(canvas, x + column, y + row, colour));
}
