/** Trials that are repetitions of each other: the same but for the seed, or the fold of the data set. */
import { appliedConfig, differences } from "../config/index.ts";
import { type DatasetInfo, readInfoIfAny } from "../data/index.ts";
import { type RunReading, rankedSummaries, type TrialSummary } from "../run-folder/index.ts";

/** Of the values that several trials reached. */
export interface Spread {
  trials: number;
  mean: number;
  /** Of the sample (n - 1); null for a single value. */
  deviation: number | null;
}

export interface Replicates {
  /** The fields in which the configurations of all groups differ, by their paths. */
  settings: Record<string, unknown>;
  /** The best values of the search's metric. */
  value: Spread;
  /** What trials measured on the test split, by the metric's name. */
  tests: Record<string, Spread>;
  trials: TrialSummary[];
  seeds: number[];
  /** As `tfrecord --fold` has them: K/N. */
  folds: string[];
}

/** Fields that decide nothing of what a trial comes to. */
const WITHOUT_EFFECT: Readonly<Record<string, readonly string[]>> = {
  data: ["cache_gigabytes", "stage"],
  train: ["seed", "checkpoint_epochs", "keep_best", "debug", "tensorboard", "previews"],
};

interface Member {
  config: Record<string, unknown>;
  summary: TrialSummary;
  seed: number;
  fold: string | null;
}

/** The completed trials of the runs in groups, best mean first. Data sets that are gone are told apart by their folders. */
export async function replicatesOf(readings: readonly RunReading[]): Promise<Replicates[]> {
  const infos = new Map<string, DatasetInfo | null>();
  const infoOf = async (dir: string): Promise<DatasetInfo | null> => {
    if (!infos.has(dir)) infos.set(dir, await readInfoIfAny(dir).catch(() => null));
    return infos.get(dir) ?? null;
  };
  const byConfig = new Map<string, Member[]>();
  for (const { dir, experiment, state } of readings) {
    for (const summary of rankedSummaries(state, experiment, dir)) {
      if (summary.state !== "completed" || summary.best === null) continue;
      const { parameters } = summary;
      const dataDir = String(parameters["data.dir"] ?? experiment.data?.dir ?? "");
      const info = dataDir === "" ? null : await infoOf(dataDir);
      const member = {
        config: comparable(appliedConfig(experiment, parameters), info),
        summary,
        seed: Number(parameters["train.seed"] ?? experiment.train.seed),
        fold: info?.distmis?.options.fold ?? null,
      };
      const key = JSON.stringify(member.config);
      byConfig.set(key, [...(byConfig.get(key) ?? []), member]);
    }
  }
  const groups = [...byConfig.values()];
  const [first] = groups[0] ?? [];
  const paths = groups.flatMap(([other]) => differences(first?.config, other?.config).map(({ path }) => path));
  const searched = readings.flatMap(({ experiment }) => Object.keys(experiment.search.space));
  // In the order of the search space, then what differs between runs.
  const varied = [...new Set([...searched.filter((path) => paths.includes(path)), ...paths])];
  const sign = readings[0]?.experiment.search.mode === "min" ? 1 : -1;
  return groups.map((members) => describe(members, varied)).toSorted((a, b) => sign * (a.value.mean - b.value.mean));
}

/** What decides what a trial comes to; folds of a data set count as one. */
function comparable(config: Record<string, unknown>, info: DatasetInfo | null): Record<string, unknown> {
  const own = info?.distmis;
  const section = (name: string): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(config[name] ?? {}).filter(([key]) => WITHOUT_EFFECT[name]?.includes(key) !== true),
    );
  const folded =
    own === undefined || own.options.fold === null
      ? {}
      : { dir: `${own.name} of ${own.source_dir} ${JSON.stringify({ ...own.options, fold: null })}` };
  const { replicas } = section("resources");
  const [data, train] = [{ ...section("data"), ...folded }, section("train")];
  return { data, model: config.model, train, trainer: config.trainer, resources: { replicas } };
}

function describe(members: readonly Member[], varied: readonly string[]): Replicates {
  const [first] = members;
  const tests = [...new Set(members.flatMap(({ summary }) => Object.keys(summary.metrics)))].filter((name) =>
    name.startsWith("test_"),
  );
  const valuesOf = (name: string): number[] => members.flatMap(({ summary }) => summary.metrics[name] ?? []);
  return {
    settings: Object.fromEntries(varied.map((path) => [path, at(first?.config, path)])),
    value: spread(members.flatMap(({ summary }) => summary.best?.value ?? [])),
    tests: Object.fromEntries(tests.map((name) => [name, spread(valuesOf(name))])),
    trials: members.map(({ summary }) => summary),
    seeds: [...new Set(members.map(({ seed }) => seed))].toSorted((a, b) => a - b),
    folds: [...new Set(members.flatMap(({ fold }) => fold ?? []))].toSorted(),
  };
}

function at(value: unknown, path: string): unknown {
  let found = value;
  for (const key of path.split(".")) found = (found as Record<string, unknown> | undefined)?.[key];
  return found;
}

function spread(values: readonly number[]): Spread {
  const trials = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / trials;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { trials, mean, deviation: trials < 2 ? null : Math.sqrt(squares / (trials - 1)) };
}
