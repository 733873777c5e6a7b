/** compile(): a TypeScript function over tensors as one TensorFlow operation; index.ts says what it can and can't hold. */
import type { Tensor } from "@tensorflow/tfjs-node-gpu";
import { DistmisError } from "../errors/index.ts";
import { OUTPUTS, PLACEHOLDERS } from "./binding.ts";
import type { TensorFlow } from "./runtime.ts";

/** Tensors in arrays and objects, nested at will. */
export type TensorTree = Tensor | readonly TensorTree[] | { readonly [key: string]: TensorTree };

export interface CompileOptions {
  /** For TensorFlow's messages and profiles. */
  name: string;
  /** Compile with XLA. */
  xla?: boolean;
  /** Where each operation runs, as in TensorFlow: "/device:CPU:0". Default: where TensorFlow places it. */
  device?: string;
}

export interface Compiled<I extends TensorTree, O extends TensorTree> {
  /** Runs the function; the caller disposes of the results. Tracing happens at the first call of each signature. */
  (inputs: I): O;
  /** Number of signatures traced so far. */
  readonly signatures: number;
  /** Frees TensorFlow's copies of the function. It can't be called afterwards. */
  dispose(): void;
}

interface Traced {
  name: string;
  /** Builds the result from the flat outputs. */
  unflatten: (tensors: Tensor[]) => TensorTree;
  outputs: number;
}

const isTensor = (tree: TensorTree): tree is Tensor => "dataId" in tree;

/** Refuses what the types forbid but a cast or plain JavaScript lets through; it would be lost without a word. */
function checkTree(what: string, tree: unknown): void {
  const object = typeof tree === "object" && tree !== null;
  if (object && (Array.isArray(tree) || "dataId" in tree || Object.getPrototypeOf(tree) === Object.prototype)) {
    if (!("dataId" in tree)) for (const [key, child] of Object.entries(tree)) checkTree(`${what}.${key}`, child);
    return;
  }
  const found = tree instanceof Promise ? "a promise: a traced function can't wait" : object ? "an object" : `${tree}`;
  throw new Error(`${what}: expected a tensor, or an array or plain object of tensors; found ${found}`);
}

/** The full name of a device of this process. */
function deviceNamed(runtime: TensorFlow, name: string): string {
  const found = runtime.devices.find((device) => device.name === name || device.name.endsWith(name));
  if (found && name.includes("/device:")) return found.name;
  const there = runtime.devices.map((device) => device.name.replace(/^.*(?=\/device:)/, "")).join(", ");
  throw new DistmisError("CONFIG_INVALID", `device "${name}" is not in this process, which has ${there}`);
}

/** Keys in order, as in TensorFlow's nest: two objects with the same keys have the same signature. */
const sortedEntries = (tree: { readonly [key: string]: TensorTree }): [string, TensorTree][] =>
  Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1));

const isList = (tree: TensorTree): tree is readonly TensorTree[] => Array.isArray(tree);

/** The tensors of a tree, depth first, object keys in alphabetical order. */
export function flatten(tree: TensorTree): Tensor[] {
  if (isTensor(tree)) return [tree];
  if (isList(tree)) return tree.flatMap(flatten);
  return sortedEntries(tree).flatMap(([, child]) => flatten(child));
}

/** A tree of the same form as `tree`, with its tensors replaced in the order of {@link flatten}. */
function replaced(tree: TensorTree, next: () => Tensor): TensorTree {
  if (isTensor(tree)) return next();
  if (isList(tree)) return tree.map((child) => replaced(child, next));
  return Object.fromEntries(sortedEntries(tree).map(([key, child]) => [key, replaced(child, next)]));
}

function taker(tensors: Tensor[]): () => Tensor {
  let index = 0;
  return () => {
    const tensor = tensors[index++];
    if (!tensor) throw new Error("fewer tensors than the tree has leaves");
    return tensor;
  };
}

/** A tree of the same form as `tree`, with `convert` called for its tensors in the order of {@link flatten}. */
export function mapped(tree: TensorTree, convert: (tensor: Tensor) => Tensor): TensorTree {
  return replaced(tree, taker(flatten(tree).map(convert)));
}

function signatureOf(tree: TensorTree): string {
  if (isTensor(tree)) return `${tree.dtype}[${tree.shape.join(",")}]`;
  if (isList(tree)) return `[${tree.map(signatureOf).join(";")}]`;
  return `{${sortedEntries(tree)
    .map(([key, child]) => `${key}:${signatureOf(child)}`)
    .join(";")}}`;
}

// Names of functions must not be used twice in one context.
let made = 0;

/**
 * A function that runs `body` as one TensorFlow operation.
 * @param body computes tensors from tensors; called once for each signature, inside tf.tidy.
 * @throws DistmisError CONFIG_INVALID for a device that this process lacks. Calls throw an Error that names the operation,
 * for what can't be traced, and what TensorFlow says, for what can't be run.
 */
export function compile<I extends TensorTree, O extends TensorTree>(
  runtime: TensorFlow,
  options: CompileOptions,
  body: (inputs: I) => O,
): Compiled<I, O> {
  const { tf, backend, tracing, binding } = runtime;
  const traces = new Map<string, Traced>();
  const device = options.device === undefined ? "" : deviceNamed(runtime, options.device);

  function trace(inputs: I): Traced {
    const name = `${options.name.replace(/[^A-Za-z0-9_]/g, "_")}_${made++}`;
    let form: TensorTree | undefined;
    let outputs = 0;
    tracing.record(name, device, () =>
      tf.tidy(() => {
        const flat = flatten(inputs);
        const attributes = flat.map((tensor) => ({
          name: "",
          type: backend.getDTypeInteger(tensor.dtype),
          value: tensor.shape,
        }));
        const placeholders = backend.executeMultipleOutputs(PLACEHOLDERS, attributes, [], flat.length);
        const result = body(replaced(inputs, taker(placeholders)) as I);
        checkTree(`the result of ${options.name}`, result);
        const tensors = flatten(result);
        outputs = tensors.length;
        backend.executeMultipleOutputs(OUTPUTS, [], tensors, 0);
        form = result;
        // tf.keep, which gradients need for what leaves them, holds tensors beyond the end of tidy.
        for (const tensor of tensors) tensor.dispose();
      }),
    );
    const shape = form;
    if (shape === undefined) throw new Error(`${name} returned nothing`);
    return {
      name,
      outputs,
      unflatten: (tensors) => replaced(shape, taker(tensors)),
    };
  }

  const attributes = options.xla ? [{ name: "_XlaMustCompile", type: binding.TF_ATTR_BOOL, value: true }] : [];
  let disposed = false;
  const call = (inputs: I): O => {
    if (disposed) throw new Error(`${options.name} has been disposed of`);
    checkTree(`the inputs of ${options.name}`, inputs);
    const signature = signatureOf(inputs);
    let traced = traces.get(signature);
    if (!traced) {
      traced = trace(inputs);
      traces.set(signature, traced);
    }
    return traced.unflatten(
      backend.executeMultipleOutputs(traced.name, attributes, flatten(inputs), traced.outputs),
    ) as O;
  };
  return Object.defineProperties(call, {
    signatures: { get: () => traces.size },
    dispose: {
      value: () => {
        disposed = true;
        for (const traced of traces.values()) tracing.remove(traced.name);
        traces.clear();
      },
    },
  }) as Compiled<I, O>;
}
