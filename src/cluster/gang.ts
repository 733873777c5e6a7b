/** One gang over its gRPC stream: frames into messages, bytes into text, and an end that always comes. */
import { StringDecoder } from "node:string_decoder";
import type { ClientDuplexStream, StatusObject } from "@grpc/grpc-js";
import { type Deferred, deferred } from "../async/index.ts";
import { messageOf } from "../errors/index.ts";
import {
  GangEndCause,
  type GangEnded,
  LogStream,
  type RunGangRequest,
  type RunGangResponse,
  type StartGang,
  type WorkerBytes,
  type WorkerLog,
} from "../generated/distmis/v1/cluster.ts";
import {
  createFromTrainerDecoder,
  encodeToTrainer,
  type FromTrainerMessage,
  type MessageDecoder,
  PROTOCOL_VERSION,
} from "../wire/index.ts";
import type { Gang, GangEvent } from "./types.ts";

type Call = ClientDuplexStream<RunGangRequest, RunGangResponse>;

/** A frame is sent in pieces of this size, so that a message of the shim's protocol stays small. */
const PIECE_BYTES = 256 * 1024;

/** The shim closes the stream right after `ended`. */
const CLOSE_MS = 2000;

export interface GangParts {
  /** A call that nothing was written to. */
  call: Call;
  start: StartGang;
  /** Why the shim has gone, for a stream that broke; may take a moment to be known. */
  reasonOfLoss(status: StatusObject): Promise<string>;
}

/** Starts a gang on `call`. Reads from it only as fast as `events` is iterated: HTTP/2 holds the rest back. */
export function runGang({ call, start, reasonOfLoss }: GangParts): Gang {
  let over = false;
  let killed = false;
  let full: Deferred<void> | null = null;
  const goOn = (): void => {
    full?.resolve();
    full = null;
  };
  call.on("drain", goOn);
  const finished = new Promise<StatusObject>((resolve) => {
    call.once("status", (status: StatusObject) => {
      over = true;
      goOn();
      resolve(status);
    });
  });
  // The status tells the same, but an error that nobody listens to would end the process.
  call.on("error", () => {});

  /** Resolves when there is room for more, or none is needed any longer. */
  async function write(message: NonNullable<RunGangRequest["message"]>): Promise<void> {
    if (over || call.destroyed || call.writableEnded) return;
    if (call.write({ message })) return;
    full ??= deferred();
    await full.promise;
  }

  function kill(): void {
    killed = true;
    call.cancel();
  }

  async function* events(): AsyncGenerator<GangEvent, void> {
    const workers = createWorkers(start.name);
    let ended: GangEnded | undefined;
    let watchdog: NodeJS.Timeout | undefined;
    try {
      for await (const { message } of responses(call)) {
        if (ended !== undefined) continue;
        if (message?.$case === "placed") yield { type: "placed", workers: message.value.workers };
        else if (message?.$case === "log") yield* workers.log(message.value);
        else if (message?.$case === "bytes") {
          const broken = yield* workers.bytes(message.value);
          if (broken === undefined) continue;
          ended = broken;
          break;
        } else if (message?.$case === "ended") {
          ended = message.value;
          call.end();
          watchdog = setTimeout(() => call.cancel(), CLOSE_MS);
        }
      }
      yield* workers.logRests();
      yield { type: "ended", ended: ended ?? (await endOfBrokenStream()) };
    } finally {
      clearTimeout(watchdog);
      // Whoever stops to listen before the end gives the gang up; on a finished stream this does nothing.
      call.cancel();
    }
  }

  async function endOfBrokenStream(): Promise<GangEnded> {
    if (killed) {
      return { cause: GangEndCause.GANG_END_CAUSE_STOPPED, message: `gang ${start.name} was killed by distmis` };
    }
    const reason = await reasonOfLoss(await finished);
    return { cause: GangEndCause.GANG_END_CAUSE_SHUTDOWN, message: `gang ${start.name} was lost: ${reason}` };
  }

  void write({ $case: "start", value: start });

  /** Frames go one after the other: the pieces of one must not come between those of another. */
  let lastSent: Promise<void> = Promise.resolve();
  async function writeFrame(rank: number, frame: Uint8Array): Promise<void> {
    for (let at = 0; at < frame.byteLength; at += PIECE_BYTES) {
      const piece = frame.subarray(at, at + PIECE_BYTES);
      const data = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      await write({ $case: "bytes", value: { rank, data } });
    }
  }

  return {
    name: start.name,
    events: events(),
    async send(rank, message) {
      const frame = encodeToTrainer(message);
      lastSent = lastSent.then(() => writeFrame(rank, frame));
      await lastSent;
    },
    stop: (graceSeconds) => void write({ $case: "stop", value: { graceSeconds } }),
    kill,
  };
}

/** The responses of a call until it ends in whatever way; how is told by its status. */
async function* responses(call: Call): AsyncGenerator<RunGangResponse, void> {
  try {
    yield* call;
  } catch {
    return;
  }
}

/** What was received of each worker and is not complete. */
function createWorkers(gang: string) {
  const decoders = new Map<number, MessageDecoder<FromTrainerMessage>>();
  const greeted = new Set<number>();
  const texts = new Map<string, { rank: number; stream: "stdout" | "stderr"; decoder: StringDecoder }>();

  /** Why a message cannot be accepted, or null. */
  function objection(rank: number, message: FromTrainerMessage): string | null {
    if (message.$case !== "ready") return greeted.has(rank) ? null : `it said "${message.$case}" before "ready"`;
    greeted.add(rank);
    const { protocolVersion, distmisVersion } = message.value;
    if (protocolVersion === PROTOCOL_VERSION) return null;
    return `it is distmis ${distmisVersion} and speaks version ${protocolVersion} of the protocol, this distmis speaks ${PROTOCOL_VERSION}: install the same distmis on all nodes`;
  }

  return {
    /** Yields the complete messages; returns the end of the gang if the worker broke the protocol. */
    *bytes({ rank, data }: WorkerBytes): Generator<GangEvent, GangEnded | undefined> {
      let decode = decoders.get(rank);
      if (decode === undefined) {
        decode = createFromTrainerDecoder();
        decoders.set(rank, decode);
      }
      const messages = decode(data);
      for (;;) {
        let objected: string | null;
        try {
          const next = messages.next();
          if (next.done) return undefined;
          objected = objection(rank, next.value);
          if (objected === null) {
            yield { type: "message", rank, message: next.value };
            continue;
          }
        } catch (error) {
          objected = messageOf(error);
        }
        const message = `the trainer of rank ${rank} in gang ${gang} broke its protocol and was killed: ${objected}`;
        return { cause: GangEndCause.GANG_END_CAUSE_TRAINER_EXITED, message, rank };
      }
    },
    /** Text may be cut within a character; the rest of it comes with the next piece. */
    *log({ rank, stream: from, data }: WorkerLog): Generator<GangEvent> {
      const stream = from === LogStream.LOG_STREAM_STDERR ? "stderr" : "stdout";
      const key = `${rank} ${stream}`;
      let entry = texts.get(key);
      if (entry === undefined) {
        entry = { rank, stream, decoder: new StringDecoder("utf8") };
        texts.set(key, entry);
      }
      const text = entry.decoder.write(data);
      if (text !== "") yield { type: "log", rank, stream, text };
    },
    *logRests(): Generator<GangEvent> {
      for (const { rank, stream, decoder } of texts.values()) {
        const text = decoder.end();
        if (text !== "") yield { type: "log", rank, stream, text };
      }
    },
  };
}
