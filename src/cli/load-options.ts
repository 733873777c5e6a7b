import type { Experiment, LoadOptions } from "../index.ts";
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

/**
 * Says that nothing will be copied, where that was asked for and there are no data: a profile asks for all experiments.
 * @param stage `--stage-to-local`
 */
export function sayIfUnstaged({ data, search }: Experiment, stage: string | undefined): void {
  if (stage === undefined || data !== undefined || "data.dir" in search.space) return;
  process.stderr.write("nothing is copied to the nodes (--stage-to-local): the experiment names no data.dir\n");
}
