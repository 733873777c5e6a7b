/** Entry of the worker threads of {@link runShardJobs}: writes the shards that it is sent, one after the other. */
import { parentPort } from "node:worker_threads";
import { DistmisError, type ErrorCode, messageOf } from "../errors/index.ts";
import { type ShardJob, type ShardResult, writeShard } from "./shard-job.ts";

export type FromShardWorker =
  | { type: "sample" }
  | { type: "done"; result: ShardResult }
  /** `code` is null for a defect; then `message` is its stack. */
  | { type: "failed"; code: ErrorCode | null; message: string };

const port = parentPort;
if (port === null) throw new Error("shard-worker runs as a worker thread only");

const send = (message: FromShardWorker): void => port.postMessage(message);

port.on("message", async (job: ShardJob) => {
  try {
    send({ type: "done", result: await writeShard(job, () => send({ type: "sample" })) });
  } catch (error) {
    const known = error instanceof DistmisError;
    send({
      type: "failed",
      code: known ? error.code : null,
      message: known ? error.message : ((error instanceof Error ? error.stack : undefined) ?? messageOf(error)),
    });
  }
});
