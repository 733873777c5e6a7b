/**
 * tf.function for Node: a TypeScript function over tensors is traced once for each signature of its inputs into a
 * TensorFlow graph, without running anything, and from then on runs as one operation, through Grappler's and oneDNN's
 * rewrites. What Python's tf.function is to Keras.
 *
 * In a traced function: all tensors come in as inputs or are made inside from JavaScript values (these are constants: a
 * random tensor made by tfjs is the same at every call); no value of a tensor can be read; shapes don't depend on data;
 * operations with side effects run even if nothing uses their outputs.
 */
import type { Tensor } from "@tensorflow/tfjs-node-gpu";
import { OUTPUTS, PLACEHOLDERS } from "./binding.ts";
import type { TensorFlow } from "./runtime.ts";

/** Tensors in arrays and objects, nested at will. */
export type TensorTree = Tensor | readonly TensorTree[] | { readonly [key: string]: TensorTree };

export interface CompileOptions {
  /** For TensorFlow's messages and profiles. */
  name: string;
  /** Compile with XLA. */
  xla?: boolean;
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
 * @throws Error that names the operation, for what can't be traced.
 */
export function compile<I extends TensorTree, O extends TensorTree>(
  runtime: TensorFlow,
  options: CompileOptions,
  body: (inputs: I) => O,
): Compiled<I, O> {
  const { tf, backend, tracing, binding } = runtime;
  const traces = new Map<string, Traced>();

  function trace(inputs: I): Traced {
    const name = `${options.name.replace(/[^A-Za-z0-9_]/g, "_")}_${made++}`;
    let form: TensorTree | undefined;
    let outputs = 0;
    tracing.record(name, () =>
      tf.tidy(() => {
        const flat = flatten(inputs);
        const attributes = flat.map((tensor) => ({
          name: "",
          type: backend.getDTypeInteger(tensor.dtype),
          value: tensor.shape,
        }));
        const placeholders = backend.executeMultipleOutputs(PLACEHOLDERS, attributes, [], flat.length);
        const result = body(replaced(inputs, taker(placeholders)) as I);
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
