/**
 * What the replicas of a cluster compute together, by TensorFlow's own collective operations: on CPUs a ring over gRPC, on
 * GPUs NCCL. Both work eagerly and within compile(); each replica has to make the same calls in the same order.
 *
 *     const gradient = allReduce(runtime, { flat }, { name: "gradient", operation: "mean" }).flat;
 *
 * Order. Within a call the tensors go one after the other, an object's in alphabetical order of its keys, whatever order
 * they were computed in; several calls in a compiled function run in the order of the calls, as compile() chains operations
 * with side effects. Two replicas with another order wait for each other for ever.
 *
 * Lost replicas. The first call waits until all replicas have made it (the cluster's group forms). From then on, where a
 * replica's process ends between two of its calls, the call that all others are in, or their next one, throws an Error with
 * TensorFlow's status 14 (UNAVAILABLE, "Connection reset by peer" or "Socket closed") within 0.1 s (measured with 2, 3 and
 * 4 processes: SIGKILL of replica 0 and of others, and process.exit). Where it ends within a call, that is likely, not
 * certain: if it has sent its part and not yet fetched another's, that one waits for ever (RingReducer in
 * PCQueue::Dequeue; 2 of 4 times on a machine with more work than CPUs). So does everybody for a
 * replica that is frozen, whose node has vanished, or that was lost before the first call: for ever, or with
 * `timeoutSeconds` just as long (status 4, DEADLINE_EXCEEDED). The wait blocks the event loop: the trainer can't end by
 * itself, its worker ends it. After either error all later calls fail at once: what goes on is a new process.
 */
import { createHash } from "node:crypto";
import type { Tensor } from "@tensorflow/tfjs-node-gpu";
import { mapped, type TensorTree } from "./function.ts";
import type { Attribute, TensorFlow } from "./runtime.ts";

export interface CollectiveOptions {
  /**
   * Tells the replicas' calls apart. The tensors of a name have the same shapes and dtypes in all calls of all replicas. It is
   * used again in each step: what one call sends has been taken before it returns.
   */
  name: string;
  /** Longest wait for the other replicas. Default: no limit. */
  timeoutSeconds?: number;
}

export interface AllReduceOptions extends CollectiveOptions {
  /** Over the replicas, element by element. Default: "sum". */
  operation?: keyof typeof OPERATIONS;
}

/** TensorFlow's names: how two replicas' values are put together, and what is done with the result of all. */
const OPERATIONS = {
  sum: { merge: "Add", final: "Id" },
  mean: { merge: "Add", final: "Div" },
  max: { merge: "Max", final: "Id" },
} as const;

/** The one group: all replicas. */
const GROUP = 1;

/**
 * A ring cuts each replica's part of a tensor until the pieces are at most 4 MB, at most so many of them, and has all on the
 * way at once. TensorFlow's default is 1 piece, with which 64 MB between 2 processes take 1.5 to 2 times as long.
 */
const MOST_PIECES = 64;

/** What each instance key of this process stands for. */
const instances = new Map<number, string>();

/**
 * The instance key of a tensor, by which TensorFlow finds what belongs together in different processes. It follows from the
 * name alone, so that replicas may trace their functions at different times. A key may be used again and again: a ring's
 * buffers are taken before the operation ends, and a known key costs no call to replica 0, which each new one does and
 * remembers for the life of the process (MultiWorkerMirroredStrategy takes a new one for each call).
 */
function instanceKey(name: string, index: number, use: string): number {
  // int32, not negative.
  const digest = createHash("sha256").update(`${name}\0${index}`).digest();
  const key = digest.readUInt32LE(0) >>> 1;
  const known = instances.get(key);
  const described = `tensor ${index} of "${name}" as ${use}`;
  if (known !== undefined && known !== described) {
    throw new Error(`a collective operation has ${known}, and now ${described}: give the other one another name`);
  }
  instances.set(key, described);
  return key;
}

/** Runs `operation` for each tensor of a tree with the group's size and key and the tensor's instance key (int32 scalars). */
function forEachTensor<T extends TensorTree>(
  runtime: TensorFlow,
  tree: T,
  kind: string,
  options: CollectiveOptions,
  operation: (tensor: Tensor, keys: readonly Tensor[], attributes: Record<string, Attribute>) => Tensor | undefined,
): T {
  const { tf, cluster, devices } = runtime;
  const size = cluster?.addresses.length ?? 1;
  let index = 0;
  const run = (tensor: Tensor): Tensor => {
    const { dtype } = tensor;
    if (dtype !== "float32" && dtype !== "int32") {
      throw new Error(`${options.name}: expected a float32 or int32 tensor, found ${dtype}`);
    }
    const key = instanceKey(options.name, index++, `${kind} of ${dtype} [${tensor.shape.join(", ")}]`);
    if (size === 1) return tensor.clone();
    const keys = [size, GROUP, key].map((value) => tf.scalar(value, "int32"));
    const result = operation(tensor, keys, {
      T: { type: "type", value: dtype },
      communication_hint: { type: "string", value: devices.some(({ type }) => type === "GPU") ? "nccl" : "ring" },
      timeout_seconds: { type: "float", value: options.timeoutSeconds ?? 0 },
    });
    if (!result) throw new Error(`${options.name}: no result`);
    return result;
  };
  return tf.tidy(() => mapped(tree, run) as Parameters<typeof tf.dispose>[0]) as T;
}

/**
 * The tensors reduced over all replicas, bit by bit the same on each of them. Without a cluster, or in one of one replica,
 * they are copies. Has no gradient.
 * @param tree float32 or int32 tensors; the mean is for float32
 */
export function allReduce<T extends TensorTree>(runtime: TensorFlow, tree: T, options: AllReduceOptions): T {
  const operation = options.operation ?? "sum";
  const { merge, final } = OPERATIONS[operation];
  return forEachTensor(runtime, tree, operation, options, (tensor, keys, attributes) => {
    if (operation === "mean" && tensor.dtype !== "float32") {
      throw new Error(`${options.name}: the mean is for float32, found ${tensor.dtype}`);
    }
    return runtime.rawOp("CollectiveReduceV2", [tensor, ...keys], {
      ...attributes,
      merge_op: { type: "string", value: merge },
      final_op: { type: "string", value: final },
      is_stateless: { type: "bool", value: false },
      // Control dependencies between traced operations give the order.
      Nordering_token: { type: "int", value: 0 },
      max_subdivs_per_device: { type: "int", value: MOST_PIECES },
    })[0];
  });
}

/** Replica 0's tensors on all replicas; those of the others give the shapes and dtypes. */
export function broadcast<T extends TensorTree>(runtime: TensorFlow, tree: T, options: CollectiveOptions): T {
  const { tf, rawOp, cluster } = runtime;
  return forEachTensor(runtime, tree, "broadcast", options, (tensor, keys, attributes) => {
    if (cluster?.rank === 0) return rawOp("CollectiveBcastSendV2", [tensor, ...keys], attributes)[0];
    const shape = tf.tensor1d(tensor.shape, "int32");
    const index: Attribute = { type: "type", value: "int32" };
    return rawOp("CollectiveBcastRecvV2", [...keys, shape], { ...attributes, Tshape: index })[0];
  });
}
