/** The experiments of a server: queued, at work, ended; in the order in which they were handed in. */
import { existsSync } from "node:fs";
import { type Deferred, deferred } from "../async/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { RunResults } from "../experiment/index.ts";
import { checkFolder, freshName, readRun, runFiles } from "../run-folder/index.ts";
import type { ClusterHolder } from "./cluster-holder.ts";
import type { Standing } from "./feed.ts";
import { checkHandedInAgain } from "./hand-in-again.ts";
import { pastResults } from "./past-run.ts";
import type { ExperimentRecord, Failure, QueueFile } from "./queue-file.ts";
import { readSubmission, runFolderOf } from "./submission.ts";
import { beginWork, failureOf, type Outcome, type Work } from "./work.ts";

export interface ExperimentsOptions {
  /** Absolute. */
  runsDir: string;
  /** How many at once. */
  atOnce: number;
  /** Characters of events that wait for one client. */
  backlog: number;
  cluster: ClusterHolder;
  file: QueueFile;
  /** What the file holds. */
  known: readonly ExperimentRecord[];
  log: (line: string) => void;
}

export interface Submission {
  experimentJson: string;
  /** Empty: the experiment's name. */
  run: string;
  fresh: boolean;
  extend: boolean;
  retryFailed: boolean;
  noDiskCheck: boolean;
}

/** An experiment as clients are told of it. */
export interface ExperimentView {
  run: string;
  runDir: string;
  state: ExperimentRecord["state"] | "stopping";
  since: string;
  standing: Standing;
  metric: string;
  failure: Failure | null;
}

/** What a client that attached is told, in order. The outcome is the last one. */
export type Told = { before: number } | { eventJson: string } | Outcome;

export interface Experiments {
  /** Begins with what waits. */
  start(): void;
  /** Errors: USAGE, CONFIG_INVALID, RUN_REFUSED, FILE_UNUSABLE, SERVER_UNAVAILABLE (it stops). */
  submit(submission: Submission): Promise<ExperimentView>;
  list(): ExperimentView[];
  /** Resolves when it has stopped. Errors: RUN_REFUSED if it has ended, FILE_UNUSABLE if there is no such run. */
  cancel(run: string, now: boolean): Promise<ExperimentView>;
  /** Errors, thrown by the iteration: USAGE, FILE_UNUSABLE (there is no such run). */
  attach(run: string, signal: AbortSignal): AsyncIterable<Told>;
  /** Stops what runs; it is queued for the next start. */
  close(kill: AbortSignal): Promise<void>;
}

interface Entry {
  record: ExperimentRecord;
  work: Work | null;
}

/** Experiments that have ended and are remembered. */
const MAX_ENDED = 500;

