/** How long a replica itself has worked in an epoch, by which one that holds the others up is found. */

/** Where even the slowest replica's validation is shorter, it says more about chance than about the replicas. */
const TOO_SHORT = 0.2;

/** What a replica measures in an epoch, in seconds. */
export interface Pace {
  /** Training, without the waits for batches. */
  training: number;
  /** Waits for batches in the training. */
  waited: number;
  /** This replica's part of the validation, before the replicas wait for each other. */
  validation: number;
  /** How many volumes that part has. */
  volumes: number;
}

const NUMBERS = 4;

/** The paces as numbers that can be summed over the replicas: those of others are 0. */
export function packPace(
  { training, waited, validation, volumes }: Pace,
  rank: number,
  replicas: number,
): Float32Array {
  const packed = new Float32Array(NUMBERS * replicas);
  packed.set([training, waited, validation, volumes], NUMBERS * rank);
  return packed;
}

/** The paces of all replicas, by rank. */
export function unpackPaces(packed: Float32Array): Pace[] {
  return Array.from({ length: packed.length / NUMBERS }, (_, rank) => {
    const [training = 0, waited = 0, validation = 0, volumes = 0] = packed.subarray(NUMBERS * rank);
    return { training, waited, validation, volumes };
  });
}

/**
 * An estimate of each replica's work; 0 where it can't be made. In a training step the replicas wait for the slowest within the
 * operation that computes it, so that all steps are equally long. In the validation each works alone: what a volume takes there
 * is its speed. The slowest works all the time that a step takes, the others a share of it as their speed says; and each makes the
 * others wait while it has no batch.
 */
export function workSeconds(paces: readonly Pace[]): number[] {
  const speeds = paces.map(({ validation, volumes }) => (volumes > 0 ? validation / volumes : 0));
  const slowest = Math.max(...speeds);
  const measured = Math.max(...paces.map(({ validation }) => validation)) >= TOO_SHORT && Math.min(...speeds) > 0;
  if (!measured) return paces.map(() => 0);
  // In what is more than this, the others had no batch.
  const steps = Math.min(...paces.map(({ training }) => training));
  return paces.map(({ waited }, rank) => waited + (steps * (speeds[rank] as number)) / slowest);
}
