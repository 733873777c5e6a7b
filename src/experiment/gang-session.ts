/** One gang of workers as the orchestrator talks to it: ready, then one trial after the other, then its end. */

import { type Deferred, deferred, settlesWithin } from "../async/index.ts";
import type { Cluster, GangOptions } from "../cluster/index.ts";
import { messageOf } from "../errors/index.ts";
import { GangEndCause, type GangEnded, type Worker } from "../generated/distmis/v1/cluster.ts";
import {
  type Assignment,
  type FromTrainer,
  type Report,
  type TrialEnded,
  TrialOutcome,
} from "../generated/distmis/v1/trainer.ts";
import { createSilenceWatch, type Patience } from "./silence.ts";

/** Where a trial's news goes. What these return is awaited before the next message is taken from the gang. */
export interface TrialSink {
  report(rank: number, report: Report): Promise<void>;
  log(rank: number, stream: "stdout" | "stderr", text: string): Promise<void>;
}

/** How an attempt ended: a trainer said so (the first that failed, else rank 0's), the gang is gone, or it fell silent. */
export type AttemptEnd =
  | { type: "ended"; ended: TrialEnded; rank: number }
  | { type: "lost" | "stalled"; ended: GangEnded };

/** What an orchestrator says of itself in an assignment; addresses are the gang's to know. */
export type AssignmentBody = Omit<Assignment, "rank" | "replicas" | "addresses">;

export interface GangSession {
  /** Every worker is placed and its trainer takes assignments; or the gang ended before that. */
  readonly ready: Promise<{ ok: true; workers: Worker[] } | { ok: false; ended: GangEnded }>;
  readonly ended: Promise<GangEnded>;
  /** Whether the last trial left every trainer clean, so that another may follow. */
  readonly clean: boolean;
  /** Gives every rank the assignment; resolves when all are done. Throws what the sink threw, and TRAINER_FAILED for one that is too large. */
  run(assignment: AssignmentBody, sink: TrialSink): Promise<AttemptEnd>;
  /** Asks the trial that runs to end after its step; the gang goes on. */
  stopTrial(reason: string): void;
  /** Asks the trial to end after its step, also one that is about to start. */
  requestStop(reason: string): void;
  /** Ends the gang in peace, by force after the grace; resolves when it has ended. */
  close(graceSeconds: number): Promise<void>;
  kill(): void;
}

interface CurrentTrial {
  id: string;
  sink: TrialSink;
  done: Deferred<AttemptEnd>;
  /** By rank. */
  ends: Map<number, TrialEnded>;
  failure: { rank: number; ended: TrialEnded } | null;
  /** Runs from the first failure on. */
  grace: NodeJS.Timeout | undefined;
  /** By us, when the grace was over. */
  killed: boolean;
}

/** What a trainer prints before its first trial is kept for that trial's log, up to this many characters. */
const MAX_START_LOG = 64 * 1024;
const KILL_MILLISECONDS = 10_000;

export interface SessionOptions extends GangOptions {
  /**
   * Seconds that the other replicas of a trial have to end after one has failed. They may hang in a collective operation
   * that it has left. A replica also fails when another one is lost, which is to be told as the cause within this time.
   */
  stopGraceSeconds: number;
  /** For trainers and trials that fall silent: their gang is killed. */
  patience: Patience;
}

