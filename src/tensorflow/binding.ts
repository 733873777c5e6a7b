/**
 * Stands between tfjs and the native binding. While a function is traced, operations are not run but added to a graph:
 * tfjs's kernels, gradients and memory scopes work on as ever, as all that they see of a tensor is its id, shape and dtype.
 *
 * Ids of eager tensors are 0 or more. A traced tensor has id -(index in its graph) - 2, which tfjs's backend does not
 * try to delete (it deletes ids of 0 or more, and -1 means "not yet on the device").
 */
import type { TensorMetadata, TFEOpAttr, TFJSBinding } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { OpDef } from "../generated/tensorflow/op_def.ts";

/** A graph under construction in native/graph.cc; freed by graphFree, at the latest with its JavaScript object. */
export type NativeGraph = { readonly nativeGraph: never };

/** An output in a graph; a dimension that could not be inferred is -1, an unknown rank has shape null. */
export interface GraphTensor {
  id: number;
  dtype: number;
  shape: number[] | null;
}

/** What native/ adds to the package's binding; see there. */
export interface NativeBinding extends TFJSBinding {
  graphNew(): NativeGraph;
  graphPlaceholder(graph: NativeGraph, dtype: number, shape: number[]): GraphTensor;
  graphConst(graph: NativeGraph, dtype: number, shape: number[], bytes: Uint8Array, device: string): GraphTensor;
  graphOperation(
    graph: NativeGraph,
    type: string,
    attributes: TFEOpAttr[],
    inputs: (number | number[])[],
    device: string,
    keep: boolean,
    after: number[],
  ): GraphTensor[];
  graphOpDef(graph: NativeGraph, type: string): Uint8Array;
  graphFinish(graph: NativeGraph, name: string, inputs: number[], outputs: number[]): void;
  graphFree(graph: NativeGraph): void;
  functionRemove(name: string): void;
  /** Whether the operation DistmisConv3DFilterGradient is faster on this processor than TensorFlow's. */
  fasterFilterGradient(inChannels: number, outChannels: number, stride: number): boolean;
  /** Whether the operation DistmisConv3D is faster on this processor than TensorFlow's. */
  fasterConvolution(outChannels: number): boolean;
  devices(): { name: string; type: string }[];
}

export type Binding = TFJSBinding;

/** Pseudo-operations by which compile() reaches the graph through tfjs's public interface. */
export const PLACEHOLDERS = "distmis:placeholders";
export const OUTPUTS = "distmis:outputs";
/** And runtime.ts's after(): the operations that follow wait for these tensors, up to the next such call. */
export const AFTER = "distmis:after";

export interface Tracing {
  /**
   * Records what `body` does as the function `name`; returns how many operations the graph has.
   * @param device of each operation; empty leaves the placement to TensorFlow
   */
  record(name: string, device: string, body: () => void): number;
  /** Forgets a function that `record` made. */
  remove(name: string): void;
}

/**
 * TensorFlow's 16-bit floating types, which tfjs doesn't know. In a traced function such a tensor passes for a float32 one:
 * an operation that asks for another floating type than a tensor has gets it converted.
 */
export const HALF_TYPES = { bfloat16: 14, float16: 19 } as const;
const isHalf = (dtype: unknown) => dtype === HALF_TYPES.bfloat16 || dtype === HALF_TYPES.float16;

interface Trace {
  graph: NativeGraph;
  /** Of the tensors that are not what tfjs takes them for. */
  halves: Map<number, number>;
  device: string;
  inputs: number[];
  outputs: number[];
  after: number[];
  operations: number;
}

const toTensorId = (index: number) => -index - 2;
const toIndex = (id: number) => -id - 2;
const isTraced = (id: number) => id <= -2;

