/** What a finished search leaves for others: the model of its best trial. */
import path from "node:path";
import type { Experiment } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { checkModelFolder, exportModel, modelSource } from "../model-folder/index.ts";
import type { RunResults } from "../run-folder/index.ts";
import { runFiles } from "../run-folder/index.ts";

/** The model folder that a finished run has left, absolute; null if it has none. */
export async function modelOf(runDir: string): Promise<string | null> {
  const dir = runFiles.model(runDir);
  return checkModelFolder(dir).then(
    () => dir,
    () => null,
  );
}

/**
 * Writes the model folder of a finished run unless it is there already, of the same trial and epoch. A model that can't be written is no reason to lose a run:
 * `problem` is then a line for a person.
 */
export async function leaveModel(
  { state, best, runDir }: Pick<RunResults, "state" | "best" | "runDir">,
  { trainer }: Experiment,
): Promise<{ model: string | null; problem: string | null }> {
  // A trainer of the user's own writes what it likes.
  if (state !== "finished" || !best?.best?.checkpoint || trainer.module !== undefined)
    return { model: null, problem: null };
  const model = runFiles.model(runDir);
  try {
    const there = await modelSource(model);
    // An extended run may have found a better one.
    if (there?.trial !== best.trial || there.epoch !== best.best.epoch) {
      await exportModel({ checkpoint: path.join(best.dir, best.best.checkpoint), output: model, overwrite: true });
    }
    return { model, problem: null };
  } catch (error) {
    if (!(error instanceof DistmisError)) throw error;
    return { model: null, problem: `no model folder was written: ${error.message}` };
  }
}
