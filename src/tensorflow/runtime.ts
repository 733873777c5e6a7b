/**
 * Loads TensorFlow into this process, once: tfjs-node-gpu's binding compiled against the TensorFlow wheel by
 * `npm run setup`, with native/ beside it.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Tensor } from "@tensorflow/tfjs-node-gpu";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TFEOpAttr } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { ConfigProto } from "../generated/tensorflow/config.ts";
import { AFTER, type Binding, HALF_TYPES, type NativeBinding, type Tracing, tracingBinding } from "./binding.ts";
import { type Cluster, COLLECTIVE, joinFailure, serverDefinition } from "./cluster.ts";

/** tfjs's API, as `import * as tf from "@tensorflow/tfjs-node-gpu"` would give it. */
export type Tfjs = typeof import("@tensorflow/tfjs-node-gpu");

export interface TensorFlowOptions {
  /** Threads within one operation, and at most as many operations at once. Default: 1 for each CPU of the machine. */
  threads?: number;
  /** GPU memory: "growth" takes it as needed, a number in (0, 1] is the share of each GPU that this process may take. */
  gpuMemory?: "growth" | number;
  /** The replicas that compute together, see collective.ts. Default: this process alone, without a server. */
  cluster?: Cluster;
}

/** An attribute of a TensorFlow operation; arrays are lists. */
export type Attribute =
  | { type: "bool"; value: boolean | boolean[] }
  | { type: "int"; value: number | number[] }
  | { type: "float"; value: number | number[] }
  | { type: "string"; value: string }
  | { type: "type"; value: TypeName }
  | { type: "types"; value: readonly TypeName[] };

/** The 16-bit ones only while a function is traced, where their tensors pass for float32 ones, see binding.ts. */
export type TypeName = "float32" | "int32" | "bool" | "int64" | "bfloat16" | "float16";

export interface TensorFlow {
  readonly tf: Tfjs;
  /** Version of the TensorFlow library, for example "2.21.0". */
  readonly version: string;
  /** For example {name: "/job:localhost/replica:0/task:0/device:GPU:0", type: "GPU"}. */
  readonly devices: readonly { name: string; type: string }[];
  /** As it was joined; undefined in a process that works alone. */
  readonly cluster: Cluster | undefined;
  /**
   * Runs one TensorFlow operation by its name (https://www.tensorflow.org/api_docs/python/tf/raw_ops), or records it while
   * a function is traced. No gradient is defined for it: use tf.customGrad.
   * @throws what TensorFlow says, when attributes or shapes don't fit.
   */
  rawOp(name: string, inputs: readonly Tensor[], attributes: Record<string, Attribute>, outputs?: number): Tensor[];
  /**
   * What `body` computes in a traced function waits until these tensors have been computed, as with tf.control_dependencies:
   * a bound on what is in memory at once, and what is computed again in a backward pass is not taken from the forward pass.
   * Not to be nested.
   */
  after<T>(tensors: readonly Tensor[], body: () => T): T;
  /** Whether DistmisConv3DFilterGradient (native/kernels) is faster on this processor than TensorFlow's own operation. */
  fasterFilterGradient(inChannels: number, outChannels: number, stride: number): boolean;
  /** Whether DistmisConv3D (native/kernels) is faster on this processor than TensorFlow's own operation. */
  fasterConvolution(outChannels: number): boolean;
  /** For compile() in function.ts. */
  readonly tracing: Tracing;
  readonly backend: NodeJSKernelBackend;
  readonly binding: Binding;
}

/** The code of the error that native/module.cc throws while it is loaded, with TensorFlow's message. */
const JOIN_FAILED = "DISTMIS_JOIN_FAILED";

let loaded: { runtime: TensorFlow; options: TensorFlowOptions } | undefined;

/**
 * TensorFlow with these options; the options of the first call hold for the process, and a later call with others is
 * refused, as the context can't be changed.
 * @throws DistmisError SETUP_INCOMPLETE where the binding is missing or can't be loaded, CONFIG_INVALID for an illegal
 * cluster, PORT_TAKEN where the port of this replica is in use (it can be called again with other ports).
 */
export function loadTensorFlow(options: TensorFlowOptions = {}): TensorFlow {
  if (loaded) {
    if (options.threads !== undefined && options.threads !== loaded.options.threads) {
      throw new DistmisError(
        "CONFIG_INVALID",
        `TensorFlow runs in this process with ${loaded.options.threads ?? "the default number of"} threads already, so ${options.threads} can't be had`,
      );
    }
    const [memory, held] = [options.gpuMemory, loaded.options.gpuMemory ?? "growth"];
    if (memory !== undefined && memory !== held) {
      throw new DistmisError(
        "CONFIG_INVALID",
        `TensorFlow runs in this process with GPU memory "${held}" already, so "${memory}" can't be had`,
      );
    }
    if (options.cluster !== undefined && !isDeepStrictEqual(options.cluster, loaded.options.cluster)) {
      throw new DistmisError(
        "CONFIG_INVALID",
        `TensorFlow runs in this process ${loaded.options.cluster ? "in another cluster" : "without a cluster"} already: a new cluster needs a new process`,
      );
    }
    return loaded.runtime;
  }
  const runtime = load(options);
  loaded = { runtime, options };
  return runtime;
}