export function tracingBinding(native: NativeBinding): {
  binding: Binding;
  tracing: Tracing;
} {
  let trace: Trace | undefined;
  const definitions = new Map<string, OpDef>();

  function definition(graph: NativeGraph, type: string): OpDef {
    let found = definitions.get(type);
    if (!found) {
      found = OpDef.decode(native.graphOpDef(graph, type));
      definitions.set(type, found);
    }
    return found;
  }

  /** The flat inputs of an eager call as the arguments of a graph operation: list arguments become arrays. */
  function grouped(op: OpDef, attributes: TFEOpAttr[], ids: number[]): (number | number[])[] {
    const lists = op.inputArg.filter((argument) => argument.numberAttr !== "" || argument.typeListAttr !== "").length;
    if (lists === 0) return ids;
    let next = 0;
    return op.inputArg.map((argument) => {
      if (argument.numberAttr === "" && argument.typeListAttr === "") return ids[next++] as number;
      const given = attributes.find((attribute) => attribute.name === argument.numberAttr)?.value;
      // With one list argument its size follows from the others'; with several, tfjs gives the attribute.
      const size = typeof given === "number" ? given : ids.length - (op.inputArg.length - 1);
      next += size;
      return ids.slice(next - size, next);
    });
  }

  /**
   * Some operations have auxiliary outputs of unknown shape that only their own gradient reads (FusedBatchNormV3's
   * reserve spaces): these get the shape [-1]. A result proper must have its shape.
   */
  function describe(name: string, tensor: GraphTensor, position = 0): TensorMetadata {
    const known = tensor.shape !== null && !tensor.shape.includes(-1);
    if (!known && position === 0) {
      const inferred = tensor.shape === null ? "unknown rank" : `[${tensor.shape.join(", ")}]`;
      throw new Error(`${name} can't be traced: the shape of its result depends on data (inferred: ${inferred})`);
    }
    return {
      id: toTensorId(tensor.id),
      dtype: tensor.dtype,
      shape: known && tensor.shape ? tensor.shape : [-1],
    };
  }

  /** The tensor in the floating type `wanted`; itself where it has it, or where one of both is no floating type. */
  function converted(current: Trace, id: number, wanted: number | undefined): number {
    const own = current.halves.get(id) ?? native.TF_FLOAT;
    const floating = wanted === native.TF_FLOAT || isHalf(wanted);
    if (!floating || wanted === own) return id;
    const attribute = { name: "DstT", type: native.TF_ATTR_TYPE, value: wanted };
    const { graph, device, after } = current;
    const [cast] = native.graphOperation(graph, "Cast", [attribute], [id], device, false, after);
    if (!cast) throw new Error("Cast has no output");
    current.operations++;
    return cast.id;
  }

  /** The inputs of {@link grouped}, in the types that the operation takes. */
  function typed(
    current: Trace,
    op: OpDef,
    attributes: TFEOpAttr[],
    inputs: (number | number[])[],
  ): (number | number[])[] {
    const given = new Map(attributes.map(({ name, value }) => [name, value]));
    if (current.halves.size === 0 && !attributes.some(({ value }) => isHalf(value))) return inputs;
    return inputs.map((input, position) => {
      const argument = op.inputArg[position];
      const wanted = argument?.typeAttr ? given.get(argument.typeAttr) : argument?.type;
      if (typeof wanted !== "number") return input;
      const convert = (id: number) => converted(current, id, wanted);
      return Array.isArray(input) ? input.map(convert) : convert(input);
    });
  }

  function graphIds(name: string, ids: number[]): number[] {
    return ids.map((id) => {
      if (!isTraced(id)) {
        throw new Error(
          `${name} uses a tensor from outside the traced function: hand it over as an input, as its value would be frozen`,
        );
      }
      return toIndex(id);
    });
  }

  function addOperation(current: Trace, name: string, attributes: TFEOpAttr[], ids: number[]): TensorMetadata[] {
    const op = definition(current.graph, name);
    const inputs = typed(current, op, attributes, grouped(op, attributes, graphIds(name, ids)));
    const { graph, device, after } = current;
    const outputs = native.graphOperation(graph, name, attributes, inputs, device, op.isStateful, after);
    current.operations++;
    return outputs.map((tensor, position) => {
      if (!isHalf(tensor.dtype)) return describe(name, tensor, position);
      current.halves.set(tensor.id, tensor.dtype);
      return describe(name, { ...tensor, dtype: native.TF_FLOAT }, position);
    });
  }

  function executeOp(name: string, attributes: TFEOpAttr[], ids: number[], outputs: number): TensorMetadata[] {
    if (!trace) {
      // Eager operations run one after the other anyway.
      if (name === AFTER) return [];
      if (ids.some(isTraced)) throw new Error(`${name} uses a tensor of a traced function after its end`);
      if (attributes.some(({ type, value }) => type === native.TF_ATTR_TYPE && isHalf(value))) {
        throw new Error(`${name} in a 16-bit type can only be part of a traced function, see compile()`);
      }
      return native.executeOp(name, attributes, ids, outputs);
    }
    const current = trace;
    if (name === PLACEHOLDERS) {
      return attributes.map((attribute) => {
        const shape = attribute.value as number[];
        const made = native.graphPlaceholder(current.graph, attribute.type, shape);
        current.inputs.push(made.id);
        return describe(name, made);
      });
    }
    if (name === AFTER) {
      current.after = graphIds(name, ids);
      return [];
    }
    if (name === OUTPUTS) {
      for (const result of graphIds(name, ids)) {
        const index = current.halves.has(result) ? converted(current, result, native.TF_FLOAT) : result;
        // A function's output may not be its input itself.
        const [copy] = current.inputs.includes(index)
          ? native.graphOperation(current.graph, "Identity", [], [index], current.device, false, [])
          : [{ id: index }];
        if (copy) current.outputs.push(copy.id);
      }
      return [];
    }
    return addOperation(current, name, attributes, ids);
  }

  function createTensor(...[shape, dtype, values]: Parameters<TFJSBinding["createTensor"]>): number {
    if (!trace) return native.createTensor(shape, dtype, values);
    const bytes = constantBytes(native, dtype, values);
    return toTensorId(native.graphConst(trace.graph, dtype, shape, bytes, trace.device).id);
  }

  function tensorDataSync(id: number): ReturnType<TFJSBinding["tensorDataSync"]> {
    if (isTraced(id)) {
      throw new Error(
        "a traced tensor has no value yet: dataSync(), data(), array() and print() can't be used in a traced function",
      );
    }
    return native.tensorDataSync(id);
  }

  // The native exports are read-only, also for objects that inherit from them.
  const own = (value: unknown): PropertyDescriptor => ({
    value,
    enumerable: true,
  });
  const binding: Binding = Object.create(native, {
    executeOp: own(executeOp),
    createTensor: own(createTensor),
    tensorDataSync: own(tensorDataSync),
  });

  const tracing: Tracing = {
    record(name, device, body) {
      if (trace) throw new Error("a traced function can't be traced within another one: call its body instead");
      const current: Trace = {
        graph: native.graphNew(),
        halves: new Map(),
        device,
        inputs: [],
        outputs: [],
        after: [],
        operations: 0,
      };
      trace = current;
      try {
        body();
        native.graphFinish(current.graph, name, current.inputs, current.outputs);
      } finally {
        trace = undefined;
        native.graphFree(current.graph);
      }
      return current.operations;
    },
    remove: (name) => native.functionRemove(name),
  };
  return { binding, tracing };
}

/** The bytes of a constant as TensorFlow lays them out. */
function constantBytes(native: NativeBinding, dtype: number, values: unknown): Uint8Array {
  if (!ArrayBuffer.isView(values) && !Array.isArray(values)) {
    throw new Error("a constant of this type can't be traced");
  }
  const numbers = values as ArrayLike<number>;
  const bytes = (array: Float32Array | Int32Array | BigInt64Array) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  switch (dtype) {
    case native.TF_FLOAT:
      return bytes(Float32Array.from(numbers));
    case native.TF_INT32:
      return bytes(Int32Array.from(numbers));
    case native.TF_INT64:
      return bytes(BigInt64Array.from(Array.from(numbers, BigInt)));
    case native.TF_BOOL:
      return Uint8Array.from(numbers);
    default:
      throw new Error(`a constant of TensorFlow's type ${dtype} can't be traced`);
  }
}
