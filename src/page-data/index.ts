/**
 * What the server of `distmis dashboard` tells the page, and what a report holds: types alone, for both sides. Times are
 * milliseconds since 1970, durations are seconds, and what is not a number is null.
 */
export type TrialStateName = "waiting" | "running" | "completed" | "failed" | "pruned";
export type ParameterValue = number | string | boolean;

/** A run at a glance. */
export interface RunView {
  /** Its place among the runs that are shown. */
  id: string;
  name: string;
  /** Absolute. */
  dir: string;
  state: "finished" | "running" | "interrupted";
  /** Why the journal could not be read to its end; null if it could. */
  trouble: string | null;
  /** Which limit of the search has ended it, in words. */
  limit: string | null;
  /** Who works on it. */
  owner: { host: string; pid: number } | null;
  metric: string;
  mode: "max" | "min";
  startedAt: number;
  /** Time of the journal's last record. */
  lastAt: number;
  wallSeconds: number;
  gpuSeconds: number;
  counts: Record<TrialStateName, number>;
  /** How often it was begun, continued or extended: its experiment may be another one then. */
  parts: number;
  /** How many trials there will be; null if that is open. */
  expected: number | null;
  /** When this was told, as the terminal reckons it; null if nothing is known, 0 at the end. */
  secondsLeft: number | null;
  /** The replicas that the run has room for, with so many GPUs each; null in older journals. */
  room: { replicas: number; gpus: number } | null;
  /** Nodes that have come and gone. */
  changes: { at: number; text: string }[];
  best: { trial: string; value: number; epoch: number } | null;
  /** The searched fields that trials have, in the order of the experiment. */
  parameters: string[];
  /** Names of all metrics that trials have reported. */
  metrics: string[];
}

/** A trial as it stands. */
export interface TrialView {
  id: string;
  state: TrialStateName;
  parameters: Record<string, ParameterValue>;
  epoch: number;
  epochs: number;
  best: { value: number; epoch: number } | null;
  /** Of the last report. */
  metrics: Record<string, number | null>;
  seconds: number;
  nodes: readonly string[];
  gpus: readonly string[];
  attempts: number;
  error: string | null;
}

export type AttemptEnd =
  | "running"
  | "completed"
  | "failed"
  | "pruned"
  | "lost"
  | "stalled"
  | "port_taken"
  | "interrupted"
  | "limit";

/** One attempt at a trial: what a bar of the timeline shows. */
export interface AttemptView {
  trial: string;
  attempt: number;
  /** The GPUs that it had, or the node of each replica that had none. */
  places: { node: string; gpu: string | null }[];
  start: number;
  /** Null while it runs. */
  end: number | null;
  outcome: AttemptEnd;
  error: string | null;
}

/** What a trial has reported, by epoch. */
export interface CurveView {
  trial: string;
  epochs: number[];
  metrics: Record<string, (number | null)[]>;
}

/** How much each searched field decides. */
export interface ImportanceView {
  shares: { parameter: string; share: number }[] | null;
  trials: number;
  /** How many of them count as the best. */
  best: number;
  missing: string | null;
}

/** What has changed since the message before; the first one has everything, and `reset` set. */
export interface RunChange {
  run: RunView;
  /** What is known of this run from before is not true any more. */
  reset: boolean;
  trials: TrialView[];
  /** Each has its place in the list of all attempts. */
  attempts: { at: number; attempt: AttemptView }[];
}

/** One message of the stream: of each run that has changed. */
export interface ChangeMessage {
  runs: RunChange[];
}

/** A piece of a trial's log. */
export interface LogView {
  /** Numbers of the replicas that have one. */
  ranks: number[];
  text: string;
  /** Where `text` begins and ends in the file, in bytes. */
  from: number;
  to: number;
  size: number;
}

/** The predictions of a trial that were kept. */
export interface PreviewsView {
  /** Foreground classes by the values of the label. */
  classes: Record<string, string>;
  /** Names of the image's channels. */
  channels: string[];
  cases: PreviewCase[];
  epochs: PreviewEpoch[];
  /** Why there is no image or truth to show beside; null if there is. */
  missing: string | null;
}

export interface PreviewCase {
  /** Place in the validation split. */
  index: number;
  name: string;
}

export interface PreviewEpoch {
  epoch: number;
  /** Places of the cases that were kept. */
  cases: number[];
  /** Dice of each validation case, by its place in the split. */
  dice: (number | null)[];
}

/** What a report holds of its run. */
export interface ReportData {
  run: RunView;
  trials: TrialView[];
  attempts: AttemptView[];
  /** Of the trials whose curves are kept. */
  curves: CurveView[];
  importance: ImportanceView;
  experiment: string;
  previews: { trial: string; view: PreviewsView; volumes: Record<string, string> } | null;
  /** What was left out, for a person. */
  remarks: string[];
  /** When it was made. */
  madeAt: number;
  version: string;
}
