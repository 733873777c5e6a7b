/** Entry of the worker threads of {@link runShardJobs}: writes the shards that it is sent. */
import { parentPort } from "node:worker_threads";
import { DistmisError, type ErrorCode, messageOf } from "../errors/index.ts";
import { type Room, type ShardJob, writeShard } from "./shard-job.ts";
import type { Done } from "./shard-log.ts";

export type ToShardWorker = { type: "write"; index: number; job: ShardJob } | { type: "stop" };

export type FromShardWorker =
  | { type: "volume" }
  /** The next shard may come. */
  | { type: "ready" }
  | { type: "done"; index: number; done: Done[] }
  /** `code` is null for a defect; then `message` is its stack. */
  | { type: "failed"; code: ErrorCode | null; message: string };

const port = parentPort;
if (port === null) throw new Error("shard-worker runs as a worker thread only");

const send = (message: FromShardWorker): void => port.postMessage(message);
const room: Room = { written: null };
let stopped = false;

port.on("message", async (message: ToShardWorker) => {
  if (message.type === "stop") {
    stopped = true;
    return;
  }
  try {
    const events = {
      onVolume: () => send({ type: "volume" }),
      onWritten: () => send({ type: "ready" }),
      stopAsked: () => stopped,
    };
    const done = await writeShard(message.job, events, room);
    send({ type: "done", index: message.index, done });
  } catch (error) {
    const known = error instanceof DistmisError;
    send({
      type: "failed",
      code: known ? error.code : null,
      message: known ? error.message : ((error instanceof Error ? error.stack : undefined) ?? messageOf(error)),
    });
  }
});
