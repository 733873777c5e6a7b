/** NiiVue, and how the page draws with it; a chunk of its own. */
import { Niivue, NVImage, SLICE_TYPE } from "@niivue/niivue";
import type { Volume } from "./source.ts";

export type ShowAs = "planes" | "axial" | "coronal" | "sagittal" | "render";

const SLICE_TYPES: Record<ShowAs, SLICE_TYPE> = {
  planes: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  render: SLICE_TYPE.RENDER,
};

type Colour = readonly [number, number, number];

/** By class, again from the first one when they end; truth in cold colours, predictions in warm ones. */
export const TRUTH_COLOURS: readonly Colour[] = [
  [40, 200, 90],
  [40, 140, 255],
  [0, 210, 210],
];
export const PREDICTION_COLOURS: readonly Colour[] = [
  [255, 130, 20],
  [255, 60, 160],
  [255, 215, 0],
];

export interface Layers {
  /** Null where there is none. */
  image: Volume | null;
  truth: Volume | null;
  prediction: Volume | null;
}

export interface Viewer {
  /**
   * Replaces what is shown, all at once; the place of the crosshair stays. Resolves with whether it is shown: not if another call
   * came meanwhile.
   */
  show(layers: Layers): Promise<boolean>;
  opacity(layer: "truth" | "prediction", opacity: number): void;
  showAs(how: ShowAs): void;
  /** Moves the crosshair by voxels to the right, forwards and upwards, or turns what is rendered. */
  move(x: number, y: number, z: number): void;
  close(): void;
}

export async function openViewer(canvas: HTMLCanvasElement): Promise<Viewer> {
  const niivue = new Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [1, 1, 1, 0.5],
    crosshairWidthUnit: "percent",
    crosshairWidth: 0.4,
    show3Dcrosshair: true,
    isColorbar: false,
    // Voxels of a segmentation have no values between.
    isNearestInterpolation: true,
    loadingText: "",
    dragAndDropEnabled: false,
    logLevel: "error",
  });
  await niivue.attachToCanvas(canvas);
  const opacities = { truth: 0.6, prediction: 0.6 };
  const places: { truth: number | null; prediction: number | null } = { truth: null, prediction: null };

  /** Counts the calls of `show`; what was read for an earlier one is not drawn. */
  let latest = 0;
  const read = async (volume: Volume, colours: readonly Colour[] | null): Promise<NVImage> => {
    const image = await NVImage.loadFromUrl({ url: volume.name, name: volume.name, buffer: volume.bytes });
    if (colours !== null) {
      // Else NiiVue draws it by its greys.
      if (image.hdr !== null) image.hdr.intent_code = INTENT_LABEL;
      image.setColormapLabel(tableOf(colours));
    }
    return image;
  };
  const add = (image: NVImage | null, opacity: number): number | null => {
    if (image === null) return null;
    image.opacity = opacity;
    niivue.addVolume(image);
    return niivue.volumes.length - 1;
  };
  return {
    async show(layers) {
      const call = ++latest;
      const [image, truth, prediction] = await Promise.all([
        layers.image && read(layers.image, null),
        layers.truth && read(layers.truth, TRUTH_COLOURS),
        layers.prediction && read(layers.prediction, PREDICTION_COLOURS),
      ]);
      if (call !== latest) return false;
      const crosshair = niivue.volumes.length > 0 ? niivue.scene.crosshairPos : null;
      while (niivue.volumes[0] !== undefined) niivue.removeVolume(niivue.volumes[0]);
      add(image, 1);
      places.truth = add(truth, opacities.truth);
      places.prediction = add(prediction, opacities.prediction);
      if (crosshair !== null) niivue.scene.crosshairPos = crosshair;
      niivue.updateGLVolume();
      return true;
    },
    opacity(layer, opacity) {
      opacities[layer] = opacity;
      const place = places[layer];
      if (place !== null) niivue.setOpacity(place, opacity);
    },
    showAs: (how) => void niivue.setSliceType(SLICE_TYPES[how]),
    move(x, y, z) {
      if (niivue.opts.sliceType !== SLICE_TYPE.RENDER) return niivue.moveCrosshairInVox(x, y, z);
      const { renderAzimuth, renderElevation } = niivue.scene;
      niivue.setRenderAzimuthElevation(renderAzimuth + TURN_DEGREES * x, renderElevation + TURN_DEGREES * y);
    },
    close() {
      latest++;
      niivue.cleanup();
    },
  };
}

const TURN_DEGREES = 5;

/** NIfTI's code for a volume of labels. */
const INTENT_LABEL = 1002;
const CLASSES = 256;

/** A colour for every value but 0, which is transparent. */
function tableOf(colours: readonly Colour[]) {
  const values = Array.from({ length: CLASSES }, (_, value) => value);
  const part = (at: 0 | 1 | 2) =>
    values.map((value) => (value === 0 ? 0 : (colours[(value - 1) % colours.length]?.[at] ?? 0)));
  return { R: part(0), G: part(1), B: part(2), A: values.map((value) => (value === 0 ? 0 : 255)), I: values };
}
