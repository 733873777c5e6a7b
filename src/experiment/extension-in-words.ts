/** What a run that was extended should know of its extension, for a person. */
import { access } from "node:fs/promises";
import path from "node:path";
import { type Experiment, trialConfig } from "../config/index.ts";
import { checkpointFiles, type RunFolder, runFiles } from "../run-folder/index.ts";

/** How many trials a line names. */
const MOST_NAMED = 10;

/** Nothing for a run that was not extended. */
export async function extensionInWords(folder: RunFolder, experiment: Experiment): Promise<string[]> {
  const { extension } = folder;
  if (extension === null) return [];
  const { changes, reopened } = extension;
  const lines = changes.map((change) => `extended: ${change}`);
  if (reopened.length === 0) return lines;
  lines.push(`${trials(reopened)} had ended and ${reopened.length === 1 ? "goes" : "go"} on`);
  const scheduled = reopened.filter((id) => hasSchedule(folder, experiment, id));
  if (changes.some((change) => change.startsWith("train.epochs:")) && scheduled.length > 0) {
    lines.push(
      `${trials(scheduled)}: the learning rate follows train.schedule over the new number of epochs from here on, and had followed it over the old one before; a trial that begins anew gets another result`,
    );
  }
  if (experiment.trainer.module === undefined) {
    const without = await withoutLast(folder.dir, reopened);
    if (without.length > 0) {
      lines.push(
        `${trials(without)}: the last checkpoint is gone (\`distmis gc\` removes it); they go on from their best epoch if that is kept, else from the beginning`,
      );
    }
  }
  return lines;
}

function trials(ids: readonly string[]): string {
  const named = ids.slice(0, MOST_NAMED).join(", ");
  const more = ids.length > MOST_NAMED ? ` and ${ids.length - MOST_NAMED} more` : "";
  return `${ids.length === 1 ? "trial" : "trials"} ${named}${more}`;
}

function hasSchedule({ state }: RunFolder, experiment: Experiment, id: string): boolean {
  const parameters = state.trials.get(id)?.parameters ?? {};
  return trialConfig(experiment, parameters).train.schedule !== "constant";
}

async function withoutLast(runDir: string, ids: readonly string[]): Promise<string[]> {
  const there = await Promise.all(
    ids.map((id) =>
      access(path.join(runFiles.trial(runDir, id), checkpointFiles.last)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return ids.filter((_, index) => !there[index]);
}
