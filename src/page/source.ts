/** Where the page's data come from: a server that tells of changes, or a report that holds them. */
import type {
  AttemptView,
  CurveView,
  ImportanceView,
  LogView,
  PreviewsView,
  RunChange,
  RunView,
  TrialView,
} from "../page-data/index.ts";

export interface RunData {
  view: RunView;
  trials: Map<string, TrialView>;
  attempts: AttemptView[];
}

/** `lost`: it is tried again; `refused`: the server does not know this page any more. */
export type Connection = "opening" | "connected" | "lost" | "refused" | "report";

export interface PageState {
  /** Grows with each change. */
  version: number;
  /** Another one when the server was lost and is there again: answers of before may not be true any more. */
  generation: number;
  connection: Connection;
  runs: Map<string, RunData>;
}

/** One volume of the viewer, as the bytes of a .nii.gz file. */
export interface Volume {
  name: string;
  bytes: ArrayBuffer;
}

/** The asynchronous ones reject with an error whose message is for a person. */
export interface Source {
  readonly state: PageState;
  /** Calls `listener` after each change, until the function that it returns is called. */
  subscribe(listener: () => void): () => void;
  curves(run: string, trials: readonly string[]): Promise<CurveView[]>;
  importance(run: string): Promise<ImportanceView>;
  experiment(run: string): Promise<string>;
  /** Null in a report, which has no logs. */
  log: ((run: string, trial: string, rank: number, from: number | null) => Promise<LogView>) | null;
  /** Of what is part of the page. */
  licences(): Promise<string>;
  previews(run: string, trial: string): Promise<PreviewsView>;
  /** What a case is shown with. */
  image(run: string, trial: string, index: number, channel: number): Promise<Volume>;
  truth(run: string, trial: string, index: number): Promise<Volume>;
  prediction(run: string, trial: string, index: number, epoch: number): Promise<Volume>;
  /** Of which trial there are predictions; null if that may be any. */
  readonly onlyPreviewed: string | null;
  /** When a report was made, by which version of distmis, and without what; null of a server. */
  readonly made: { at: number; version: string; remarks: readonly string[] } | null;
}

/** Brings what is known of a run up to date. */
export function applyChange(runs: Map<string, RunData>, { run, reset, trials, attempts }: RunChange): void {
  const known = runs.get(run.id);
  const data: RunData = known === undefined || reset ? { view: run, trials: new Map(), attempts: [] } : known;
  data.view = run;
  for (const trial of trials) data.trials.set(trial.id, trial);
  for (const { at, attempt } of attempts) data.attempts[at] = attempt;
  runs.set(run.id, data);
}
