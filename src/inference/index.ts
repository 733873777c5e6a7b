/** Trained models at work. */

export { type Ensemble, ensemble } from "./ensemble.ts";
export { findCheckpoint } from "./find-checkpoint.ts";
export { loadModel, type Model } from "./model.ts";
export { type NativeDice, predictFile, predictionName, segment } from "./predict.ts";
export { type PredictOptions, predict } from "./predict-files.ts";
