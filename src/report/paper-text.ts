/** Runs as Markdown for a paper: a table of results, the best configuration, and a paragraph on methods. */
import path from "node:path";
import type { Replicates, RunAnalysis, RunFacts, Spread } from "../analysis/index.ts";
import { axesOf, describeAxis } from "../config/index.ts";
import { formatMetric, formatSeconds, formatValue, printable, shortNames } from "./format.ts";

const SECONDS_AN_HOUR = 3600;

export interface PaperRun {
  facts: RunFacts;
  analysis: RunAnalysis;
}

/** What the charts of `writeFigures` show, by their names. */
const CAPTIONS: readonly [name: string, caption: (metric: string) => string][] = [
  ["curves", (metric) => `${metric} by epoch of the best trials.`],
  [
    "parameters",
    (metric) => `Searched fields and ${metric}: a line is a trial, from grey (worst) over teal to orange (best).`,
  ],
  ["importance", (metric) => `How much each searched field decides on ${metric} (PED-ANOVA).`],
  ["timeline", () => "Which trial ran where, and how it ended."],
];

/**
 * @param runs at least one; all rank their trials by the same metric
 * @param figures files of `writeFigures`, as seen from where the text will lie
 * @returns with a newline at the end
 */
export function paperText(
  runs: readonly PaperRun[],
  groups: readonly Replicates[],
  figures: readonly string[] = [],
): string {
  const metric = runs[0]?.analysis.metric ?? "";
  const names = [...new Set(runs.map(({ analysis }) => analysis.name))];
  const sections = [
    `# Results of ${names.map(text).join(", ")}`,
    groups.length === 0 ? "No trial has completed." : resultsTable(groups, metric),
    ...(groups[0] === undefined ? [] : ["## Best configuration", bestTable(groups[0])]),
    "## Methods",
    ...runs.map(({ facts, analysis }) => methods(facts, analysis)),
    ...figureSections(figures, metric),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** PNG, which every reader of Markdown takes. */
function figureSections(figures: readonly string[], metric: string): string[] {
  const shown = CAPTIONS.flatMap(([name, caption]) => {
    const file = figures.find((each) => path.basename(each) === `${name}.png`);
    // Spaces, and what else ends a link.
    const link = file && encodeURI(file).replaceAll(/[()]/g, (sign) => (sign === "(" ? "%28" : "%29"));
    return link === undefined ? [] : [`![${text(caption(metric))}](${link})`];
  });
  return shown.length === 0 ? [] : ["## Figures", ...shown];
}

/** Text of others in a cell or a sentence. */
function text(value: string): string {
  return printable(value).replaceAll(/[\\`*[\]<>|]/g, "\\$&");
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: (column: number) => boolean,
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (right(column) ? "---:" : "---"))), ...rows.map(line)].join("\n");
}

/** `0.812 ± 0.013` */
function spreadText(spread: Spread | undefined): string {
  if (spread === undefined) return "-";
  return spread.deviation === null
    ? formatMetric(spread.mean)
    : `${formatMetric(spread.mean)} ± ${formatMetric(spread.deviation)}`;
}

function resultsTable(groups: readonly Replicates[], metric: string): string {
  const paths = Object.keys(groups[0]?.settings ?? {});
  const short = shortNames(paths);
  const tests = [...new Set(groups.flatMap((group) => Object.keys(group.tests)))];
  const head = [...paths.map((path) => text(short.get(path) ?? path)), "n", text(metric), ...tests.map(text)];
  const rows = groups.map((group) => [
    ...paths.map((path) => text(valueText(group.settings[path]))),
    String(group.value.trials),
    spreadText(group.value),
    ...tests.map((name) => spreadText(group.tests[name])),
  ]);
  return `${table(head, rows, (column) => column >= paths.length)}\n\n${legend(groups, metric)}`;
}

/** What the numbers are. */
function legend(groups: readonly Replicates[], metric: string): string {
  const seeds = groups.some((group) => group.seeds.length > 1);
  const folds = groups.some((group) => group.folds.length > 1);
  const over = [...(seeds ? ["seeds"] : []), ...(folds ? ["folds"] : [])].join(" and ");
  const each = `${text(metric)}: the best value of a trial's epochs`;
  const several = groups.some(({ value }) => value.trials > 1);
  const repeated = over === "" ? "repetitions" : over;
  return several
    ? `${each}; mean ± standard deviation (n − 1) over ${repeated}. n: number of trials.`
    : `${each}, one trial each: no deviation can be told. n: number of trials.`;
}

function valueText(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : formatValue(value);
}

/** The best single trial of the best group has these parameters. */
function bestTable(group: Replicates): string {
  const parameters = { ...group.trials[0]?.parameters, ...group.settings };
  delete parameters["train.seed"];
  delete parameters["data.dir"];
  const rows = Object.entries(parameters).map(([path, value]) => [text(path), text(valueText(value))]);
  const found = `By the mean over its ${group.trials.length === 1 ? "one trial" : `${group.trials.length} trials`}; trial ${group.trials.map(({ trial }) => trial).join(", ")}.`;
  return rows.length === 0 ? found : `${table(["field", "value"], rows, () => false)}\n\n${found}`;
}

function methods(facts: RunFacts, analysis: RunAnalysis): string {
  return [
    `**${text(analysis.name)}.**`,
    searchSentence(facts, analysis),
    ...modelSentences(facts),
    dataSentence(facts),
    costSentence(facts, analysis),
    versionSentence(facts),
  ].join(" ");
}

function searchSentence({ reading }: RunFacts, { trials, counts, metric, mode, state, limit }: RunAnalysis): string {
  const { experiment } = reading;
  const axes = axesOf(experiment);
  const ways: Record<string, string> = { grid: "a grid", random: "random draws" };
  const way = ways[experiment.search.sampler] ?? `the sampler ${experiment.search.sampler}`;
  const space = axes.map((axis) => `${text(axis.path)} (${text(describeAxis(axis))})`).join(", ");
  const searched =
    axes.length === 0 ? "One configuration was trained" : `Hyper-parameters were searched by ${way} over ${space}`;
  const early = counts.pruned === 0 ? "" : `, ${counts.pruned} pruned`;
  const failed = counts.failed === 0 ? "" : `, ${counts.failed} failed`;
  const ended = state === "finished" ? (limit === null ? "" : `, until ${text(limit)}`) : " (not finished)";
  const many = `${trials.length} ${trials.length === 1 ? "trial" : "trials"}: ${counts.completed} completed${early}${failed}${ended}`;
  return `${searched} (${many}), ranked by the ${mode === "max" ? "largest" : "smallest"} ${text(metric)} of an epoch.`;
}

/** Of the fields that were not searched. */
function modelSentences({ reading }: RunFacts): string[] {
  const { model, train, trainer, resources } = reading.experiment;
  if (trainer.module !== undefined) return ["Trials ran a trainer module of their own."];
  const searched = new Set(axesOf(reading.experiment).map(({ path }) => path));
  const list = (fields: Record<string, string>): string =>
    Object.entries(fields)
      .filter(([path]) => !searched.has(path))
      .map(([, words]) => words)
      .join(", ");
  const network = list({
    "model.depth": `${model.depth} levels of downsampling`,
    "model.filters": `${model.filters} filters at the first level`,
    "model.kernel": `kernels of ${model.kernel} voxels a side`,
    "model.norm": `${model.norm} norm`,
  });
  const training = list({
    "train.epochs": `${train.epochs} epochs`,
    "train.batch_size_per_replica": `batches of ${train.batch_size_per_replica} volumes a replica`,
    "resources.replicas": resources.replicas === 1 ? "one replica" : `${resources.replicas} replicas`,
    "train.optimizer": `optimiser ${train.optimizer}`,
    "train.learning_rate": `learning rate ${train.learning_rate}`,
    "train.schedule": `schedule ${train.schedule}`,
    "train.loss": `loss ${text(String(train.loss))}`,
    "train.precision": train.precision,
    "train.seed": `seed ${train.seed}`,
  });
  return [
    `The network was a 3D U-Net${network === "" ? "" : ` (${network})`}.`,
    `Training, where not searched: ${training}.`,
  ];
}

function dataSentence({ data }: RunFacts): string {
  const own = data?.distmis;
  if (data === null || own === undefined) return "The data set's own description was not found.";
  const [channels, ...shape] = own.image_shape;
  const { fold, split, labels } = own.options;
  const parts = fold === null ? `split ${split.join(" : ")}` : `fold ${fold}`;
  const spacing =
    own.preprocessing.spacing === null ? "" : `, resampled to ${own.preprocessing.spacing.join(" × ")} mm`;
  const copies = own.options.augment === 0 ? "" : ", augmented copies of training volumes included";
  const left = own.skipped.length === 0 ? "" : `; ${own.skipped.length} unusable volumes were left out`;
  const classes = Object.values(own.classes).map(text).join(", ");
  return (
    `Data set ${text(own.name)}: ${data.train_size} training, ${data.valid_size} validation and ${data.test_size} test volumes (${parts}${copies})${left}; ` +
    `${channels} ${channels === 1 ? "channel" : "channels"} (${own.modalities.map(text).join(", ")}) of ${shape.join(" × ")} voxels${spacing}, each standardised to mean 0 and deviation 1; ` +
    `labels ${labels} (${classes}).`
  );
}

function costSentence({ nodes, gpus, devices }: RunFacts, { wallSeconds, gpuSeconds, startedAt }: RunAnalysis): string {
  const on = `${nodes.length} ${nodes.length === 1 ? "node" : "nodes"} (${nodes.map(text).join(", ")})`;
  const models = devices.length === 0 ? "" : ` (${devices.map(text).join(", ")})`;
  const hardware =
    gpus === 0 ? `on the CPUs${models} of ${on}` : `on ${gpus} ${gpus === 1 ? "GPU" : "GPUs"}${models} of ${on}`;
  const hours = gpuSeconds === 0 ? "" : ` and ${Number((gpuSeconds / SECONDS_AN_HOUR).toPrecision(3))} GPU hours`;
  return `The run began on ${startedAt.slice(0, 10)} and took ${formatSeconds(wallSeconds)} of wall time${hours} ${hardware}.`;
}

function versionSentence({ versions }: RunFacts): string {
  if (versions === null) return "The versions of the programs were not recorded.";
  const named = Object.entries(versions).map(([name, version]) => `${text(name)} ${text(version)}`);
  return `Software: ${named.join(", ")}.`;
}
