/** Charts as pictures: SVG by ECharts, PNG from the SVG. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { DistmisError, messageOf } from "../errors/index.ts";
import { packageRoot } from "../paths/index.ts";

/** In pixels. */
export interface FigureSize {
  width: number;
  height: number;
}

export type DrawSvg = (option: object, size: FigureSize) => string;

/** @throws DistmisError SETUP_INCOMPLETE if the page is not built */
export async function loadDrawing(): Promise<DrawSvg> {
  const file = path.join(packageRoot(), "dist", "page", "figure.mjs");
  try {
    const { drawFigure } = (await import(pathToFileURL(file).href)) as { drawFigure: DrawSvg };
    return drawFigure;
  } catch (error) {
    throw new DistmisError(
      "SETUP_INCOMPLETE",
      `${file}: what draws figures is not built (${messageOf(error)}): run \`distmis setup\``,
    );
  }
}

/** Pixels of the picture for one of the drawing: 300 dots an inch where 900 are printed 6 inches wide. */
const SCALE = 2;

/** @throws DistmisError SETUP_INCOMPLETE if there is no resvg for this machine */
export async function pngOf(svg: string): Promise<Buffer> {
  const { Resvg } = await import("@resvg/resvg-js").catch((error: unknown) => {
    throw new DistmisError(
      "SETUP_INCOMPLETE",
      `resvg, which makes PNG of SVG, does not load (${messageOf(error)}): run \`distmis setup\``,
    );
  });
  // A node of a cluster may have no font at all.
  const font = path.join(packageRoot(), "dist", "page", "DejaVuSans.ttf");
  const family = "DejaVu Sans";
  const drawing = new Resvg(svg, {
    fitTo: { mode: "zoom", value: SCALE },
    background: "white",
    font: { fontFiles: [font], loadSystemFonts: true, defaultFontFamily: family, sansSerifFamily: family },
  });
  return drawing.render().asPng();
}
