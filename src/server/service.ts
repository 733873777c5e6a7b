/** The calls of clients, in the words of the protocol. */
import { hostname } from "node:os";
import { type ServerWritableStream, type sendUnaryData, status } from "@grpc/grpc-js";
import { messageOf } from "../errors/index.ts";
import {
  type AttachRequest,
  type AttachResponse,
  ExperimentState,
  type ExperimentStatus,
  type ServerServiceServer,
} from "../generated/distmis/v1/server.ts";
import { packageVersion } from "../paths/index.ts";
import { toStatus } from "../remote/index.ts";
import type { Experiments, ExperimentView, Told } from "./experiments.ts";
import type { Limits } from "./limits.ts";

type Message = NonNullable<AttachResponse["message"]>;

export function createService(
  experiments: Experiments,
  { runsDir, limits, log }: { runsDir: string; limits: Limits; log: (line: string) => void },
): ServerServiceServer {
  let attached = 0;

  const statusOf = (error: unknown) => {
    const known = toStatus(error);
    if (known !== null) return known;
    log(`a defect of distmis, please report it: ${error instanceof Error ? error.stack : messageOf(error)}`);
    return { code: status.INTERNAL, details: "a defect of the server; its log has more" };
  };

  const answer = <Response>(result: Promise<Response>, callback: sendUnaryData<Response>): void => {
    result.then(
      (response) => callback(null, response),
      (error: unknown) => callback(statusOf(error)),
    );
  };

  const follow = async (call: ServerWritableStream<AttachRequest, AttachResponse>): Promise<void> => {
    const gone = new AbortController();
    // Also for a client that does not answer the server's pings any more.
    call.on("cancelled", () => gone.abort());
    call.on("close", () => gone.abort());
    try {
      for await (const told of experiments.attach(call.request.run, gone.signal)) {
        for (const message of messagesOf(told)) {
          if (gone.signal.aborted) return;
          // HTTP/2 has no room: the client reads slowly, and what happens meanwhile is the feed's to keep or to drop.
          if (!call.write({ message })) await drained(call, gone.signal);
        }
      }
      call.end();
    } catch (error) {
      call.emit("error", statusOf(error));
    }
  };

  return {
    submit: ({ request }, callback) =>
      answer(
        experiments.submit(request).then((view) => ({ experiment: toMessage(view) })),
        callback,
      ),
    listExperiments: (_call, callback) =>
      callback(null, {
        experiments: experiments.list().map(toMessage),
        distmisVersion: packageVersion(),
        hostName: hostname(),
        runsDir,
      }),
    cancel: ({ request: { run, now } }, callback) =>
      answer(
        experiments.cancel(run, now).then((view) => ({ experiment: toMessage(view) })),
        callback,
      ),
    attach(call) {
      if (attached >= limits.attached) {
        const details = `${attached} clients follow runs already, the most that this server takes`;
        call.emit("error", { code: status.RESOURCE_EXHAUSTED, details });
        return;
      }
      attached++;
      void follow(call).finally(() => {
        attached--;
      });
    },
  };
}

function drained(call: ServerWritableStream<AttachRequest, AttachResponse>, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off("drain", done);
      gone.removeEventListener("abort", done);
      resolve();
    };
    call.on("drain", done);
    gone.addEventListener("abort", done);
    if (gone.aborted) done();
  });
}

function* messagesOf(told: Told): Generator<Message> {
  if ("before" in told) yield { $case: "waiting", value: told };
  else if ("eventJson" in told) yield { $case: "eventJson", value: told.eventJson };
  else if ("failure" in told) yield { $case: "ended", value: { outcome: { $case: "failure", value: told.failure } } };
  else {
    const { trials, best: _first, ...results } = told.results;
    for (const trial of trials) yield { $case: "trialJson", value: JSON.stringify(trial) };
    yield { $case: "ended", value: { outcome: { $case: "resultsJson", value: JSON.stringify(results) } } };
  }
}

const STATES: Record<ExperimentView["state"], ExperimentState> = {
  queued: ExperimentState.EXPERIMENT_STATE_QUEUED,
  running: ExperimentState.EXPERIMENT_STATE_RUNNING,
  stopping: ExperimentState.EXPERIMENT_STATE_STOPPING,
  finished: ExperimentState.EXPERIMENT_STATE_FINISHED,
  cancelled: ExperimentState.EXPERIMENT_STATE_CANCELLED,
  failed: ExperimentState.EXPERIMENT_STATE_FAILED,
};

function toMessage({ run, runDir, state, since, standing, metric, failure }: ExperimentView): ExperimentStatus {
  return {
    run,
    state: STATES[state],
    runDir,
    since,
    trialsEnded: standing.ended,
    ...(standing.total === null ? {} : { trialsTotal: standing.total }),
    trialsRunning: standing.running,
    ...(standing.best === null ? {} : { best: standing.best }),
    metric,
    failure: failure ?? undefined,
  };
}
