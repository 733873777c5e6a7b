/**
 * The only folder that knows the native TensorFlow runtime: tfjs on TensorFlow's own library, and tf.function for Node.
 *
 *     const runtime = loadTensorFlow({ threads: 2 });
 *     const step = compile(runtime, { name: "step" }, ({ w, x, y }: { w: Tensor2D; x: Tensor2D; y: Tensor2D }) => {
 *       const { value, grad } = tf.valueAndGrad((v) => x.matMul(v).sub(y).square().mean())(w);
 *       return { w: w.sub(grad.mul(0.1)), loss: value };
 *     });
 *     const next = step({ w, x, y }); // w and the loss, as new tensors; the caller disposes of the old ones
 *
 * What compile() does. At the first call with a signature (the form of the inputs, their dtypes and shapes) the function
 * is run once with tensors that have a shape and no value: each operation goes into a TF_Graph, whose shapes TensorFlow
 * infers, and nothing is computed or allocated. Gradients, tidy and custom gradients of tfjs work as ever, since tfjs sees
 * of a tensor only its id, shape and dtype. The graph becomes a TensorFlow function, and each call is one operation, through
 * Grappler's and oneDNN's rewrites. There are no variables: what a step changes are inputs and outputs.
 *
 * - Inputs and outputs are tensors in arrays and plain objects, nested at will; the order of an object's keys is no matter.
 * - Operations with side effects (stateful ones, as TensorFlow calls them) run at each call, in the order in which they
 *   were traced, also where nothing uses their outputs.
 * - Numbers, arrays and tensors made inside are constants of the graph; a tensor from outside is refused, as its value
 *   would be frozen. Random numbers of tfjs would be frozen too: use statelessRandom with a seed that is an input.
 * - Refused with an Error that names the operation: reading a value (dataSync, data, array, print), results whose shape
 *   depends on data (booleanMask, whereAsync, unique), promises, and one compiled function within another.
 * - 16-bit floats: an operation of rawOp may have the type bfloat16 or float16. For tfjs its result is float32, and whatever
 *   reads it gets it in the type that it asks for; results of the function are float32.
 * - `xla: true` has XLA compile the function; `device` puts every operation on that device.
 * - A call allocates its results and nothing else that stays. dispose() removes a function and what TensorFlow made of it:
 *   the graph is freed after tracing, TFE_ContextRemoveFunction drops the cached kernel and with it the instantiated
 *   function. Compiling, calling and disposing of 800 functions of 100 operations left 0.2 kB for each. A name is never used
 *   twice in a process, as the eager context caches kernels by name.
 */
export type { Cluster } from "./cluster.ts";
export { type AllReduceOptions, allReduce, broadcast, type CollectiveOptions } from "./collective.ts";
export {
  type Compiled,
  type CompileOptions,
  compile,
  flatten,
  type TensorTree,
} from "./function.ts";
export { statelessRandom } from "./random.ts";
export {
  type Attribute,
  loadedTensorFlow,
  loadTensorFlow,
  type TensorFlow,
  type TensorFlowOptions,
  type Tfjs,
} from "./runtime.ts";
