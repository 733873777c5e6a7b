/** How a run stands, as its events tell it: what the live view shows. */
import { timeLeft } from "../analysis/index.ts";
import type { RunEvent } from "../experiment/index.ts";

/** A trial of the view. */
export interface ViewTrial {
  readonly trial: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  state: "running" | "waiting" | "completed" | "failed" | "pruned";
  epoch: number;
  epochs: number;
  metrics: Readonly<Record<string, number>>;
  best: { value: number; epoch: number } | null;
  /** Milliseconds since 1970: start of the attempt. */
  since: number;
  /** Of all attempts, once it has ended. */
  seconds: number;
  /** Of its last epoch; 0 before. */
  epochSeconds: number;
  replicas: number;
  nodes: readonly string[];
  gpus: readonly string[];
}

/** The run in numbers. */
export interface ViewTotals {
  name: string;
  metric: string;
  /** Milliseconds since 1970: start of this part of the run; 0 before. */
  since: number;
  /** Null if that is open. */
  trials: number | null;
  running: number;
  completed: number;
  failed: number;
  pruned: number;
  best: { trial: string; value: number; epoch: number; parameters: Readonly<Record<string, unknown>> } | null;
  /** Of one replica; 0 where they use none. */
  gpus: number;
  /** Replicas that work, and those that there is room for; null before that is known. */
  busy: number;
  room: number | null;
}

export interface RunView {
  event(event: RunEvent): void;
  totals(): ViewTotals;
  /** Running trials, then those that are to start again, then the best of those that have ended. */
  trials(): ViewTrial[];
  /** Parameters that differ between trials; all while there is but one. */
  varied(): string[];
  /** Seconds until the last trial ends; null if that can't be told. @param now milliseconds since 1970 */
  secondsLeft(now: number): number | null;
}

/** Of the trials that have ended, so many are kept for the table. */
const ENDED_KEPT = 100;

type EndedState = "completed" | "failed" | "pruned";

