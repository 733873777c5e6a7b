/** Where a trial begins: at its newest checkpoint that can be read, else at its seed. */
import path from "node:path";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { removeTemporary } from "../files/index.ts";
import { initialState, type Network, readCheckpoint, stateTensors } from "../model/index.ts";
import { checkpointFiles, previewFiles } from "../run-folder/index.ts";
import type { TensorFlow } from "../tensorflow/index.ts";
import type { Progress } from "./save.ts";
import { NO_STANDING } from "./standing.ts";
import type { TrialContext } from "./task.ts";

/** The beginning of a trial that nobody has trained. */
function fromSeed(runtime: TensorFlow, network: Network, { config }: TrialContext): Progress {
  return { state: initialState(runtime, network, config.train), epoch: 0, step: 0, standing: NO_STANDING, reports: [] };
}

/**
 * The caller disposes of the state. Of several replicas only rank 0 looks for checkpoints; the others are told its beginning, see
 * sameBeginning.
 */
export async function beginningOf(trial: TrialContext, runtime: TensorFlow, network: Network): Promise<Progress> {
  if (trial.rank > 0) return fromSeed(runtime, network, trial);
  const { train, model } = trial.config;
  // What an attempt that was killed has left.
  for (const dir of [checkpointFiles.dir, previewFiles.dir]) await removeTemporary(path.join(trial.dir, dir));
  let damaged = false;
  for (const name of [checkpointFiles.last, checkpointFiles.previous, checkpointFiles.best]) {
    const file = path.join(trial.dir, name);
    try {
      const { stored, facts } = await readCheckpoint(file, () => network);
      if (JSON.stringify(facts.model) !== JSON.stringify(model)) {
        throw new DistmisError("DATA_INVALID", `${file}: belongs to another model configuration`);
      }
      console.log(`continues after epoch ${facts.epoch} from ${file}`);
      return {
        state: stateTensors(runtime.tf, stored, train),
        epoch: facts.epoch,
        step: facts.step,
        standing: { best: facts.best, kept: facts.kept, progress: facts.progress },
        reports: facts.reports,
      };
    } catch (error) {
      if (!(error instanceof DistmisError)) throw error;
      // No checkpoint is the ordinary beginning; one that is damaged is said.
      if (hasErrno(error.cause, "ENOENT")) continue;
      damaged = true;
      console.error(`checkpoint not used: ${messageOf(error)}`);
    }
  }
  if (damaged) console.error("no checkpoint can be used: begins again at epoch 1");
  return fromSeed(runtime, network, trial);
}