export function createExperiments(options: ExperimentsOptions): Experiments {
  const { runsDir, atOnce, backlog, cluster, file, log } = options;
  // What ran when the server was killed waits, before what came later.
  const entries = new Map<string, Entry>(
    options.known.map((record) => [
      record.run,
      { record: record.state === "running" ? { ...record, state: "queued" } : record, work: null },
    ]),
  );
  let closing = false;
  let changed: Deferred<void> = deferred();
  let submitting: Promise<unknown> = Promise.resolve();

  const folder = (run: string): string => runFolderOf(runsDir, run);
  const inState = (...states: ExperimentRecord["state"][]): Entry[] =>
    [...entries.values()].filter(({ record }) => states.includes(record.state));

  const save = async (): Promise<void> => {
    for (const { record } of inState("finished", "cancelled", "failed").slice(0, -MAX_ENDED))
      entries.delete(record.run);
    changed.resolve();
    changed = deferred();
    await file.write([...entries.values()].map(({ record }) => record));
  };
  /** Where the run's own journal has what matters. */
  const saveSoon = (): void => void save().catch((error: unknown) => log(failureOf(error).message));

  const move = (entry: Entry, state: ExperimentRecord["state"], failure: Failure | null = null): void => {
    entry.record.state = state;
    entry.record.since = new Date().toISOString();
    entry.record.failure = failure;
    const why = failure === null ? "" : `: ${failure.message}`;
    log(`${entry.record.run}: ${state}${why}`);
    saveSoon();
  };

  const pump = (): void => {
    for (const entry of inState("queued").slice(0, Math.max(0, atOnce - inState("running").length))) {
      if (!closing) begin(entry);
    }
  };

  const begin = (entry: Entry): void => {
    const { record } = entry;
    const begun = (): void => {
      if (!record.extend && !record.retryFailed) return;
      record.extend = false;
      record.retryFailed = false;
      saveSoon();
    };
    const work = beginWork(record, { cluster, runDir: folder(record.run), backlog, shared: atOnce > 1, begun });
    entry.work = work;
    move(entry, "running");
    void work.outcome.promise.then((outcome) => {
      record.standing = { ...work.feed.standing(), running: 0 };
      entry.work = null;
      if ("results" in outcome && outcome.results.state === "finished") move(entry, "finished");
      else if (work.cancelled) move(entry, "cancelled");
      else if ("failure" in outcome && !closing) move(entry, "failed", outcome.failure);
      else move(entry, "queued");
      pump();
    });
  };

  const view = ({ record, work }: Entry): ExperimentView => ({
    run: record.run,
    runDir: folder(record.run),
    state: work?.stop.signal.aborted ? "stopping" : record.state,
    since: record.since,
    standing: work?.feed.standing() ?? record.standing,
    metric: record.experiment.search.metric,
    failure: record.failure,
  });

  const submit = async (submission: Submission): Promise<ExperimentView> => {
    const { fresh, extend, retryFailed, noDiskCheck } = submission;
    const experiment = await readSubmission(submission.experimentJson);
    const asked = submission.run === "" ? experiment.name : submission.run;
    const run = fresh ? freshName(asked, (name) => entries.has(name) || existsSync(folder(name))) : asked;
    const dir = folder(run);
    const known = entries.get(run);
    if (known !== undefined && (known.record.state === "queued" || known.work !== null)) {
      if (known.work?.stop.signal.aborted)
        throw new DistmisError("RUN_REFUSED", `run ${run} is being stopped; submit it again when it has stopped`);
      if (extend || retryFailed)
        throw new DistmisError("RUN_REFUSED", `run ${run} is ${known.record.state}; wait for its end, or cancel it`);
      checkHandedInAgain(known.record, dir, experiment);
      if (known.record.state === "queued") {
        const before = { ...known.record };
        Object.assign(known.record, { experiment, diskCheck: !noDiskCheck });
        await save().catch((error: unknown) => {
          Object.assign(known.record, { experiment: before.experiment, diskCheck: before.diskCheck });
          throw error;
        });
      }
      return view(known);
    }
    await checkFolder(dir, experiment, { extend, retryFailed });
    const finished =
      !extend && !retryFailed && existsSync(runFiles.journal(dir)) && (await readRun(dir)).state.finished;
    const standing = finished ? standingOf(await pastResults(dir)) : { ended: 0, total: null, running: 0, best: null };
    const entry: Entry = {
      record: {
        run,
        experiment,
        state: finished ? "finished" : "queued",
        since: new Date().toISOString(),
        extend,
        retryFailed,
        diskCheck: !noDiskCheck,
        failure: null,
        standing,
      },
      work: null,
    };
    // The last one of the queue.
    entries.delete(run);
    entries.set(run, entry);
    await save().catch((error: unknown) => {
      // Nothing is taken in that a restart would forget.
      entries.delete(run);
      if (known !== undefined) entries.set(run, known);
      throw error;
    });
    log(`${run}: submitted`);
    pump();
    return view(entry);
  };

  async function* attach(run: string, signal: AbortSignal): AsyncGenerator<Told, void> {
    const gone = aborted(signal);
    let before = -1;
    while (!signal.aborted) {
      const next = changed.promise;
      const entry = entries.get(run);
      if (entry?.work) {
        const { feed, outcome } = entry.work;
        for await (const eventJson of feed.follow(signal)) yield { eventJson };
        if (!signal.aborted) yield await outcome.promise;
        return;
      }
      if (entry?.record.state !== "queued") {
        yield await pastOutcome(run, entry);
        return;
      }
      if (closing) {
        const message = `the server stops; run ${run} stays in its queue for the next start`;
        yield { failure: { code: "SERVER_UNAVAILABLE", message } };
        return;
      }
      const ahead = inState("queued", "running").indexOf(entry);
      if (ahead !== before) yield { before: ahead };
      before = ahead;
      await Promise.race([next, gone]);
    }
  }

  const pastOutcome = async (run: string, entry: Entry | undefined): Promise<Outcome> => {
    const failure = entry?.record.failure;
    if (failure) return { failure };
    const dir = folder(run);
    if (entry?.record.state === "cancelled" && !existsSync(runFiles.journal(dir)))
      return { failure: { code: "INTERRUPTED", message: `run ${run} was cancelled before it began` } };
    return { results: await pastResults(dir) };
  };

  const cancel = async (run: string, now: boolean): Promise<ExperimentView> => {
    const dir = folder(run);
    const entry = entries.get(run);
    if (entry === undefined) {
      await readRun(dir);
      throw new DistmisError("RUN_REFUSED", `run ${run} is not one of this server's queue: nothing to cancel`);
    }
    const { work, record } = entry;
    if (work !== null) {
      work.cancelled = true;
      log(`${run}: to be cancelled${now ? " now" : ""}`);
      work.stop.abort();
      if (now) work.kill.abort();
      await work.outcome.promise;
    } else if (record.state === "queued") {
      move(entry, "cancelled");
    } else if (record.state !== "cancelled") {
      const how = record.state === "finished" ? "has finished" : "has failed";
      throw new DistmisError("RUN_REFUSED", `run ${run} ${how} at ${record.since}: nothing to cancel`);
    }
    // What a client was told survives the server.
    await save();
    return view(entry);
  };

  return {
    start: pump,
    async submit(submission) {
      if (closing) throw new DistmisError("SERVER_UNAVAILABLE", "the server stops; submit it to the next one");
      // One after the other: two of one name must not both find the name free.
      const done = submitting.then(() => submit(submission));
      submitting = done.catch(() => {});
      return done;
    },
    list() {
      const active = inState("queued", "running");
      const ended = inState("finished", "cancelled", "failed").toSorted((a, b) =>
        b.record.since.localeCompare(a.record.since),
      );
      return [...active, ...ended].map(view);
    },
    cancel,
    attach,
    async close(kill) {
      closing = true;
      const running = [...entries.values()].flatMap(({ work }) => work ?? []);
      const killAll = (): void => running.forEach((work) => void work.kill.abort());
      kill.addEventListener("abort", killAll);
      for (const { stop } of running) stop.abort();
      if (kill.aborted) killAll();
      await Promise.all(running.map(({ outcome }) => outcome.promise));
      kill.removeEventListener("abort", killAll);
      await save();
    },
  };
}

function standingOf({ trials, best }: RunResults): Standing {
  return { ended: trials.length, total: trials.length, running: 0, best: best?.best?.value ?? null };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
