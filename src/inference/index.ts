/** Trained models at work. */

export { type Ensemble, ensemble, type WindowOptions } from "./ensemble.ts";
export { findCheckpoint } from "./find-checkpoint.ts";
export { loadModel, type Model } from "./model.ts";
export { type NativeDice, type PredictedFile, predictFile, predictionName } from "./predict.ts";
export { type Prediction, type PredictOptions, predict } from "./predict-files.ts";
