/** A run as the page shows it, kept up to date by its journal; what has changed since when is told by versions. */
import type { Experiment } from "../config/index.ts";
import type { AttemptView, CurveView, RunChange, RunView, TrialView } from "../page-data/index.ts";
import { followRun, type JournalRecord, type RunState } from "../run-folder/index.ts";
import { createAttempts } from "./attempts.ts";
import { createCurves } from "./curves.ts";
import { runView, trialView } from "./overview.ts";
import { createPace } from "./pace.ts";

export interface RunBoard {
  /** Absolute. */
  readonly dir: string;
  /** Grows with each change. */
  readonly version: number;
  /** Null while the journal has no record that can be read. */
  readonly experiment: Experiment | null;
  /** Of the last look. */
  readonly state: RunState;
  /** Reads what is new; whether anything is. */
  look(): Promise<boolean>;
  /** What has changed after `version`: all of it with -1. */
  changes(version: number): RunChange;
  trials(): TrialView[];
  attempts(): readonly AttemptView[];
  curve(trial: string): CurveView | null;
}

/** @throws DistmisError FILE_UNUSABLE if there is no run in `dir` */
export async function openBoard(dir: string, id: string): Promise<RunBoard> {
  let version = 0;
  /** Before this one, what is known is of another journal. */
  let resetAt = 0;
  let curves = createCurves();
  let attempts = createAttempts();
  let pace = createPace();
  let lastAt = 0;
  let working = false;
  const trialVersions = new Map<string, number>();
  const attemptVersions: number[] = [];

  const follower = await followRun(dir, {
    onRecord(record) {
      lastAt = Date.parse(record.time);
      if (record.type === "epoch") curves.add(record);
      pace.add(record);
      for (const at of attempts.add(record)) attemptVersions[at] = version + 1;
      for (const trial of trialsOf(record, follower.state)) trialVersions.set(trial, version + 1);
    },
    onRestart() {
      curves = createCurves();
      attempts = createAttempts();
      pace = createPace();
      trialVersions.clear();
      attemptVersions.length = 0;
      resetAt = version + 1;
    },
  });
  const experiment = (): Experiment | null => follower.state.experiment;
  const viewOf = (trial: string): TrialView[] => {
    const found = follower.state.trials.get(trial);
    return found === undefined ? [] : [trialView(found, experiment()?.search.mode ?? "max", working)];
  };
  /** Where nobody works, nothing runs, though its end is not told. */
  const attemptView = (attempt: AttemptView): AttemptView =>
    attempt.outcome === "running" && !working ? { ...attempt, outcome: "interrupted", end: lastAt } : attempt;
  const view = (): RunView => {
    const known = experiment();
    const beside = { id, lastAt, metrics: curves.metrics(), pace };
    return known === null ? emptyView(id, follower.dir, follower.trouble) : runView(follower, known, beside);
  };

  return {
    dir: follower.dir,
    get version() {
      return version;
    },
    get experiment() {
      return experiment();
    },
    get state() {
      return follower.state;
    },
    async look() {
      const news = await follower.look();
      const works = follower.owner !== null;
      if (works !== working) {
        working = works;
        for (const [at, { outcome }] of attempts.all.entries())
          if (outcome === "running") attemptVersions[at] = version + 1;
        for (const { id: trial, state } of follower.state.trials.values())
          if (state === "running") trialVersions.set(trial, version + 1);
      }
      if (news) version++;
      return news;
    },
    changes: (since) => ({
      run: view(),
      reset: since < resetAt,
      trials: [...trialVersions].flatMap(([trial, at]) => (at > since ? viewOf(trial) : [])),
      attempts: attempts.all.flatMap((attempt, at) =>
        (attemptVersions[at] ?? 0) > since ? [{ at, attempt: attemptView(attempt) }] : [],
      ),
    }),
    trials: () => [...follower.state.trials.keys()].flatMap(viewOf),
    attempts: () => attempts.all.map(attemptView),
    curve: (trial) => curves.of(trial),
  };
}

/** The trials whose views a record changes. */
function trialsOf(record: JournalRecord, { trials }: RunState): Iterable<string> {
  switch (record.type) {
    case "run_started":
    case "run_ended":
    case "checkpoints_removed":
      return [];
    case "run_continued":
    case "run_extended":
      return trials.keys();
    default:
      return [record.trial];
  }
}

/** Of a run whose first record can't be read. */
function emptyView(id: string, dir: string, trouble: string | null): RunView {
  return {
    id,
    name: dir.split("/").at(-1) ?? dir,
    dir,
    state: "interrupted",
    trouble: trouble ?? `${dir}: its journal has no record yet`,
    limit: null,
    owner: null,
    metric: "",
    mode: "max",
    startedAt: 0,
    lastAt: 0,
    wallSeconds: 0,
    gpuSeconds: 0,
    counts: { completed: 0, running: 0, waiting: 0, pruned: 0, failed: 0 },
    parts: 0,
    expected: null,
    secondsLeft: null,
    room: null,
    changes: [],
    best: null,
    parameters: [],
    metrics: [],
  };
}
