/** The language between orchestrator and trainers: frames and messages on pipes. */
export { createFrameDecoder, encodeFrame, type FrameDecoder, MAX_PAYLOAD_BYTES, PROTOCOL_VERSION } from "./frames.ts";
export {
  createFromTrainerDecoder,
  createToTrainerDecoder,
  encodeFromTrainer,
  encodeToTrainer,
  type FromTrainerMessage,
  type MessageDecoder,
  type ToTrainerMessage,
} from "./messages.ts";
