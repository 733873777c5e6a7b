/** One picture of a volume that changes: always at the same place, whatever is predicted. */
import { prepareDrawing } from "./draw.ts";
import { encodePng } from "./encode.ts";
import { richestPosition } from "./positions.ts";
import type { PictureVolume } from "./volume.ts";

/** A PNG of the three planes through the place where the truth has most to show. */
export function drawStill(volume: PictureVolume): Uint8Array {
  return encodePng(prepareDrawing(volume).frame(richestPosition({ ...volume, prediction: null })));
}
