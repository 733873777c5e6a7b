import type { LoadOptions } from "../index.ts";
import type { ExperimentArguments } from "./run-options.ts";

/** What the command line changes in an experiment file. */
export function loadOptions(
  args: Pick<ExperimentArguments, "set" | "dataset-dir" | "stage-to-local" | "stage-limit">,
): LoadOptions {
  const { set, "dataset-dir": datasetDir, "stage-to-local": stageDir, "stage-limit": limit } = args;
  return {
    ...(set === undefined ? {} : { set }),
    ...(datasetDir === undefined ? {} : { datasetDir }),
    ...(stageDir === undefined
      ? {}
      : {
          stage: {
            ...(stageDir === "" ? {} : { dir: stageDir }),
            ...(limit === undefined ? {} : { limit_gigabytes: limit }),
          },
        }),
  };
}
