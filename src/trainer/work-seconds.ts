/** How long a replica itself has worked in an epoch, by which one that holds the others up is found. */

/** A training step computes forward, and backward with respect to inputs and to weights. */
const TRAINING_OVER_VALIDATION = 3;
/** Validations shorter than this say more about chance than about the replica. */
const TOO_SHORT = 0.2;

export interface ReplicasEpoch {
  replicas: number;
  /** Volumes of the splits. */
  sizes: { train: number; valid: number };
  /** Validation volumes of this replica. */
  own: number;
  /** Seconds in which this replica had no batch for a training step. */
  waited: number;
  /** Seconds of this replica's part of the validation, before the replicas wait for each other. */
  validation: number;
}

/**
 * An estimate in seconds; 0 where it can't be made. In a training step the replicas wait for the slowest, within the operation that
 * computes it, so that all steps are equally long. But in the validation each works alone: what a volume takes there stands for the
 * replica's speed.
 */
export function workSeconds({ replicas, sizes, own, waited, validation }: ReplicasEpoch): number {
  if (replicas === 1 || own === 0 || validation < TOO_SHORT) return 0;
  const volumes = (TRAINING_OVER_VALIDATION * sizes.train + sizes.valid) / replicas;
  return waited + (validation / own) * volumes;
}
