/** What both sides of the all-reduce benchmark are given, as JSON. */
export interface AllReduceCase {
  /** Processes that reduce together. */
  processes: number;
  /** float32 numbers in each of them. */
  elements: number;
  /** Threads of TensorFlow in each of them. */
  threads: number;
  warmUp: number;
  steps: number;
}

/** What each process prints as JSON. */
export interface Measured {
  /** Of each step after the warm-up. */
  seconds: number[];
  /** Largest absolute difference of the last result from what it should be. */
  error: number;
  peakMegabytes: number;
}