export function createRunView(): RunView {
  const head = { name: "", metric: "", mode: "max", since: 0, total: null as number | null };
  /** When the parts of the run began that were told of: a server that is found again tells all anew. */
  const parts = new Set<string>();
  /** Those of an earlier part that were not told of. */
  const before = { completed: 0, failed: 0, pruned: 0 };
  const active = new Map<string, ViewTrial>();
  /** With its replica-seconds, if they tell of others. */
  const ended = new Map<string, { state: EndedState; seconds: number | null }>();
  let ranked: ViewTrial[] = [];
  const counts = { completed: 0, failed: 0, pruned: 0 };
  let best: ViewTotals["best"] = null;
  let room: { gpus: number; replicas: number; atOnce: number } | null = null;
  let parameters = createVariation();
  /** Replica-seconds of trials that have ended, and how many. */
  let spent = { seconds: 0, trials: 0 };

  const isBetter = (value: number, than: number | undefined): boolean =>
    Number.isFinite(value) && (than === undefined || (head.mode === "max" ? value > than : value < than));
  const noteBest = (trial: string, value: number, epoch: number, told?: ViewTrial["parameters"]): void => {
    if (!isBetter(value, best?.value)) return;
    best = { trial, value, epoch, parameters: told ?? active.get(trial)?.parameters ?? {} };
  };
  /** As if it had not ended. */
  const uncount = (trial: string): void => {
    const known = ended.get(trial);
    if (known === undefined) return;
    ended.delete(trial);
    counts[known.state]--;
    if (known.seconds !== null) spent = { seconds: spent.seconds - known.seconds, trials: spent.trials - 1 };
  };

  const forget = (): void => {
    active.clear();
    ended.clear();
    ranked = [];
    Object.assign(counts, { completed: 0, failed: 0, pruned: 0 });
    best = null;
    room = null;
    parameters = createVariation();
    spent = { seconds: 0, trials: 0 };
  };

  const begin = (event: Extract<RunEvent, { type: "run_started" }>): void => {
    if (!event.continued) forget();
    const { name, metric, mode, trials: total } = event;
    if (!parts.has(event.time)) {
      Object.assign(head, { name, metric, mode, total, since: Date.parse(event.time) });
      // A server of an older version tells their sum alone.
      const { endedBefore, failedBefore = 0, prunedBefore = 0 } = event;
      before.failed = Math.max(0, failedBefore - counts.failed);
      before.pruned = Math.max(0, prunedBefore - counts.pruned);
      before.completed = Math.max(0, endedBefore - ended.size - before.failed - before.pruned);
      // A server of an older version does not tell it.
      if (event.best && isBetter(event.best.value, best?.value)) best = event.best;
    }
    parts.add(event.time);
    for (const trial of active.values()) trial.state = "waiting";
  };

  const end = (event: Extract<RunEvent, { type: "trial_ended" }>): void => {
    const { trial, state, seconds } = event;
    // A server of an older version tells nothing of a trial that has ended.
    if (event.parameters) parameters.add(trial, event.parameters);
    const { epoch, epochs, replicas, nodes, gpus } = event;
    const told = event.parameters ? { parameters: event.parameters, epoch, epochs, replicas, nodes, gpus } : {};
    const row = active.get(trial);
    if (event.best !== null) noteBest(trial, event.best.value, event.best.epoch, event.parameters);
    if (state === "interrupted") {
      if (row !== undefined) row.state = "waiting";
      return;
    }
    active.delete(trial);
    uncount(trial);
    const last = { ...(row ?? unknownTrial(trial)), ...told };
    counts[state]++;
    const worked = state === "failed" ? null : seconds * last.replicas;
    if (worked !== null) spent = { seconds: spent.seconds + worked, trials: spent.trials + 1 };
    ended.set(trial, { state, seconds: worked });
    const kept = ranked.filter((other) => other.trial !== trial);
    ranked = [...kept, { ...last, state, seconds, best: event.best, metrics: { ...last.metrics, ...event.metrics } }]
      .toSorted((a, b) => rank(a, b))
      .slice(0, ENDED_KEPT);
  };

  const rank = (a: ViewTrial, b: ViewTrial): number => {
    if (a.best === null || b.best === null) return Number(a.best === null) - Number(b.best === null);
    return head.mode === "max" ? b.best.value - a.best.value : a.best.value - b.best.value;
  };

  const untold = (): number => before.completed + before.failed + before.pruned;
  const working = (): ViewTrial[] =>
    [...active.values()].filter(({ state }) => state === "running").toSorted((a, b) => byId(a.trial, b.trial));

  return {
    event(event) {
      switch (event.type) {
        case "run_started":
          begin(event);
          break;
        case "run_placed": {
          const atOnce = Math.max(0, ...event.sizes.map(({ replicas, concurrency }) => replicas * concurrency));
          // A server of an older version does not tell the room.
          room = { gpus: event.gpus, replicas: event.room || atOnce, atOnce };
          break;
        }
        case "trial_started": {
          const before = active.get(event.trial);
          // An extended run goes on with trials that had ended.
          uncount(event.trial);
          ranked = ranked.filter(({ trial }) => trial !== event.trial);
          parameters.add(event.trial, event.parameters);
          active.delete(event.trial);
          active.set(event.trial, {
            ...(before ?? unknownTrial(event.trial)),
            parameters: event.parameters,
            state: "running",
            since: Date.parse(event.time),
            replicas: event.replicas,
            nodes: event.nodes,
            gpus: event.gpus,
          });
          break;
        }
        case "epoch": {
          const trial = active.get(event.trial);
          const value = event.metrics[head.metric];
          if (trial !== undefined) {
            Object.assign(trial, { epoch: event.epoch, epochs: event.epochs, metrics: event.metrics });
            trial.epochSeconds = event.seconds;
            if (value !== undefined && isBetter(value, trial.best?.value)) trial.best = { value, epoch: event.epoch };
          }
          if (value !== undefined) noteBest(event.trial, value, event.epoch);
          break;
        }
        case "trial_retried": {
          const trial = active.get(event.trial);
          if (trial !== undefined) trial.state = "waiting";
          break;
        }
        case "trial_ended":
          end(event);
          break;
      }
    },
    totals: () => ({
      name: head.name,
      metric: head.metric,
      since: head.since,
      trials: head.total,
      running: working().length,
      completed: counts.completed + before.completed,
      failed: counts.failed + before.failed,
      pruned: counts.pruned + before.pruned,
      best,
      gpus: room?.gpus ?? 0,
      busy: working().reduce((sum, { replicas }) => sum + replicas, 0),
      room: room?.replicas ?? null,
    }),
    trials() {
      const waiting = [...active.values()].filter(({ state }) => state === "waiting");
      return [...working(), ...waiting, ...ranked];
    },
    varied: () => parameters.varied(),
    secondsLeft(now) {
      const running = working();
      const open = head.total === null ? null : Math.max(0, head.total - untold() - ended.size - running.length);
      return timeLeft({ open, spent, atOnce: room?.atOnce ?? null, running }, now);
    },
  };
}

function byId(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

function unknownTrial(trial: string): ViewTrial {
  return {
    trial,
    parameters: {},
    state: "waiting",
    epoch: 0,
    epochs: 0,
    metrics: {},
    best: null,
    since: 0,
    seconds: 0,
    epochSeconds: 0,
    replicas: 1,
    nodes: [],
    gpus: [],
  };
}

/** Which parameters differ between trials, without keeping them. */
function createVariation() {
  const known = new Map<string, { value: unknown; trials: number; varied: boolean }>();
  const trials = new Set<string>();
  return {
    add(trial: string, parameters: Readonly<Record<string, unknown>>): void {
      if (trials.has(trial)) return;
      trials.add(trial);
      for (const [path, value] of Object.entries(parameters)) {
        const before = known.get(path) ?? { value, trials: 0, varied: false };
        known.set(path, {
          ...before,
          trials: before.trials + 1,
          varied: before.varied || before.value !== value,
        });
      }
    },
    varied(): string[] {
      const all = [...known];
      // One that some trials don't have differs as well.
      const differing = all.filter(([, { varied, trials: having }]) => varied || having < trials.size);
      return (trials.size < 2 ? all : differing).map(([path]) => path);
    },
  };
}
