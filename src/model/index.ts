/** The 3D U-Net, its loss and its optimiser, as functions over tensors. */
export { type AdamSlots, adam, adamSlots } from "./adam.ts";
export {
  type ModelFacts,
  modelFactsSchema,
  readCheckpoint,
  type StateValues,
  stateTensors,
  stateValues,
  writeCheckpoint,
} from "./checkpoint.ts";
export { diceLoss, diceOfSums, type OverlapSums, overlapSums } from "./dice.ts";
export {
  initialParameters,
  type ParameterSpec,
  parameterCount,
  splitParameters,
  splitValues,
} from "./parameters.ts";
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
