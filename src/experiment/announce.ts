/** What a run says when it begins. */
import type { Experiment } from "../config/index.ts";
import { hasEnded, type RunFolder, runFiles } from "../run-folder/index.ts";
import { type RunEvent, remark } from "./events.ts";
import { extensionInWords } from "./extension-in-words.ts";
import { plannedTrials } from "./planned.ts";

export async function announce(
  folder: RunFolder,
  experiment: Experiment,
  emit: (event: RunEvent) => Promise<void>,
): Promise<void> {
  const { metric, mode } = experiment.search;
  const time = new Date().toISOString();
  await emit({
    type: "run_started",
    time,
    name: experiment.name,
    runDir: folder.dir,
    trials: plannedTrials(folder.state, experiment),
    endedBefore: [...folder.state.trials.values()].filter(hasEnded).length,
    continued: folder.continued,
    metric,
    mode,
  });
  if (folder.torn !== null) {
    const text = `${runFiles.journal(folder.dir)}: dropped its last record (${folder.torn}), left over from a crash`;
    await emit(remark(text));
  }
  for (const text of await extensionInWords(folder, experiment)) await emit(remark(text));
}
