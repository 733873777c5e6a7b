/**
 * The losses: Dice over the flattened batch or over each volume, alone or with the mean cross entropy over the voxels. Each has one gradient
 * for all of it, computed from the probabilities, so that no chain of elementwise tensors is kept.
 */
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { TrainConfig } from "../config/index.ts";
import type { Attribute, TensorFlow } from "../tensorflow/index.ts";
import { counts, type Share } from "./share.ts";

/** DistMIS's smoothing: the Dice of two empty masks is then 1. */
export const SMOOTHING = 0.01;

/** Of one replica among several these are its parts: their sums over the replicas are the whole's. */
export interface Loss {
  readonly loss: Scalar;
  /** Mean of the foreground classes' soft Dice, without a gradient; kept, so that the caller disposes of it. */
  readonly dice: Scalar;
}

export type LossConfig = Pick<TrainConfig, "loss" | "batch_dice">;

const float: Attribute = { type: "type", value: "float32" };
type Save = (tensors: Tensor[]) => void;
const only = <T extends Tensor>(tensors: Tensor[]): T => tensors[0] as T;

/**
 * Probabilities of logits [..., K], in the same shape: the sigmoid where K is 1, else the softmax over the classes.
 */
export function probabilitiesOf({ tf, rawOp }: TensorFlow, logits: Tensor5D): Tensor5D {
  return logits.shape[4] === 1 ? tf.sigmoid(logits) : only(rawOp("Softmax", [logits], { T: float }));
}

/**
 * What the loss and its gradient are made of. Rows are classes: TensorFlow's reductions over an innermost axis of 3 are slow on
 * a CPU, and those over the outermost axis add millions of voxels one by one, which float32 does not stand.
 */
interface Form {
  /** [K, V] of logits [K, V]. */
  probabilities(logits: Tensor2D): Tensor2D;
  /** [K, V] of truths [V]: 1 for the class of the voxel, else 0. */
  indicator(truth: Tensor1D): Tensor2D;
  /** Sum over the voxels. */
  crossEntropy(logits: Tensor2D, indicator: Tensor2D): Scalar;
  /** Gradient with respect to the logits, from that with respect to the probabilities. */
  back(probabilities: Tensor2D, outer: Tensor2D): Tensor2D;
}

function binary({ tf, rawOp }: TensorFlow): Form {
  return {
    probabilities: (logits) => tf.sigmoid(logits),
    indicator: (truth) => truth.reshape([1, -1]),
    // log(1 + exp(x)) - x t; softplus neither overflows nor takes the logarithm of 0.
    crossEntropy: (logits, indicator) => {
      const softplus = only<Tensor2D>(rawOp("Softplus", [logits], { T: float }));
      return softplus.sum().sub<Scalar>(logits.mul(indicator).sum());
    },
    back: (probabilities, outer) => only(rawOp("SigmoidGrad", [probabilities, outer], { T: float })),
  };
}

function multiclass({ tf }: TensorFlow, outputs: number): Form {
  /** Exponentials over the largest logit of each voxel, which can't overflow. */
  const shifted = (logits: Tensor2D) => {
    const below = logits.sub<Tensor2D>(logits.max(0, true));
    const powers = below.exp();
    return { below, powers, sum: powers.sum(0, true) };
  };
  return {
    probabilities: (logits) => {
      const { powers, sum } = shifted(logits);
      return powers.div(sum);
    },
    indicator: (truth) =>
      tf.stack(Array.from({ length: outputs }, (_, index) => truth.equal(index).toFloat())) as Tensor2D,
    crossEntropy: (logits, indicator) => {
      const { below, sum } = shifted(logits);
      return sum.log().sum().sub<Scalar>(below.mul(indicator).sum());
    },
    back: (probabilities, outer) => {
      const weighted = probabilities.mul<Tensor2D>(outer);
      return weighted.sub(probabilities.mul(weighted.sum(0, true)));
    },
  };
}

/**
 * The loss of logits [N, X, Y, Z, K] against truths [N, X, Y, Z, 1], the index of each voxel's class. With K = 1 the one
 * class is the foreground; else class 0 is the background, which the Dice leaves out.
 * @param share of one replica among several
 */
