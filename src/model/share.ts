/**
 * One replica's part in a training step of several. The step's batch lies in parts over the replicas; each computes its part's
 * share of loss and gradient, and the sums over the replicas are those of the whole batch.
 */
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-node-gpu";
import { allReduce, flatten, type TensorFlow, type TensorTree } from "../tensorflow/index.ts";
import type { OverReplicas } from "./norm.ts";

export interface Share {
  /** Volumes of this replica's part over those of all parts; they sum to 1. At 0 the part stands in for none: it counts nowhere. */
  readonly weight: Scalar;
  /** Tensors summed over the replicas; each call of a step has a name of its own. */
  sum<T extends TensorTree>(tree: T, name: string): T;
  /** Whether Dice's sums and batch norm's statistics are those of all parts, or each replica's own as in DistMIS. */
  readonly sync: boolean;
}

/**
 * A replica's share in the step that is traced.
 * @param weight see {@link Share}
 */
export function shareOf(runtime: TensorFlow, weight: Scalar, sync: boolean): Share {
  return {
    weight,
    sync,
    sum: (tree, name) => {
      // A process goes from trial to trial, whose models differ in size: those are other tensors, with names of their own.
      const shapes = flatten(tree).map(({ shape }) => shape.join("x"));
      return allReduce(runtime, tree, { name: `step/${name} ${shapes.join(" ")}` });
    },
  };
}

/** 1, or 0 where the part stands in for none. */
export const counts = ({ weight }: Share): Scalar => weight.greater<Scalar>(0).toFloat();

/** Batch norm's pooling over the replicas, or undefined where each has its own. */
export function poolOverReplicas(share: Share | undefined): OverReplicas | undefined {
  if (!share?.sync) return undefined;
  // The norms' forward and backward passes are traced in the same order on all replicas.
  let call = 0;
  return {
    mean: (own) => share.sum(own.mul<Tensor2D>(share.weight), `norm${call++}`),
    counts: () => counts(share),
  };
}
