/** A run on a server, event by event, through lost connections. */
import { setTimeout as delay } from "node:timers/promises";
import { type ClientReadableStream, type ServiceError, status } from "@grpc/grpc-js";
import { type Deferred, deferred } from "../async/index.ts";
import { DistmisError, isErrorCode, messageOf } from "../errors/index.ts";
import type { RunEvent, RunResults, TrialSummary } from "../experiment/index.ts";
import type { AttachEnded, AttachResponse } from "../generated/distmis/v1/server.ts";
import { fromStatus } from "./errors.ts";

export interface RemoteRunOptions {
  /** Stops following; the run goes on. */
  signal?: AbortSignal;
  /** It waits for so many experiments. */
  onWaiting?: (before: number) => void;
  /** The connection was lost and is tried again. */
  onLost?: (message: string) => void;
}

/**
 * Iterate it (once) for its events, which begin with how the run stands. After a lost connection they begin anew, with
 * `run_started`.
 */
export interface RemoteRun extends AsyncIterable<RunEvent> {
  /** As a run's own. Rejects with INTERRUPTED after `signal`, SERVER_UNAVAILABLE if the server is gone for minutes. */
  readonly results: Promise<RunResults>;
}

type Call = ClientReadableStream<AttachResponse>;

/** Waits between tries: about five minutes together, in which a server can be started again. */
const PAUSES_SECONDS = [1, 2, 4, 8, 15, 30, 60, 60, 60, 60];

export function followRun(open: () => Call, address: string, options: RemoteRunOptions): RemoteRun {
  const results: Deferred<RunResults> = deferred();
  // Whoever iterates gets the same error.
  results.promise.catch(() => {});
  return {
    results: results.promise,
    [Symbol.asyncIterator]: () => iterate(open, address, options, results),
  };
}

async function* iterate(
  open: () => Call,
  address: string,
  { signal, onWaiting, onLost }: RemoteRunOptions,
  results: Deferred<RunResults>,
): AsyncGenerator<RunEvent, void> {
  let tries = 0;
  let reached = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const call = open();
      const cancel = (): void => call.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        const trials: TrialSummary[] = [];
        for await (const { message } of messages(call)) {
          reached = true;
          tries = 0;
          if (message?.$case === "waiting") onWaiting?.(message.value.before);
          else if (message?.$case === "eventJson") yield numbered<RunEvent>(message.value);
          else if (message?.$case === "trialJson") trials.push(numbered(message.value));
          else if (message?.$case === "ended") {
            results.resolve(resultsOf(message.value, trials));
            return;
          }
        }
        throw new DistmisError("SERVER_UNAVAILABLE", `the server at ${address} ended the stream before the run's end`);
      } catch (error) {
        const lost = isServiceError(error) && error.code === status.UNAVAILABLE;
        const known = isServiceError(error) ? fromStatus(error, address) : error;
        const pause = PAUSES_SECONDS[tries++];
        if (!lost || !reached || pause === undefined || signal?.aborted) throw known;
        onLost?.(`${messageOf(known)}; trying again in ${pause} s`);
        await delay(pause * 1000, undefined, signal === undefined ? {} : { signal });
      } finally {
        signal?.removeEventListener("abort", cancel);
        call.cancel();
      }
    }
  } catch (error) {
    const known = signal?.aborted ? new DistmisError("INTERRUPTED", "stopped to follow the run, which goes on") : error;
    results.reject(known);
    throw known;
  }
}

/** The messages of a call; throws the gRPC error that it ends with. */
async function* messages(call: Call): AsyncGenerator<AttachResponse, void> {
  yield* call;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}

function resultsOf({ outcome }: AttachEnded, trials: TrialSummary[]): RunResults {
  if (outcome?.$case === "failure") {
    const { code, message } = outcome.value;
    throw new DistmisError(isErrorCode(code) ? code : "SERVER_UNAVAILABLE", message);
  }
  const [first] = trials;
  const best = first !== undefined && first.best !== null ? first : null;
  return { ...JSON.parse(outcome?.value ?? "{}"), trials, best };
}

/** What the server wrote as JSON, which has no NaN: a metric that is not a number came as null. */
function numbered<T extends object>(json: string): T {
  const value: T = JSON.parse(json);
  if (!("metrics" in value) || typeof value.metrics !== "object" || value.metrics === null) return value;
  const metrics = Object.entries(value.metrics).map(([name, metric]) => [name, metric ?? Number.NaN]);
  return { ...value, metrics: Object.fromEntries(metrics) };
}
