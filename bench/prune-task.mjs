/**
 * Steps of a millisecond. An even trial reports once, worse than any, notes when, and would go on for long: it is to be pruned.
 * Each trial notes the moment of its first step. Times are of one clock, that of the machine.
 */
import { appendFileSync } from "node:fs";

const step = () => new Promise((resolve) => setTimeout(resolve, 1));
const now = () => performance.timeOrigin + performance.now();

export default {
  async run(trial) {
    const { log } = trial.config.trainer.parameters;
    const number = Number(trial.trialId);
    await step();
    const first = now();
    const bad = number % 2 === 0;
    const report = async (epoch, val_dice) =>
      trial.report({ epoch, epochs: 2, metrics: { val_dice }, seconds: 0, volumesPerSecond: 0, checkpoint: "" });
    const reported = now();
    await report(1, bad ? 0 : 1);
    if (bad) while (!trial.stopRequested()) await step();
    appendFileSync(log, `${JSON.stringify({ number, first, reported, stopped: now() })}\n`);
    return { stopped: bad, metrics: {} };
  },
};
