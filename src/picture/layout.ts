/** Where everything lies in a picture: a row for each modality, in it the three planes side by side. */
import type { Shape3 } from "../data/index.ts";
import type { Box } from "./canvas.ts";
import { LETTER_HEIGHT, LETTER_WIDTH, textWidth } from "./font.ts";
import type { Plane } from "./planes.ts";

/** A small volume is enlarged by the largest whole number for which the panels fit into this, in pixels. */
const WANTED = { width: 640, height: 900 };
/** A large one is drawn smaller than a pixel a voxel where it exceeds this. */
const MOST = { width: 1800, height: 6000 };

const MARGIN = 10;
/** Of a line of text. */
export const LINE = LETTER_HEIGHT + 5;
const HALF_LINE = Math.floor(LINE / 2);
/** Beside each panel, for its letter. */
const SIDE = 2 * LETTER_WIDTH + 10;
const LEAST_COLUMN = 17 * LETTER_WIDTH;

interface Extents {
  shape: Shape3;
  /** Edges of a voxel in mm. */
  spacing: Shape3;
}

type Planes = readonly [Plane, Plane, Plane];

export interface LegendItem {
  text: string;
  /** Palette index of the line before the text; null: a heading. */
  colour: number | null;
  dashed: boolean;
}

export interface Layout {
  width: number;
  height: number;
  /** Pixels a mm. */
  scale: number;
  title: { x: number; y: number; width: number };
  legend: (LegendItem & { x: number; y: number })[];
  /** Of each plane's column: the middle of its heading, and the upper edge. */
  heads: { middle: number; y: number }[];
  rows: { head: { x: number; y: number }; panels: Box[] }[];
  foot: { x: number; y: number; width: number };
}

/** Length of a legend's line. */
export const SWATCH = 18;

export function layOut(
  volume: Extents,
  planes: Planes,
  rows: number,
  legend: readonly (readonly LegendItem[])[],
  footLines: number,
): Layout {
  const scale = scaleOf(volume, planes, rows);
  const size = panelSizes(volume, planes, scale);
  const columns = size.map(({ width }) => Math.max(LEAST_COLUMN, width + 2 * SIDE));
  const width = 2 * MARGIN + sum(columns);
  const inner = width - 2 * MARGIN;
  const starts = columns.map((_, index) => MARGIN + sum(columns.slice(0, index)));

  let y = MARGIN;
  const title = { x: MARGIN, y, width: inner };
  y += LINE;
  const placed: Layout["legend"] = [];
  for (const group of legend) {
    let x = MARGIN;
    for (const item of group) {
      const needed = textWidth(item.text) + (item.colour === null ? 0 : SWATCH + LETTER_WIDTH);
      if (x > MARGIN && x + needed > width - MARGIN) {
        x = MARGIN;
        y += LINE;
      }
      placed.push({ ...item, x, y });
      x += needed + 2 * LETTER_WIDTH;
    }
    y += LINE;
  }
  const head = y + HALF_LINE;
  y = head + LINE + HALF_LINE;
  const tallest = Math.max(...size.map(({ height }) => height));
  const placedRows = Array.from({ length: rows }, () => {
    const row = {
      head: { x: MARGIN, y },
      // Below its own head and the line of its upper letters.
      panels: size.map((panel, index) => ({
        x: (starts[index] ?? 0) + Math.floor(((columns[index] ?? 0) - panel.width) / 2),
        y: y + 2 * LINE + Math.floor((tallest - panel.height) / 2),
        ...panel,
      })),
    };
    // And above that of its lower ones and a gap.
    y += tallest + 4 * LINE;
    return row;
  });
  return {
    width,
    height: y + (footLines - 1) * LINE + LETTER_HEIGHT + MARGIN,
    scale,
    title,
    legend: placed,
    heads: columns.map((column, index) => ({ middle: (starts[index] ?? 0) + Math.floor(column / 2), y: head })),
    rows: placedRows,
    foot: { x: MARGIN, y, width: inner },
  };
}

/** Millimetres of a volume's side. */
function extent({ shape, spacing }: Extents, axis: 0 | 1 | 2): number {
  return shape[axis] * spacing[axis];
}

/** Whole pixels for the shortest edge of a voxel where there is room. */
function scaleOf(volume: Extents, planes: Planes, rows: number): number {
  const width = sum(planes.map(({ right }) => extent(volume, right.axis)));
  const height = rows * Math.max(...planes.map(({ down }) => extent(volume, down.axis)));
  const edge = Math.min(...volume.spacing);
  const factor = Math.floor(Math.min(WANTED.width / width, WANTED.height / height) * edge);
  return Math.min(Math.max(1, factor) / edge, MOST.width / width, MOST.height / height);
}

function panelSizes(volume: Extents, planes: Planes, scale: number): { width: number; height: number }[] {
  const pixels = (axis: 0 | 1 | 2): number => Math.max(1, Math.round(extent(volume, axis) * scale));
  return planes.map(({ right, down }) => ({ width: pixels(right.axis), height: pixels(down.axis) }));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
