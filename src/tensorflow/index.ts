/** The only folder that knows the native TensorFlow runtime. */
export {
  type Compiled,
  type CompileOptions,
  compile,
  flatten,
  type TensorTree,
} from "./function.ts";
export {
  type Attribute,
  loadedTensorFlow,
  loadTensorFlow,
  type TensorFlow,
  type TensorFlowOptions,
  type Tfjs,
} from "./runtime.ts";
