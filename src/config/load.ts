/** Experiment files and objects -> valid experiments. */
import path from "node:path";
import { DistmisError } from "../errors/index.ts";
import { checkBytes } from "./check-bytes.ts";
import { checkSpace } from "./check-space.ts";
import { type FieldPath, leafPaths, nearestPath, nodeAt, schemaNode } from "./describe.ts";
import { type ConfigDocument, parseText, readDocument } from "./document.ts";
import { expandFlat, type FlatMode, isFlat } from "./flat.ts";
import { isPlainObject, type Problem, problemsOf, setValue, splitPath, throwProblems } from "./problems.ts";
import { type Experiment, type ExperimentInput, experimentSchema } from "./schema.ts";

export interface LoadOptions {
  /** Overrides as on the command line, `path=value`, the value in YAML: `train.learning_rate=1e-3`. */
  set?: readonly string[];
  /** Folder of the TFRecords; takes the place of `data.dir`. */
  datasetDir?: string;
  /** Takes the place of `data.stage`; without data, which a trainer module may do without, there is nothing to stage. */
  stage?: { dir?: string; limit_gigabytes?: number };
  /** Which of DistMIS's programs a flat file is for; default: what its keys say. */
  flatMode?: FlatMode;
}

interface Override {
  keys: string[];
  /** As it was given, for messages. */
  label: string;
  value: unknown;
}

const root = schemaNode(experimentSchema);

/**
 * Reads a YAML or JSON experiment, or DistMIS's flat JSON. Paths in the file (`data.dir`, `trainer.module`) are relative
 * to the file's folder; in overrides and `datasetDir` they are relative to the working directory. All come out absolute.
 *
 * @throws DistmisError FILE_UNUSABLE, or CONFIG_INVALID with every problem on a line of its own: file, line, field, what
 * was expected, what was found.
 */
export async function loadExperiment(file: string, options: LoadOptions = {}): Promise<Experiment> {
  const document = await readDocument(file);
  const staged = stageOverride(options.stage);
  const overrides = [...(options.set ?? []).map(parseOverride), ...datasetOverride(options.datasetDir), ...staged];
  const where = (fieldPath: FieldPath): string => {
    const override = overrides.findLast(({ keys }) => keys.every((key, index) => fieldPath[index] === key));
    if (override !== undefined) return override.label;
    const line = document.lineOf(fieldPath);
    return line === undefined ? file : `${file}:${line}`;
  };
  const data = sections(document, where, options.flatMode);
  for (const override of overrides)
    if (!staged.includes(override) || namesData(data)) setValue(data, override.keys, override.value);
  const folder = path.dirname(path.resolve(file));
  const given = (field: string): boolean =>
    overrides.some(({ keys }) => field === keys.join(".") || field.startsWith(`${keys.join(".")}.`));
  return validate(data, where, (field) => (given(field) ? process.cwd() : folder));
}

/** Validates an experiment given as an object. Paths are relative to the working directory. Throws CONFIG_INVALID. */
export function defineExperiment(input: ExperimentInput): Experiment {
  return validate(
    structuredClone(input),
    () => "experiment",
    () => process.cwd(),
  );
}

function sections(
  document: ConfigDocument,
  where: (path: FieldPath) => string,
  flatMode: FlatMode | undefined,
): Record<string, unknown> {
  let { data } = document;
  if (isFlat(data)) {
    const expanded = expandFlat(data, flatMode);
    if ("problems" in expanded) throwProblems(expanded.problems, where);
    else data = expanded.input;
  }
  if (!isPlainObject(data))
    throwProblems([{ path: [], message: "expected an experiment (a section of keys and values)" }], where);
  return isPlainObject(data) ? data : {};
}

function namesData({ data, search }: Record<string, unknown>): boolean {
  const space = isPlainObject(search) ? search.space : undefined;
  return data !== undefined || (isPlainObject(space) && "data.dir" in space);
}

function validate(data: unknown, where: (path: FieldPath) => string, base: (field: string) => string): Experiment {
  const parsed = experimentSchema.safeParse(data);
  if (!parsed.success) {
    throwProblems(problemsOf(parsed.error, data, root), where);
    throw parsed.error;
  }
  const experiment = parsed.data;
  const problems: Problem[] = [...checkSpace(experiment), ...checkBytes(experiment)];
  const dirs = experiment.search.space["data.dir"];
  const searchesData = dirs !== undefined && dirs.when === undefined;
  if (experiment.data === undefined && experiment.trainer.module === undefined && !searchesData) {
    problems.push({
      path: ["data", "dir"],
      message: `expected the folder that \`distmis tfrecord\` wrote, found nothing; name it there or with --dataset-dir`,
    });
  }
  throwProblems(problems, where);
  return withAbsolutePaths(experiment, base);
}

function withAbsolutePaths(experiment: Experiment, base: (field: string) => string): Experiment {
  const { data, trainer, search } = experiment;
  if (data !== undefined) data.dir = path.resolve(base("data.dir"), data.dir);
  if (data?.stage?.dir !== undefined) data.stage.dir = path.resolve(base("data.stage.dir"), data.stage.dir);
  if (trainer.module !== undefined) trainer.module = path.resolve(base("trainer.module"), trainer.module);
  const { warm_start: warm, space } = search;
  warm.runs = warm.runs.map((run) => path.resolve(base("search.warm_start.runs"), run));
  // Wherever a value of data.dir is named: on its axis, in conditions, in configurations.
  const resolved = (dir: unknown): string => path.resolve(base("search.space.data.dir"), String(dir));
  const dirs = space["data.dir"];
  if (dirs?.grid !== undefined) dirs.grid = dirs.grid.map(resolved);
  if (dirs?.choice !== undefined) dirs.choice = dirs.choice.map(resolved);
  for (const values of [...Object.values(space).map(({ when }) => when ?? {})]) {
    if (values["data.dir"] !== undefined) values["data.dir"] = values["data.dir"].map(resolved);
  }
  for (const each of warm.configurations) if ("data.dir" in each) each["data.dir"] = resolved(each["data.dir"]);
  return experiment;
}

function parseOverride(text: string): Override {
  const split = text.indexOf("=");
  const label = `--set ${text}`;
  if (split < 1) {
    throw new DistmisError("USAGE", `${label}: expected PATH=VALUE, for example --set train.learning_rate=1e-3`);
  }
  const field = text.slice(0, split).trim();
  const keys = splitPath(root, field);
  if (keys === undefined || nodeAt(root, keys) === undefined) {
    if (keys?.[0] === "trainer" && keys[1] === "parameters" && keys.length > 2) {
      return { keys, label, value: parseText(text.slice(split + 1), label).data };
    }
    const guess = nearestPath(field, leafPaths(root));
    throw new DistmisError(
      "CONFIG_INVALID",
      `${label}: unknown field ${field}; ${guess === undefined ? `expected one of ${leafPaths(root).join(", ")}` : `did you mean ${guess}?`}`,
    );
  }
  return { keys, label, value: parseText(text.slice(split + 1), label).data };
}

function datasetOverride(dir: string | undefined): Override[] {
  return dir === undefined ? [] : [{ keys: ["data", "dir"], label: `--dataset-dir ${dir}`, value: dir }];
}

function stageOverride(stage: LoadOptions["stage"]): Override[] {
  return stage === undefined ? [] : [{ keys: ["data", "stage"], label: "--stage-to-local", value: stage }];
}
