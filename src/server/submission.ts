import path from "node:path";
import { defineExperiment, type Experiment } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { checkInputs } from "../experiment/index.ts";

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
