/** Trained models at work. */
export { findCheckpoint } from "./find-checkpoint.ts";
export { loadModel, type Model } from "./model.ts";
export { predictFile, predictionName, segment } from "./predict.ts";
export { type PredictOptions, predict } from "./predict-files.ts";
