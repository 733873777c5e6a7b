/**
 * A trial that waits or reports. `trainer.parameters`: `index`, the trial's number from 1; `plan`, a JSON file with one entry a
 * trial: seconds to wait before the only report; or the name of a gate, at which all trials of that name wait for each other; or
 * { seconds, rate }, in which it reports so many times a second, or as fast as it may.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const GATE_POLL_MS = 10;
const REPORT_POLL_MS = 10;
const plans = new Map();

function planOf(file) {
  if (!plans.has(file)) plans.set(file, JSON.parse(readFileSync(file, "utf8")));
  return plans.get(file);
}

export default async function (trial) {
  const { index, plan: file } = trial.config.trainer.parameters;
  const plan = planOf(file);
  const entry = plan[index - 1];
  if (typeof entry === "object") return reportFor(trial, entry);
  if (typeof entry === "number") {
    if (entry > 0) await delay(entry * 1000);
  } else {
    const gate = `${file}.${entry}`;
    const all = plan.filter((other) => other === entry).length;
    mkdirSync(gate, { recursive: true });
    writeFileSync(path.join(gate, String(index)), "");
    while (readdirSync(gate).length < all) await delay(GATE_POLL_MS);
  }
  await trial.report({
    epoch: 1,
    epochs: 1,
    metrics: { score: index },
    seconds: 0,
    volumesPerSecond: 0,
    checkpoint: "",
  });
  return { stopped: false, metrics: {} };
}

async function reportFor(trial, { seconds, rate = Number.POSITIVE_INFINITY }) {
  const begin = performance.now();
  const elapsed = () => (performance.now() - begin) / 1000;
  let stopped = false;
  for (let epoch = 1; elapsed() < seconds && !stopped; epoch++) {
    while (epoch > rate * elapsed()) await delay(REPORT_POLL_MS);
    const metrics = { loss: 1 / epoch, score: Math.sin(epoch) };
    await trial.report({ epoch, epochs: 0, metrics, seconds: 0.001, volumesPerSecond: 0, checkpoint: "" });
    stopped = trial.stopRequested();
  }
  return { stopped, metrics: {} };
}
