/**
 * tf.train.Example with float32 tensors as DistMIS writes it: each feature is one bytes value that holds a TensorProto
 * (tf.io.serialize_tensor). A full volume is 175 MB: writing yields its pieces and reading returns views, without the copies
 * that encoding the generated messages as a whole would make.
 */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { DataType, TensorProto, TensorShapeProto } from "../generated/tensorflow/example.ts";

export interface Tensor {
  shape: number[];
  /** Row-major: the last axis runs fastest. */
  data: Float32Array;
}

/** As it lies in an Example. */
export interface TensorBytes {
  shape: number[];
  /** Float32 values, row-major; at any address. */
  content: Uint8Array;
}

const LENGTH_DELIMITED = 2;
const field = (number: number): number => (number << 3) | LENGTH_DELIMITED;

/** Bytes of one Example, in order; their concatenation is the message. Tensors are views of `features`, not copies. */
export function encodeExample(features: Readonly<Record<string, Tensor>>): Uint8Array[] {
  const entries = Object.entries(features).map(([name, tensor]) => {
    const content = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
    const proto = TensorProto.encode({
      dtype: DataType.DT_FLOAT,
      tensorShape: { dim: tensor.shape.map((size) => ({ size, name: "" })), unknownRank: false },
      versionNumber: 0,
      tensorContent: Buffer.alloc(0),
      floatVal: [],
    })
      // tensor_content
      .uint32(field(4))
      .uint32(content.length)
      .finish();
    // From the inside out: bytes value -> BytesList -> Feature -> map entry -> Features.
    const list = prefix(1, proto.length + content.length);
    const feature = prefix(1, list.length + proto.length + content.length);
    const value = prefix(2, feature.length + list.length + proto.length + content.length);
    const key = new BinaryWriter().uint32(field(1)).string(name).finish();
    const body = [key, value, feature, list, proto, content];
    return [prefix(1, total(body)), ...body];
  });
  const all = entries.flat();
  return [prefix(1, total(all)), ...all];
}

function prefix(number: number, length: number): Uint8Array {
  return new BinaryWriter().uint32(field(number)).uint32(length).finish();
}

export function total(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/**
 * Finds the named float32 tensors of an Example. Their contents are views of `bytes`.
 * @throws Error saying what is wrong: malformed, a feature missing, another type, sizes that disagree.
 */
export function tensorsIn<Name extends string>(bytes: Uint8Array, names: readonly Name[]): Record<Name, TensorBytes> {
  const found = new Map<string, Uint8Array>();
  eachMessage(bytes, 1, (features) => {
    eachMessage(features, 1, (entry) => {
      const name = Buffer.from(only(entry, 1) ?? new Uint8Array()).toString("utf8");
      const list = only(only(entry, 2), 1);
      const value = only(list, 1);
      if (value !== undefined) found.set(name, value);
    });
  });
  const tensors: Partial<Record<Name, TensorBytes>> = {};
  for (const name of names) {
    const value = found.get(name);
    if (value === undefined) {
      throw new Error(
        `no bytes feature "${name}"; it has ${[...found.keys()].map((key) => `"${key}"`).join(", ") || "none"}`,
      );
    }
    tensors[name] = decodeTensor(value, name);
  }
  return complete(tensors, names);
}

function complete<Name extends string>(
  partial: Partial<Record<Name, TensorBytes>>,
  names: readonly Name[],
): Record<Name, TensorBytes> {
  const has = (record: Partial<Record<Name, TensorBytes>>): record is Record<Name, TensorBytes> =>
    names.every((name) => name in record);
  if (!has(partial)) throw new Error("a tensor is missing");
  return partial;
}

/** Calls `use` with every length-delimited field `number` of a message. */
function eachMessage(bytes: Uint8Array, number: number, use: (value: Uint8Array) => void): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [at, wire] = reader.tag();
    if (at === number && wire === LENGTH_DELIMITED) use(reader.bytes());
    else reader.skip(wire);
  }
}

function only(bytes: Uint8Array | undefined, number: number): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  if (bytes !== undefined) {
    eachMessage(bytes, number, (value) => {
      found = value;
    });
  }
  return found;
}

function decodeTensor(bytes: Uint8Array, name: string): TensorBytes {
  const reader = new BinaryReader(bytes);
  let dtype: number = DataType.DT_INVALID;
  let shape: number[] = [];
  let content: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const [at, wire] = reader.tag();
    if (at === 1) dtype = reader.int32();
    else if (at === 2) shape = TensorShapeProto.decode(reader, reader.uint32()).dim.map((dim) => dim.size);
    else if (at === 4) content = reader.bytes();
    else reader.skip(wire);
  }
  if (dtype !== DataType.DT_FLOAT)
    throw new Error(`tensor "${name}" has dtype ${DataType[dtype] ?? dtype}, expected DT_FLOAT`);
  const bytesNeeded = shape.reduce((product, size) => product * size, 4);
  if (shape.some((size) => size < 1) || content.length !== bytesNeeded) {
    throw new Error(
      `tensor "${name}" of shape [${shape.join(", ")}] holds ${content.length} bytes, expected ${bytesNeeded}`,
    );
  }
  return { shape, content };
}

/** The values of a tensor: a view where its address allows, else a copy. */
export function floatsOf({ content }: TensorBytes): Float32Array {
  const { buffer, byteOffset, length } = content.byteOffset % 4 === 0 ? content : new Uint8Array(content);
  return new Float32Array(buffer, byteOffset, length / 4);
}

/** {@link tensorsIn} with their values. */
export function decodeExample<Name extends string>(bytes: Uint8Array, names: readonly Name[]): Record<Name, Tensor> {
  const tensors = tensorsIn(bytes, names);
  const values = names.map((name) => [name, { shape: tensors[name].shape, data: floatsOf(tensors[name]) }]);
  return Object.fromEntries(values) as Record<Name, Tensor>;
}
