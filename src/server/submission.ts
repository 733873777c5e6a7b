/** What a client hands in, checked before it is queued. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { defineExperiment, type Experiment } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { checkInputs } from "../experiment/index.ts";
import { type OpenOptions, planExtension, readRun, runFiles } from "../run-folder/index.ts";

/** A name cannot lead out of the server's folder, nor to the server's own files. */
const RUN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The folder of the run `name`. Errors: USAGE. */
export function runFolderOf(runsDir: string, name: string): string {
  if (!RUN_NAME.test(name)) {
    const shown = JSON.stringify(name.slice(0, 120));
    throw new DistmisError(
      "USAGE",
      `run ${shown}: expected a name of 1 to 100 letters, digits, '.', '_' or '-', the first one a letter or digit`,
    );
  }
  return path.join(runsDir, name);
}

/**
 * Reads an experiment as a client sent it, by this server's own schema, and looks for its data here.
 * @throws DistmisError CONFIG_INVALID, FILE_UNUSABLE
 */
export async function readSubmission(json: string): Promise<Experiment> {
  let experiment: Experiment;
  try {
    experiment = defineExperiment(JSON.parse(json));
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("CONFIG_INVALID", `expected an experiment as JSON: ${messageOf(error)}`, { cause: error });
  }
  await checkInputs(experiment).catch((error: unknown) => {
    if (!(error instanceof DistmisError)) throw error;
    throw new DistmisError(error.code, `on the server: ${error.message}`, { cause: error });
  });
  return experiment;
}

/**
 * Whether `experiment` can run in `dir`, or go on there: what would only show when its turn has come. Returns what is there.
 * @throws DistmisError RUN_REFUSED, FILE_UNUSABLE
 */
export async function checkFolder(
  dir: string,
  experiment: Experiment,
  options: OpenOptions,
): Promise<"new" | "unfinished" | "finished"> {
  if (existsSync(runFiles.journal(dir))) {
    const { state, owner } = await readRun(dir);
    if (owner !== null) {
      throw new DistmisError(
        "RUN_REFUSED",
        `${dir}: process ${owner.pid} on host ${owner.host} works on this run since ${owner.since}; wait for it, or take another name with --fresh`,
      );
    }
    const extension = planExtension(dir, state, experiment, options);
    return state.finished && extension === null ? "finished" : "unfinished";
  }
  const entries = await readdir(dir).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be used as a run folder: ${messageOf(error)}`, {
      cause: error,
    });
  });
  const foreign = entries.filter((entry) => !entry.startsWith("run.lock"));
  if (foreign.length > 0) {
    const found = foreign.slice(0, 3).join(", ");
    throw new DistmisError(
      "RUN_REFUSED",
      `${dir}: expected a run folder or none, found ${found} and no journal.jsonl; take another name with --fresh`,
    );
  }
  if (options.extend || options.retryFailed) {
    const option = options.extend ? "--extend" : "--retry-failed";
    throw new DistmisError("RUN_REFUSED", `${dir}: holds no run that ${option} could continue; start it without`);
  }
  return "new";
}