/** The runtime if it has been loaded in this process. */
export function loadedTensorFlow(): TensorFlow | undefined {
  return loaded?.runtime;
}

function load(options: TensorFlowOptions): TensorFlow {
  const require = createRequire(import.meta.url);
  const home = path.dirname(require.resolve("@tensorflow/tfjs-node-gpu/package.json"));
  const file = path.join(home, "lib", "napi-v8", "tfjs_binding.node");
  if (!existsSync(file)) {
    throw new DistmisError("SETUP_INCOMPLETE", `the TensorFlow binding ${file} is missing: run \`distmis setup\``);
  }
  // TensorFlow leaves oneDNN off on AMD and older Intel CPUs, where a 3D U-Net's step then takes 4 to 6 times as long.
  process.env.TF_ENABLE_ONEDNN_OPTS ??= "1";
  // Informational lines of the C++ side tell nothing that a trial's log should hold.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "1";
  const config: ConfigProto = {
    intraOpParallelismThreads: options.threads ?? 0,
    interOpParallelismThreads: options.threads ?? 0,
    // As in Python: an operation without a kernel for a GPU runs on the CPU instead of failing.
    allowSoftPlacement: true,
    gpuOptions: {
      perProcessGpuMemoryFraction: typeof options.gpuMemory === "number" ? options.gpuMemory : 0,
      allowGrowth: options.gpuMemory === undefined || options.gpuMemory === "growth",
    },
    experimental: options.cluster && COLLECTIVE,
  };
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  if (options.cluster) process.env.DISTMIS_TF_SERVER = base64(serverDefinition(options.cluster, config));
  process.env.DISTMIS_TF_CONFIG = base64(ConfigProto.encode(config).finish());
  let tf: Tfjs;
  try {
    tf = require("@tensorflow/tfjs-node-gpu") as Tfjs;
  } catch (error) {
    if (options.cluster && hasErrno(error, JOIN_FAILED)) throw joinFailure(options.cluster, messageOf(error), error);
    throw new DistmisError(
      "SETUP_INCOMPLETE",
      `the TensorFlow binding ${file} can't be loaded (${messageOf(error)}): run \`distmis setup\``,
      { cause: error },
    );
  } finally {
    delete process.env.DISTMIS_TF_CONFIG;
    delete process.env.DISTMIS_TF_SERVER;
  }
  // tfjs prints an advertisement and checks shapes twice otherwise.
  tf.env().set("PROD", true);
  const backend = tf.backend() as NodeJSKernelBackend;
  const native = backend.binding as NativeBinding;
  const { binding, tracing } = tracingBinding(native);
  backend.binding = binding;

  const attributeTypes = {
    bool: binding.TF_ATTR_BOOL,
    int: binding.TF_ATTR_INT,
    float: binding.TF_ATTR_FLOAT,
    string: binding.TF_ATTR_STRING,
    type: binding.TF_ATTR_TYPE,
    types: binding.TF_ATTR_TYPE,
  };
  const dtypes = {
    float32: binding.TF_FLOAT,
    int32: binding.TF_INT32,
    bool: binding.TF_BOOL,
    int64: binding.TF_INT64,
    ...HALF_TYPES,
  };
  const attributeValue = (attribute: Attribute): TFEOpAttr["value"] => {
    if (attribute.type === "type") return dtypes[attribute.value];
    return attribute.type === "types" ? attribute.value.map((name) => dtypes[name]) : attribute.value;
  };
  const rawOp: TensorFlow["rawOp"] = (name, inputs, attributes, outputs = 1) => {
    const list: TFEOpAttr[] = Object.entries(attributes).map(([key, attribute]) => ({
      name: key,
      type: attributeTypes[attribute.type],
      value: attributeValue(attribute),
    }));
    return backend.executeMultipleOutputs(name, list, [...inputs], outputs);
  };
  const after: TensorFlow["after"] = (tensors, body) => {
    backend.executeMultipleOutputs(AFTER, [], [...tensors], 0);
    try {
      return body();
    } finally {
      backend.executeMultipleOutputs(AFTER, [], [], 0);
    }
  };
  return {
    tf,
    after,
    version: binding.TF_Version,
    devices: native.devices(),
    cluster: options.cluster,
    fasterFilterGradient: native.fasterFilterGradient,
    fasterConvolution: native.fasterConvolution,
    rawOp,
    tracing,
    backend,
    binding,
  };
}
