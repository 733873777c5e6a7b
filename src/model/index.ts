/** The 3D U-Net, its loss and its optimiser, as functions over tensors. */
export {
  readCheckpoint,
  type StateValues,
  stateTensors,
  stateValues,
  weightTensors,
  writeCheckpoint,
} from "./checkpoint.ts";
export { checkpointBytes } from "./checkpoint-bytes.ts";
export { type Loss, lossOf } from "./loss.ts";
export {
  type EpochValue,
  type ModelFacts,
  modelFactsSchema,
  readModelFile,
  tensorsOf,
  writeModelFile,
} from "./model-file.ts";
export { NORM_EPSILON } from "./norm.ts";
export {
  initialSlots,
  type OptimizerConfig,
  type OptimizerUpdate,
  optimize,
  type Slots,
  slotNames,
} from "./optimizer.ts";
export { diceOfSums, type OverlapSums, overlapSums } from "./overlap.ts";
export {
  initialParameters,
  type ParameterSpec,
  parameterCount,
  splitParameters,
  splitValues,
} from "./parameters.ts";
export { learningRateAt, type ScheduleConfig } from "./schedule.ts";
export {
  type Batch,
  evaluationStep,
  initialState,
  lossAndGradient,
  type ModelState,
  predictionStep,
  trainingStep,
} from "./steps.ts";
export { type Network, type TrainingPass, unet } from "./unet.ts";
export { unetParameters } from "./unet-parameters.ts";
