/** A study over its gRPC stream: requests and their answers in order, and one reason for all of them when it breaks. */
import { type ClientDuplexStream, type StatusObject, status } from "@grpc/grpc-js";
import { type Deferred, deferred } from "../async/index.ts";
import { DistmisError } from "../errors/index.ts";
import {
  type OpenStudy,
  type RunStudyRequest,
  type RunStudyResponse,
  StudyEvent,
  type StudyValue,
  type TrialFinish,
} from "../generated/distmis/v1/study.ts";
import type { PlainValue, Study } from "./types.ts";

type Call = ClientDuplexStream<RunStudyRequest, RunStudyResponse>;
type Request = NonNullable<RunStudyRequest["message"]>;
type Answer = NonNullable<RunStudyResponse["message"]>;

/** A replay is sent in messages of about this size: the shim takes 2 MiB. */
const REPLAY_BYTES = 256 * 1024;

export interface StudyParts {
  /** A call that nothing was written to. */
  call: Call;
  open: OpenStudy;
  /** Why the shim has gone, for a stream that broke; may take a moment to be known. */
  reasonOfLoss(status: StatusObject): Promise<string>;
}

/** Opens a study on `call`; see {@link Study} for the errors. */
export async function openStudy({ call, open, reasonOfLoss }: StudyParts): Promise<Study> {
  const waiting: Deferred<Answer>[] = [];
  let closed = false;
  let broken: Promise<DistmisError> | null = null;

  call.on("data", ({ message }: RunStudyResponse) => {
    if (message !== undefined) waiting.shift()?.resolve(message);
  });
  // The status tells the same, but an error that nobody listens to would end the process.
  call.on("error", () => {});
  call.once("status", (how: StatusObject) => {
    broken = errorOf(how, closed, reasonOfLoss);
    void broken.then((error) => {
      for (const answer of waiting.splice(0)) answer.reject(error);
    });
  });

  const request = async <Case extends Answer["$case"]>(
    message: Request,
    expected: Case,
  ): Promise<Extract<Answer, { $case: Case }>> => {
    if (broken !== null) throw await broken;
    const answer = deferred<Answer>();
    waiting.push(answer);
    call.write({ message });
    const found = await answer.promise;
    if (!isCase(found, expected)) {
      throw new DistmisError("CLUSTER_UNAVAILABLE", `the study answered "${found.$case}" to "${message.$case}"`);
    }
    return found;
  };

  const replay = async (events: readonly StudyEvent[]): Promise<void> => {
    let chunk: StudyEvent[] = [];
    let bytes = 0;
    for (const event of events) {
      chunk.push(event);
      bytes += StudyEvent.encode(event).finish().length;
      if (bytes < REPLAY_BYTES) continue;
      await request({ $case: "replay", value: { events: chunk } }, "done");
      chunk = [];
      bytes = 0;
    }
    if (chunk.length > 0) await request({ $case: "replay", value: { events: chunk } }, "done");
  };

  await request({ $case: "open", value: open }, "done");
  return {
    replay,
    async ask(trial) {
      const { value } = await request({ $case: "ask", value: { trial } }, "drawn");
      return plainValues(value.parameters);
    },
    async begin(trial, parameters) {
      const value = { trial, parameters: studyValues(parameters), drawn: false };
      await request({ $case: "begin", value }, "done");
    },
    async report(trial, epoch, value) {
      const { value: decision } = await request(
        { $case: "report", value: { trial, at: { epoch, value } } },
        "decision",
      );
      return decision.prune;
    },
    async tell(trial: string, finish: TrialFinish) {
      await request({ $case: "tell", value: { trial, finish } }, "done");
    },
    close() {
      closed = true;
      call.cancel();
    },
  };
}

function isCase<Case extends Answer["$case"]>(
  answer: Answer,
  expected: Case,
): answer is Extract<Answer, { $case: Case }> {
  return answer.$case === expected;
}

async function errorOf(
  how: StatusObject,
  closed: boolean,
  reasonOfLoss: StudyParts["reasonOfLoss"],
): Promise<DistmisError> {
  if (how.code === status.INVALID_ARGUMENT || how.code === status.INTERNAL) {
    return new DistmisError("SEARCH_FAILED", `the search can't go on: ${how.details}`);
  }
  const reason = closed ? "it was closed" : await reasonOfLoss(how);
  return new DistmisError("CLUSTER_UNAVAILABLE", `the study of the search is gone: ${reason}`);
}

/** A value as a message. */
export function studyValue(value: PlainValue): StudyValue {
  if (typeof value === "number") return { value: { $case: "number", value } };
  return typeof value === "string" ? { value: { $case: "text", value } } : { value: { $case: "truth", value } };
}

/** Values by parameter as messages. */
export function studyValues(values: Readonly<Record<string, PlainValue>>): Record<string, StudyValue> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, studyValue(value)]));
}

function plainValues(values: Readonly<Record<string, StudyValue>>): Record<string, PlainValue> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value.value]])),
  );
}
