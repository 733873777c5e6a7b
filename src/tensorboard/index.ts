/** TensorBoard's event files of the trials of a run. No TensorFlow. */
export { createTrialBoard, type TrialBoard, type TrialBoardOptions } from "./trial-board.ts";