export function lossOf(
  runtime: TensorFlow,
  { loss: kind, batch_dice }: LossConfig,
  logits: Tensor5D,
  truth: Tensor5D,
  share?: Share,
): Loss {
  const { tf } = runtime;
  const outputs = logits.shape[4];
  // Dice's sums are over the voxels of the batch, or over those of each volume.
  const volumes = batch_dice ? 1 : truth.shape[0];
  const voxels = truth.size;
  const form = outputs === 1 ? binary(runtime) : multiclass(runtime, outputs);
  const foreground = Math.max(1, outputs - 1);
  // [K * volumes, 1], of the mean over the foreground classes and the volumes.
  const weights = () =>
    tf.tensor2d(
      Array.from({ length: outputs * volumes }, (_, row) =>
        outputs > 1 && row < volumes ? 0 : 1 / (foreground * volumes),
      ),
      [outputs * volumes, 1],
    );
  // [K, V] as rows of one class and volume, and back.
  const byVolume = (values: Tensor2D) => (volumes === 1 ? values : values.reshape<Tensor2D>([outputs * volumes, -1]));
  const byClass = (values: Tensor2D) => (volumes === 1 ? values : values.reshape<Tensor2D>([outputs, -1]));
  const weighted = <T extends Tensor>(value: T): T => (share ? value.mul<T>(share.weight) : value);
  const together = share?.sync && batch_dice ? share : undefined;
  /** Of all replicas where their Dice is one. */
  const summed = (sums: { common: Tensor2D; total: Tensor2D }) => {
    if (!together) return sums;
    const part = counts(together);
    return together.sum({ common: sums.common.mul(part), total: sums.total.mul(part) }, "dice");
  };
  const overVoxels = (values: Tensor2D) => values.sum<Tensor2D>(1, true);
  const classesFirst = (voxels: Tensor2D) =>
    outputs === 1 ? voxels.reshape<Tensor2D>([1, -1]) : voxels.transpose<Tensor2D>([1, 0]);
  const voxelsFirst = (classes: Tensor2D) =>
    outputs === 1 ? classes.reshape<Tensor2D>([-1, 1]) : classes.transpose<Tensor2D>([1, 0]);
  let dice: Scalar | undefined;

  const run = tf.customGrad((...args) => {
    const save = args.pop() as Save;
    const [voxelLogits, t] = args as Tensor[] as [Tensor2D, Tensor1D];
    const x = classesFirst(voxelLogits);
    const probabilities = form.probabilities(x);
    const indicator = form.indicator(t);
    const [p, t1] = [byVolume(probabilities), byVolume(indicator)];
    const sums = summed({
      common: overVoxels(p.mul(t1)),
      total: overVoxels(p).add<Tensor2D>(overVoxels(t1)),
    });
    const doubled = sums.common.mul<Tensor2D>(2).add<Tensor2D>(SMOOTHING);
    const total = sums.total.add<Tensor2D>(SMOOTHING);
    const mean = doubled.div<Tensor2D>(total).mul(weights()).sum<Scalar>();
    // keep: it leaves the gradient's scope beside its result.
    dice = tf.keep(weighted(mean).clone());
    const alone = tf.sub<Scalar>(1, mean);
    const value = weighted(kind === "dice" ? alone : alone.add<Scalar>(form.crossEntropy(x, indicator).div(voxels)));
    save([probabilities, t, doubled, total]);
    return {
      value,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [p, truths, upper, lower] = saved as [Tensor2D, Tensor1D, Tensor2D, Tensor2D];
        const own = form.indicator(truths);
        const mine = weighted(dy);
        // A Dice over all replicas is not weighted: its sums hold each part as large as it is.
        const part = together ? dy.mul(counts(together)) : mine;
        const weight = weights().mul<Tensor2D>(part);
        // Of -weight * upper / lower: upper grows by twice the indicator, lower by 1.
        const slope = weight.mul(-2).div<Tensor2D>(lower);
        const level = weight.mul(upper).div<Tensor2D>(lower.square());
        const outer = byClass(byVolume(own).mul<Tensor2D>(slope).add<Tensor2D>(level));
        const back = form.back(p, outer);
        const gradient = kind === "dice" ? back : back.add<Tensor2D>(p.sub(own).mul(mine.div(voxels)));
        return [voxelsFirst(gradient), tf.zerosLike(truths)];
      },
    };
  });
  const loss = run(logits.reshape([-1, outputs]), truth.reshape([-1])) as Scalar;
  if (!dice) throw new Error("the loss was not computed");
  return { loss, dice };
}
