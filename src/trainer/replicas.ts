/**
 * What the replicas of a trial agree on outside of their steps, by all-reduces that each of them makes in the same order: how they
 * begin, what they measured, whether they still have the same weights. With one replica, everything is its own.
 */
import { crc32c } from "@node-rs/crc32";
import { DistmisError, messageOf } from "../errors/index.ts";
import type { ModelState } from "../model/index.ts";
import { allReduce, broadcast, flatten, type TensorFlow } from "../tensorflow/index.ts";
import type { Progress } from "./save.ts";
import type { TrialContext } from "./task.ts";

/** How long replicas wait for the last one to begin: all have started their process, and each loads TensorFlow and the data set. */
const BEGIN_SECONDS = 60;

/** TensorFlow's CANCELLED, DEADLINE_EXCEEDED, ABORTED and UNAVAILABLE, as its Node binding tells them. */
const BROKEN = /TF_Status: (1|4|10|14)\b/;

export type Replica = Pick<TrialContext, "rank" | "replicas">;

/**
 * Does what replicas do together.
 * @throws DistmisError TRAINER_FAILED if another one is lost or does not come, so that the trial is tried again
 */
export function together<T>({ rank, replicas }: Replica, what: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    if (replicas === 1 || error instanceof DistmisError || !BROKEN.test(messageOf(error))) throw error;
    throw new DistmisError(
      "TRAINER_FAILED",
      `replica ${rank} of ${replicas} lost the others ${what}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Rank 0's beginning on all replicas; takes over `own.state`.
 * @param own as rank 0 found it; of the others only the form of its state matters
 * @param sizes volumes of the splits as this replica sees them
 * @throws DistmisError TRAINER_FAILED if not all come within a minute, DATA_INVALID if they see different data sets
 */
export function sameBeginning(
  replica: Replica,
  runtime: TensorFlow,
  own: Progress,
  sizes: { train: number; valid: number },
): Progress {
  if (replica.replicas === 1) return own;
  const { tf } = runtime;
  const send = <T extends ModelState | { values: ReturnType<typeof tf.tensor1d> }>(tree: T, name: string): T => {
    try {
      return broadcast(runtime, tree, { name: `begin/${name}`, timeoutSeconds: BEGIN_SECONDS });
    } finally {
      tf.dispose(flatten(tree));
    }
  };
  const sendNumbers = (numbers: readonly number[], name: string): number[] => {
    const sent = send({ values: tf.tensor1d([...numbers], "int32") }, `${name} ${numbers.length}`).values;
    const received = [...sent.dataSync()];
    sent.dispose();
    return received;
  };
  return together(replica, "at the beginning", () => {
    const { epoch, step, standing } = own;
    const facts = [...Buffer.from(JSON.stringify({ epoch, step, standing, sizes }))];
    const [length = 0] = sendNumbers([facts.length], "length");
    const bytes = sendNumbers(replica.rank === 0 ? facts : new Array(length).fill(0), "facts");
    const { sizes: first, ...begun } = JSON.parse(Buffer.from(bytes).toString()) as Omit<
      Progress,
      "state" | "reports"
    > & {
      sizes: typeof sizes;
    };
    if (first.train !== sizes.train || first.valid !== sizes.valid) {
      throw new DistmisError(
        "DATA_INVALID",
        `replica ${replica.rank} sees ${sizes.train} training and ${sizes.valid} validation volumes, replica 0 sees ` +
          `${first.train} and ${first.valid}: data.dir must be the same folder on all nodes`,
      );
    }
    return {
      ...begun,
      reports: own.reports,
      state: send(own.state, `state ${flatten(own.state).map(({ size }) => size)}`),
    };
  });
}

/** Sums of float32 numbers over the replicas, element by element, bit by bit the same on all of them. */
export function sumOverReplicas(replica: Replica, runtime: TensorFlow, own: Float32Array, name: string): Float32Array {
  if (replica.replicas === 1) return own;
  return together(replica, `at the ${name}`, () => {
    const part = runtime.tf.tensor1d(own, "float32");
    const { all } = allReduce(runtime, { all: part }, { name: `${name} ${own.length}` });
    const sums = Float32Array.from(all.dataSync());
    runtime.tf.dispose([part, all]);
    return sums;
  });
}

/**
 * Compares the replicas' weights and moving statistics, by their CRC32C.
 * @throws DistmisError TRIAL_FAILED on all replicas, where they differ
 */
export function checkSameWeights(
  replica: Replica,
  runtime: TensorFlow,
  { parameters, statistics }: Pick<ModelState, "parameters" | "statistics">,
  epoch: number,
): void {
  const { rank, replicas } = replica;
  if (replicas === 1) return;
  const checksum = [parameters, statistics].reduce((before, tensor) => {
    const { buffer, byteOffset, byteLength } = tensor.dataSync<"float32">();
    return crc32c(Buffer.from(buffer, byteOffset, byteLength), before);
  }, 0);
  // Each in a place of its own, so that all replicas know which one differs.
  const own = new Int32Array(replicas);
  own[rank] = checksum;
  const all = together(replica, `after epoch ${epoch}`, () => {
    const part = runtime.tf.tensor1d(own, "int32");
    const { sums } = allReduce(runtime, { sums: part }, { name: `checksums ${replicas}` });
    const found = [...sums.dataSync()];
    runtime.tf.dispose([part, sums]);
    return found;
  });
  const others = all.flatMap((found, other) => (found === all[0] ? [] : [other]));
  if (others.length === 0) return;
  throw new DistmisError(
    "TRIAL_FAILED",
    `the weights of replica ${others.join(" and ")} differ from replica 0's after epoch ${epoch}, which was not saved: all must ` +
      "compute the same; look for faulty memory, another kind of GPU or another version of TensorFlow on its node",
  );
}
