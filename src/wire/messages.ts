/** Messages of proto/distmis/v1/trainer.proto in frames, typed by direction. */
import { DistmisError, messageOf } from "../errors/index.ts";
import { FromTrainer, ToTrainer } from "../generated/distmis/v1/trainer.ts";
import { createFrameDecoder, encodeFrame } from "./frames.ts";

export type ToTrainerMessage = NonNullable<ToTrainer["message"]>;
export type FromTrainerMessage = NonNullable<FromTrainer["message"]>;

/** The frame of a message for a trainer. Errors as {@link encodeFrame}. */
export function encodeToTrainer(message: ToTrainerMessage): Uint8Array<ArrayBuffer> {
  return encodeFrame(ToTrainer.encode({ message }).finish());
}

/** The frame of a message of a trainer. Errors as {@link encodeFrame}. */
export function encodeFromTrainer(message: FromTrainerMessage): Uint8Array<ArrayBuffer> {
  return encodeFrame(FromTrainer.encode({ message }).finish());
}

/**
 * Takes the next bytes of a pipe and yields the messages that they complete; to be run to its end before the next chunk.
 * @throws DistmisError TRAINER_FAILED if a frame is too large, is not such a message, or holds none that is known, after
 * the messages before it.
 */
export type MessageDecoder<T> = (chunk: Uint8Array) => Generator<T, void, undefined>;

export const createToTrainerDecoder = (): MessageDecoder<ToTrainerMessage> =>
  createMessageDecoder((payload) => ToTrainer.decode(payload).message);

export const createFromTrainerDecoder = (): MessageDecoder<FromTrainerMessage> =>
  createMessageDecoder((payload) => FromTrainer.decode(payload).message);

function createMessageDecoder<T>(decode: (payload: Uint8Array) => T | undefined): MessageDecoder<T> {
  const decodeFrames = createFrameDecoder();
  return function* (chunk) {
    for (const payload of decodeFrames(chunk)) {
      let message: T | undefined;
      try {
        message = decode(payload);
      } catch (error) {
        throw new DistmisError(
          "TRAINER_FAILED",
          `a frame of ${payload.byteLength} bytes is not a message of the trainer protocol: ${messageOf(error)}`,
          { cause: error },
        );
      }
      if (message === undefined) {
        throw new DistmisError("TRAINER_FAILED", `a frame of ${payload.byteLength} bytes holds no known message`);
      }
      yield message;
    }
  };
}
