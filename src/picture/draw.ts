/** A volume to frames of one size. */
import type { Shape3 } from "../data/index.ts";
import { type Box, type Canvas, createCanvas, drawText, setPixel } from "./canvas.ts";
import { fitText, LETTER_HEIGHT, LETTER_WIDTH, textWidth } from "./font.ts";
import { type Layout, type LegendItem, LINE, layOut, SWATCH } from "./layout.ts";
import { BLACK, classColour, FAINT_TEXT, type SegmentationRole, TEXT } from "./palette.ts";
import { drawImage, drawOutline, inDash, type PanelTaps, panelTaps } from "./panel.ts";
import { type Plane, planesOf } from "./planes.ts";
import { classesOf, type PictureVolume, type Segmentation } from "./volume.ts";
import { percentileWindow, type Window } from "./window.ts";

export interface ShownClass {
  role: SegmentationRole;
  value: number;
  name: string;
  /** Palette index. */
  colour: number;
}

export interface Drawing {
  width: number;
  height: number;
  planes: readonly [Plane, Plane, Plane];
  /** Pixels a mm. */
  scale: number;
  /** Of each channel. */
  windows: Window[];
  /** Of each channel: the axial, the coronal and the sagittal plane. */
  panels: Box[][];
  classes: ShownClass[];
  /** The planes through one voxel. */
  frame(position: Shape3): Canvas;
}

export function prepareDrawing(volume: PictureVolume): Drawing {
  const planes = planesOf(volume.orientation);
  const windows = volume.channels.map(({ data }) => percentileWindow(data));
  const { classes, places } = shownClasses(volume);
  const foot = footOf(volume);
  const spacing = volume.spacing ?? ([1, 1, 1] as const);
  const layout = layOut(
    { shape: volume.shape, spacing },
    planes,
    volume.channels.length,
    legendOf(volume, classes),
    foot.length,
  );
  const taps = planes.map((plane, index) =>
    // Panels of one column have one size.
    panelTaps(volume, plane, layout.rows[0]?.panels[index] ?? { x: 0, y: 0, width: 0, height: 0 }),
  );

  const background = createCanvas(layout.width, layout.height);
  drawLegend(background, layout);
  drawText(background, fitText(volume.title, layout.title.width), layout.title.x, layout.title.y, TEXT);
  for (const [line, text] of foot.entries()) {
    drawText(background, fitText(text, layout.foot.width), layout.foot.x, layout.foot.y + line * LINE, FAINT_TEXT);
  }
  for (const [row, { head, panels }] of layout.rows.entries()) {
    drawText(background, rowHead(volume.channels[row]?.name ?? "", windows[row]), head.x, head.y, TEXT);
    for (const [index, plane] of planes.entries()) {
      const box = panels[index];
      if (box !== undefined) drawLetters(background, box, plane);
    }
  }

  const frame = (position: Shape3): Canvas => {
    const canvas = { ...background, pixels: background.pixels.slice() };
    for (const [index, plane] of planes.entries()) {
      const { axis } = plane.through;
      const start = position[axis] * volume.strides[axis];
      const [tap, head] = [taps[index], layout.heads[index]];
      if (tap === undefined || head === undefined) continue;
      drawCentred(canvas, `${plane.name}  ${"xyz"[axis]} ${position[axis]}`, head.middle, head.y, TEXT);
      for (const [row, { panels }] of layout.rows.entries()) {
        const [panel, channel, window] = [panels[index], volume.channels[row], windows[row]];
        if (panel === undefined || channel === undefined || window === undefined) continue;
        drawImage(canvas, panel, tap, channel.data, start, window);
        drawOutlines(canvas, panel, tap, volume, start, places);
      }
    }
    return canvas;
  };
  const { width, height, scale } = layout;
  return { width, height, planes, scale, windows, panels: layout.rows.map(({ panels }) => panels), classes, frame };
}

/**
 * The truth's outlines are solid. The prediction's are dashed, with black in the gaps to be seen on any grey, but where the truth's
 * line runs below them, it fills the gaps: there both agree.
 */
