/** The colours of all pictures: one palette of at most 256, so that a GIF needs no quantisation and a PNG looks the same. */

export type Rgb = readonly [number, number, number];

/** Indices 0 to GREYS - 1 run from black to white. */
export const GREYS = 128;

/** Okabe and Ito's colours for the colour-blind, but black: https://jfly.uni-koeln.de/color. The ones that show best on grey come first. */
const CLASS_COLOURS: readonly Rgb[] = [
  [0xe6, 0x9f, 0x00],
  [0x56, 0xb4, 0xe9],
  [0x00, 0x9e, 0x73],
  [0xf0, 0xe4, 0x42],
  [0xcc, 0x79, 0xa7],
  [0xd5, 0x5e, 0x00],
  [0x00, 0x72, 0xb2],
];

/** Share of white in a prediction's colour: near its class's, and told apart from it. */
const PREDICTION_WHITE = 0.5;

function grey(index: number): Rgb {
  const level = Math.round((index * 255) / (GREYS - 1));
  return [level, level, level];
}

function lighten(colour: Rgb): Rgb {
  const [red, green, blue] = colour.map((value) => Math.round(value + (255 - value) * PREDICTION_WHITE));
  return [red ?? 0, green ?? 0, blue ?? 0];
}

/** Greys, the classes' colours, and the same lightened for predictions. */
export const PALETTE: readonly Rgb[] = [
  ...Array.from({ length: GREYS }, (_, index) => grey(index)),
  ...CLASS_COLOURS,
  ...CLASS_COLOURS.map(lighten),
];

export const BLACK = 0;
/** Around the panels: dark, but not the black of air. */
export const PAGE = 20;
export const TEXT = 112;
export const FAINT_TEXT = 80;

/** Whose outline. */
export type SegmentationRole = "truth" | "prediction";

/** Palette index of a class: `place` counts the classes shown, from 0. After seven the colours repeat. */
export function classColour(place: number, role: SegmentationRole): number {
  return GREYS + (place % CLASS_COLOURS.length) + (role === "truth" ? 0 : CLASS_COLOURS.length);
}

/** "#rrggbb" */
export function hex(index: number): string {
  return `#${(PALETTE[index] ?? [0, 0, 0]).map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
