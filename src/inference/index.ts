/** Trained models at work. */
export { loadModel, type Model } from "./model.ts";
export { predictFile, predictionName, segment } from "./predict.ts";
