/** TFRecord files and the Examples in them, in and out. */
export { channelsFirst, channelsLast } from "./axis-order.ts";
export { decodeExample, encodeExample, floatsOf, type Tensor, type TensorBytes, tensorsIn } from "./example.ts";
export { headOf, TAIL_BYTES, tailOf } from "./frame.ts";
export { type RecordPlace, readRecord, scanTfrecord } from "./read.ts";
export { type RecordVerifier, recordVerifier } from "./verify.ts";
export { createTfrecord, type TfrecordWriter } from "./write.ts";