function drawOutlines(
  canvas: Canvas,
  panel: Box,
  taps: PanelTaps,
  { truth, prediction }: PictureVolume,
  start: number,
  places: ReadonlyMap<number, number>,
): void {
  const colourOf = (value: number, role: SegmentationRole): number => classColour(places.get(value) ?? 0, role);
  const outline = (
    segmentation: Segmentation | null,
    colour: (value: number, x: number, y: number) => number | null,
  ) => {
    if (segmentation !== null) drawOutline(canvas, panel, taps, segmentation.values, start, colour);
  };
  outline(prediction, (_, x, y) => (inDash(x, y) ? null : BLACK));
  outline(truth, (value) => colourOf(value, "truth"));
  outline(prediction, (value, x, y) => (inDash(x, y) ? colourOf(value, "prediction") : null));
}

/** A class has one colour in truth and prediction, by its place among all that occur in either. */
function shownClasses({ truth, prediction }: PictureVolume): {
  classes: ShownClass[];
  places: Map<number, number>;
} {
  const found = {
    truth: truth === null ? [] : classesOf(truth),
    prediction: prediction === null ? [] : classesOf(prediction),
  };
  const values = [...new Set([...found.truth, ...found.prediction])].sort((a, b) => a - b);
  const places = new Map(values.map((value, place) => [value, place]));
  const classes = (["truth", "prediction"] as const).flatMap((role) =>
    found[role].map((value) => ({
      role,
      value,
      name: truth?.names.get(value) ?? prediction?.names.get(value) ?? `class ${value}`,
      colour: classColour(places.get(value) ?? 0, role),
    })),
  );
  return { classes, places };
}

/** A legend longer than this is no help. */
const MOST_NAMED = 14;

function legendOf({ truth, prediction }: PictureVolume, classes: readonly ShownClass[]): LegendItem[][] {
  return (["truth", "prediction"] as const)
    .filter((role) => (role === "truth" ? truth : prediction) !== null)
    .map((role) => {
      const shown = classes.filter((one) => one.role === role);
      const heading = (text: string): LegendItem => ({ text, colour: null, dashed: false });
      const more = shown.length - MOST_NAMED;
      return [
        heading(prediction === null ? "label" : role),
        ...shown
          .slice(0, MOST_NAMED)
          .map(({ name, colour }) => ({ text: name, colour, dashed: role === "prediction" })),
        ...(shown.length === 0 ? [heading("empty")] : more > 0 ? [heading(`and ${more} more`)] : []),
      ];
    });
}

function drawLegend(canvas: Canvas, { legend, width }: Layout): void {
  for (const { text, colour, dashed, x, y } of legend) {
    if (colour === null) {
      drawText(canvas, fitText(text, width - x), x, y, FAINT_TEXT);
      continue;
    }
    for (let step = 0; step < SWATCH; step++) {
      for (const row of [3, 4]) setPixel(canvas, x + step, y + row, !dashed || inDash(step, 0) ? colour : BLACK);
    }
    const start = x + SWATCH + LETTER_WIDTH;
    drawText(canvas, fitText(text, width - start), start, y, TEXT);
  }
}

function drawCentred(canvas: Canvas, text: string, middle: number, y: number, colour: number): void {
  drawText(canvas, text, middle - Math.ceil(textWidth(text) / 2), y, colour);
}

function drawLetters(canvas: Canvas, { x, y, width, height }: Box, { letters }: Plane): void {
  const gap = 4;
  const [middle, half] = [x + Math.floor(width / 2), y + Math.floor((height - LETTER_HEIGHT) / 2)];
  drawText(canvas, letters.left, x - gap - textWidth(letters.left), half, FAINT_TEXT);
  drawText(canvas, letters.right, x + width + gap, half, FAINT_TEXT);
  drawCentred(canvas, letters.top, middle, y - gap - LETTER_HEIGHT + 1, FAINT_TEXT);
  drawCentred(canvas, letters.bottom, middle, y + height + gap, FAINT_TEXT);
}

function rowHead(name: string, window: Window | undefined): string {
  const short = (value: number): string => String(Number(value.toPrecision(4)));
  return window === undefined ? name : `${name}  ${short(window.low)} to ${short(window.high)}`;
}

function footOf({ spacing, shape, orientation }: PictureVolume): [string, string] {
  const edges = spacing?.map((edge) => String(Number(edge.toPrecision(3)))).join(" x ");
  const size = `${shape.join(" x ")} voxels${edges === undefined ? ", spacing unknown" : ` of ${edges} mm`}`;
  return orientation === null
    ? [size, "orientation unknown: voxel axes as stored"]
    : [`${size}, stored ${orientation}`, "radiological: the patient's right is on the left"];
}
