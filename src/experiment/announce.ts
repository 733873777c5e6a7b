/** What a run says when it begins. */
import type { Experiment } from "../config/index.ts";
import { bestEpoch, hasEnded, type RunFolder, type RunState, runFiles } from "../run-folder/index.ts";
import { type RunEvent, type RunStarted, remark } from "./events.ts";
import { extensionInWords } from "./extension-in-words.ts";
import { plannedTrials } from "./planned.ts";

/** The best trial so far, as the start of a run tells it. */
export function bestBefore(state: RunState, { search }: Experiment): RunStarted["best"] {
  let best: RunStarted["best"] = null;
  for (const trial of state.trials.values()) {
    const own = bestEpoch(trial, search.mode);
    if (own === null) continue;
    const isBetter = best === null || (search.mode === "max" ? own.value > best.value : own.value < best.value);
    if (isBetter) best = { trial: trial.id, value: own.value, epoch: own.epoch, parameters: trial.parameters };
  }
  return best;
}

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
    ...endedBefore(folder.state),
    continued: folder.continued,
    metric,
    mode,
    best: bestBefore(folder.state, experiment),
  });
  if (folder.torn !== null) {
    const text = `${runFiles.journal(folder.dir)}: dropped its last record (${folder.torn}), left over from a crash`;
    await emit(remark(text));
  }
  for (const text of await extensionInWords(folder, experiment)) await emit(remark(text));
}

/** What a run's start tells of its trials that have ended. */
export function endedBefore({ trials }: RunState): Pick<RunStarted, "endedBefore" | "failedBefore" | "prunedBefore"> {
  const ended = [...trials.values()].filter(hasEnded);
  const count = (state: "failed" | "pruned"): number => ended.filter((trial) => trial.state === state).length;
  return { endedBefore: ended.length, failedBefore: count("failed"), prunedBefore: count("pruned") };
}
