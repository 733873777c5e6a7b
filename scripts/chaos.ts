/**
 * `npm run chaos -- [--kills N] [--seed S] [--json]`: a real search on a Ray of two nodes while its processes are killed at
 * random moments; see docs/chaos.md. Ends with 1 if anything was lost, recorded twice, or came out otherwise than undisturbed;
 * then it keeps the run folders and says where.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { chaos, isSound } from "./chaos/index.ts";

/** 24 trials. */
const RATES = 6;

function fail(message: string): never {
  process.stderr.write(`chaos: ${message}\nusage: npm run chaos -- [--kills N] [--seed S] [--json]\n`);
  process.exit(2);
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value < 2 ** 31
    ? value
    : fail(`--${name} ${text}: expected a whole number of at least 1`);
}

function options() {
  try {
    return parseArgs({
      options: {
        kills: { type: "string", default: "100" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

const values = options();
const [kills, seed] = [wholeNumber("kills", values.kills), wholeNumber("seed", values.seed)];
const dir = mkdtempSync(path.join(tmpdir(), "chaos-"));
const say = (text: string): unknown => process.stderr.write(`${new Date().toISOString()} ${text}\n`);
let sound = false;
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
try {
  const result = await chaos({ kills, seed, dir, rates: RATES, say, signal: stop.signal });
  sound = isSound(result);
  if (values.json) console.log(JSON.stringify(result));
  else {
    const { killed, trials, searches, starts, lost, duplicated, epochs_repeated, equal, seconds } = result;
    const kinds = Object.entries(killed).map(([kind, times]) => `${times} ${kind}`);
    console.log(`${result.kills} kills of seed ${seed} in ${seconds} s: ${kinds.join(", ")}`);
    console.log(`${trials} trials in ${searches} searches, started ${starts} times:`);
    console.log(`${lost} lost, ${duplicated} recorded twice, ${epochs_repeated} epochs repeated;`);
    console.log(`results and weights are ${equal ? "those" : "NOT those"} of the undisturbed search`);
    for (const problem of result.problems) console.log(problem);
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
  say(stop.signal.reason.message);
} finally {
  if (sound || stop.signal.aborted) rmSync(dir, { recursive: true });
  else {
    process.stderr.write(`chaos: what is left for a look: ${dir}\n`);
  }
  if (!sound) process.exitCode = 1;
  // What waits for moments to kill need not come to its end.
  if (stop.signal.aborted) process.exit();
}
