/** Where a trial begins: at its last checkpoint that can be read, else at its seed. */
import path from "node:path";
import { DistmisError, messageOf } from "../errors/index.ts";
import { initialState, type Network, readCheckpoint, stateTensors } from "../model/index.ts";
import type { TensorFlow } from "../tensorflow/index.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT, type Progress } from "./save.ts";
import { NO_STANDING } from "./standing.ts";
import type { TrialContext } from "./task.ts";

/** The beginning of a trial that nobody has trained. */
function fromSeed(runtime: TensorFlow, network: Network, { config }: TrialContext): Progress {
  return { state: initialState(runtime, network, config.train), epoch: 0, step: 0, standing: NO_STANDING };
}

/**
 * The caller disposes of the state. Of several replicas only rank 0 looks for checkpoints; the others are told its beginning, see
 * sameBeginning.
 */
export async function beginningOf(trial: TrialContext, runtime: TensorFlow, network: Network): Promise<Progress> {
  if (trial.rank > 0) return fromSeed(runtime, network, trial);
  const { train, model } = trial.config;
  for (const name of [LAST_CHECKPOINT, BEST_CHECKPOINT]) {
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
      };
    } catch (error) {
      if (!(error instanceof DistmisError)) throw error;
      // No checkpoint is the ordinary beginning; a damaged one is said.
      if (error.code !== "FILE_UNUSABLE") console.error(`checkpoint not used: ${messageOf(error)}`);
    }
  }
  return fromSeed(runtime, network, trial);
}