/** Starts a gang. */
export function openGangSession(cluster: Cluster, options: SessionOptions): GangSession {
  const gang = cluster.runGang(options);
  const { replicas } = options.request;
  const ready = deferred<Awaited<GangSession["ready"]>>();
  const ended = deferred<GangEnded>();
  /** What `ended` resolves with. Trials look here: a race with a promise leaves something behind in it for as long as it is pending. */
  let over: GangEnded | null = null;
  let workers: Worker[] = [];
  /** The port of each rank that is ready. */
  const ports = new Map<number, number>();
  let startLog: { rank: number; stream: "stdout" | "stderr"; text: string }[] = [];
  let startLogSize = 0;
  let current: CurrentTrial | null = null;
  let clean = true;
  /** Why it was killed by us: a trainer broke the rules or fell silent. */
  let refused: { message: string; rank?: number; silent: boolean } | null = null;
  let stopReason: string | null = null;

  const refuse = (message: string, silent = false, rank?: number): void => {
    refused ??= { message, silent, ...(rank === undefined ? {} : { rank }) };
    gang.kill();
  };
  const where = (rank: number): string => `rank ${rank} on ${workers[rank]?.hostName}`;
  const silence = createSilenceWatch(replicas, options.patience, ({ rank, text }) => {
    // Of several replicas that live, nobody knows which one the others wait for.
    const only = replicas === 1 ? 0 : undefined;
    if (rank === null) refuse(`the trial on ${workers[0]?.hostName} ${text}; it was killed`, true, only);
    else refuse(`the trainer of ${where(rank)} ${text}; it was killed`, true, rank);
  });

  const onMessage = async (rank: number, message: NonNullable<FromTrainer["message"]>): Promise<void> => {
    switch (message.$case) {
      case "ready":
        silence.ready(rank);
        ports.set(rank, message.value.collectivePort);
        if (ports.size === replicas) ready.resolve({ ok: true, workers });
        break;
      case "heartbeat":
        break;
      case "report":
        if (rank === 0) silence.reported();
        if (current?.id === message.value.trialId) await current.sink.report(rank, message.value);
        break;
      case "ended": {
        const trial = current;
        if (trial === null || trial.id !== message.value.trialId) {
          refuse(`the trainer ended trial ${message.value.trialId}, which it was not given`);
          break;
        }
        onTrialEnded(trial, rank, message.value);
        break;
      }
    }
  };

  const onTrialEnded = (trial: CurrentTrial, rank: number, value: TrialEnded): void => {
    trial.ends.set(rank, value);
    // Replicas of which one has failed are in unknown states: those of a collective operation, for example.
    const failed = outcomeName(value.outcome) === "failed";
    if (!value.clean || (failed && replicas > 1)) clean = false;
    // A port that was taken is why the others failed or wait, however late it is told.
    const portTaken = failed && value.errorCode === "PORT_TAKEN";
    if (failed && (trial.failure === null || portTaken)) trial.failure = { rank, ended: value };
    const zero = trial.ends.get(0);
    if (trial.ends.size === replicas && zero !== undefined) {
      current = null;
      silence.end();
      clearTimeout(trial.grace);
      trial.done.resolve({ type: "ended", ...(trial.failure ?? { rank: 0, ended: zero }) });
    } else if (portTaken) killFailed(trial);
    else if (failed && trial.grace === undefined) {
      sendStop(trial.id, `rank ${rank} has failed`);
      trial.grace = setTimeout(killFailed, options.stopGraceSeconds * 1000, trial);
    }
  };

  const killFailed = (trial: CurrentTrial): void => {
    trial.killed = true;
    gang.kill();
  };

  const sendStop = (trialId: string, reason: string): void => {
    // A gang that is gone is told by its `ended`.
    for (let rank = 0; rank < replicas; rank++)
      gang.send(rank, { $case: "stop", value: { trialId, reason } }).catch(() => {});
  };

  const onLog = async (rank: number, stream: "stdout" | "stderr", text: string): Promise<void> => {
    if (current !== null) await current.sink.log(rank, stream, text);
    else if (startLogSize < MAX_START_LOG) {
      startLog.push({ rank, stream, text });
      startLogSize += text.length;
    }
  };

  const onEnd = (end: GangEnded): void => {
    if (over !== null) return;
    silence.close();
    // Why it failed often stands in what it printed last.
    const printed = startLog
      .filter(({ rank }) => rank === (end.rank ?? rank))
      .map(({ text }) => text)
      .join("")
      .trimEnd()
      .split("\n")
      .slice(-3)
      .join(" | ");
    const atStart = ports.size < replicas && printed !== "" ? `; it printed: ${printed}` : "";
    const how =
      refused === null
        ? { message: oneLine(end.message + atStart), rank: end.rank }
        : { message: refused.message, rank: refused.rank, cause: GangEndCause.GANG_END_CAUSE_TRAINER_EXITED };
    const nodeId = end.nodeId ?? (how.rank === undefined ? undefined : workers[how.rank]?.nodeId);
    const final = { ...end, ...how, nodeId };
    clean = false;
    ready.resolve({ ok: false, ended: final });
    if (current !== null) {
      const { done, grace, killed, failure } = current;
      clearTimeout(grace);
      // Not if the replica failed since another one was lost.
      const failed = failure !== null && (killed || end.rank === failure.rank);
      const type = refused?.silent === true ? "stalled" : "lost";
      done.resolve(failed ? { type: "ended", ...failure } : { type, ended: final });
      current = null;
    }
    over = final;
    ended.resolve(final);
  };

  const consume = async (): Promise<void> => {
    for await (const event of gang.events) {
      silence.pause();
      if (event.type === "message" || event.type === "log") silence.heard(event.rank);
      try {
        if (event.type === "placed") {
          workers = event.workers.toSorted((a, b) => a.rank - b.rank);
          silence.placed();
        } else if (event.type === "message") await onMessage(event.rank, event.message);
        else if (event.type === "log") await onLog(event.rank, event.stream, event.text);
        else onEnd(event.ended);
      } catch (error) {
        // The journal or the log can't be written: the trial has nowhere to go.
        current?.done.reject(error);
        current = null;
        gang.kill();
      }
      silence.resume();
    }
    onEnd(shutdown("the connection to the shim ended"));
  };
  consume().catch((error: unknown) => onEnd(shutdown(messageOf(error))));

  return {
    ready: ready.promise,
    ended: ended.promise,
    get clean() {
      return clean;
    },
    async run(assignment, sink) {
      const trial: CurrentTrial = {
        id: assignment.trialId,
        sink,
        done: deferred(),
        ends: new Map(),
        failure: null,
        grace: undefined,
        killed: false,
      };
      current = trial;
      silence.begin();
      // Handled below; a gang may be lost while the assignments are still on their way.
      trial.done.promise.catch(() => {});
      for (const { rank, stream, text } of startLog) await sink.log(rank, stream, text);
      startLog = [];
      startLogSize = 0;
      const addresses = replicas === 1 ? [] : workers.map(({ address, rank }) => `${address}:${ports.get(rank)}`);
      const sent = workers.map(({ rank }) =>
        gang.send(rank, { $case: "assign", value: { ...assignment, rank, replicas, addresses } }),
      );
      // Fails only for an assignment that is no message. A gang that is gone is told by its end, if not before this trial by now.
      await Promise.all(sent);
      // The wish to stop may be older than the trial.
      if (stopReason !== null && current === trial) sendStop(trial.id, stopReason);
      if (current === trial && over !== null) trial.done.resolve({ type: "lost", ended: over });
      return trial.done.promise;
    },
    stopTrial(reason) {
      if (current !== null) sendStop(current.id, reason);
    },
    requestStop(reason) {
      stopReason = reason;
      if (current !== null) sendStop(current.id, reason);
    },
    async close(graceSeconds) {
      gang.stop(graceSeconds);
      if (await settlesWithin(ended.promise, graceSeconds * 1000 + KILL_MILLISECONDS)) return;
      gang.kill();
      await settlesWithin(ended.promise, KILL_MILLISECONDS);
    },
    kill: () => gang.kill(),
  };
}

function shutdown(message: string): GangEnded {
  return { cause: GangEndCause.GANG_END_CAUSE_SHUTDOWN, message };
}

/** A message of several lines as one. */
export function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*[\r\n]+\s*/g, " | ");
}

/** Whether a trainer's word for it is a success. */
export function outcomeName(outcome: TrialOutcome): "completed" | "stopped" | "failed" {
  if (outcome === TrialOutcome.TRIAL_OUTCOME_COMPLETED) return "completed";
  return outcome === TrialOutcome.TRIAL_OUTCOME_STOPPED ? "stopped" : "failed";
}
