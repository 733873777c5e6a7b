/** What a side of the data-parallel benchmark is given, as JSON. */
export interface DataParallelCase {
  /** Processes, each with a batch of its own. */
  processes: number;
  /** X, Y, Z of the volumes. */
  shape: [number, number, number];
  /** Volumes in the batch of each process. */
  batch: number;
  /** Ours: see the option train.sync. */
  sync: boolean;
  /** Ours: false lets the processes train at once but each by itself, which tells what sharing the machine costs. */
  together: boolean;
  /** Threads of TensorFlow in each process. */
  threads: number;
  /** Steps before the measured ones. */
  warmUp: number;
  steps: number;
}

/** What each process prints as JSON. */
export interface Trained {
  /** Of each step after the warm-up. */
  seconds: number[];
  /** Of all steps. */
  losses: number[];
  /** Of all bits of the parameters after the last step. */
  digest: string;
  peakMegabytes: number;
}
