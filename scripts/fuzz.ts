/**
 * `npm run fuzz -- [--count N] [--seed S] [--first N] [--json]`: files that are almost NIfTI, read by inspectNifti and
 * readNifti. Ends with 1 at the first case that hangs, crashes, is refused with anything but an error for people, or is
 * accepted though its file can't hold it; keeps that case's files and says how to repeat it.
 */
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Message } from "./fuzz/worker.ts";

/** Longest that a case may take; the slowest ones unpack a bomb up to where it is refused, within a second. */
const DEADLINE_SECONDS = 10;
/** Most memory that the process with both readers may take, Node's own 100 MB and the fuzzer's bomb included. */
const MAX_RSS_MB = 768;
/** Handles that Node itself may open meanwhile. */
const MAX_OPEN_FILES = 5;
const REASONS_SHOWN = 40;

interface Outcome {
  seed: number;
  checked: number;
  accepted: number;
  refused: number;
  /** Refusals by reason, numbers taken out. */
  reasons: Record<string, number>;
  slowest: { case: number; milliseconds: number };
  seconds: number;
  max_rss_mb: number;
  failure: { case: number; what: string; error: string; files: string; repeat: string } | null;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  process.stderr.write(`fuzz: --${name} ${text}: expected a whole number\n`);
  process.exit(2);
}

async function fuzz(seed: number, first: number, count: number, onCase: (done: number) => void): Promise<Outcome> {
  // In memory where that is possible.
  const dir = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "distmis-fuzz-"));
  const worker = join(import.meta.dirname, "fuzz/worker.ts");
  const child = fork(worker, [dir, seed, first, count].map(String), {
    execArgv: ["--import", import.meta.resolve("tsx")],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const start = performance.now();
  const reasons = new Map<string, number>();
  let [checked, accepted, maxRssMb, openFiles] = [0, 0, 0, 0];
  let slowest = { case: first, milliseconds: 0 };
  const failures: { case: number; what: string; error: string }[] = [];
  const fail = (error: string, what = "", index = first + checked): void => {
    failures.push({ case: index, what, error });
  };
  const watchdog = setTimeout(() => {
    fail(`hangs: not done after ${DEADLINE_SECONDS} s`);
    child.kill("SIGKILL");
  }, DEADLINE_SECONDS * 1000);
  child.on("message", (message: Message) => {
    watchdog.refresh();
    if (message.type === "failed") fail(message.error, message.what, message.index);
    else if (message.type === "ended") ({ maxRssMb, openFiles } = message);
    else {
      checked++;
      if (message.reason === null) accepted++;
      else reasons.set(message.reason, (reasons.get(message.reason) ?? 0) + 1);
      if (message.milliseconds > slowest.milliseconds) {
        slowest = { case: message.index, milliseconds: Math.round(message.milliseconds) };
      }
      onCase(checked);
    }
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on("close", (...how) => resolve(how));
  });
  clearTimeout(watchdog);
  if (code !== 0) fail(`the process ended with ${signal ?? `exit code ${code}`}`);
  if (checked < count) fail("the process ended before all cases were checked");
  if (maxRssMb > MAX_RSS_MB) fail(`${Math.round(maxRssMb)} MB of memory were taken, ${MAX_RSS_MB} are allowed`);
  if (openFiles > MAX_OPEN_FILES) fail(`${openFiles} files were left open`);
  const [failure] = failures;
  if (failure === undefined) rmSync(dir, { recursive: true });
  const sorted = [...reasons].sort(([, a], [, b]) => b - a);
  return {
    seed,
    checked,
    accepted,
    refused: checked - accepted,
    reasons: Object.fromEntries(sorted),
    slowest,
    seconds: Number(((performance.now() - start) / 1000).toFixed(1)),
    max_rss_mb: Math.round(maxRssMb),
    failure:
      failure === undefined
        ? null
        : { ...failure, files: dir, repeat: `npm run fuzz -- --seed ${seed} --first ${failure.case} --count 1` },
  };
}

function options() {
  try {
    return parseArgs({
      options: {
        count: { type: "string", default: "100000" },
        seed: { type: "string", default: "1" },
        first: { type: "string", default: "0" },
        json: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    process.stderr.write(
      `fuzz: ${error instanceof Error ? error.message : String(error)}\nusage: npm run fuzz -- [--count N] [--seed S] [--first N] [--json]\n`,
    );
    return process.exit(2);
  }
}

const values = options();
const count = wholeNumber("count", values.count);
const outcome = await fuzz(wholeNumber("seed", values.seed), wholeNumber("first", values.first), count, (done) => {
  if (done % 10_000 === 0) process.stderr.write(`fuzz: ${done} of ${count} cases\n`);
});
if (values.json) console.log(JSON.stringify(outcome, null, 1));
else {
  const { seed, checked, accepted, refused, reasons, slowest, seconds, max_rss_mb } = outcome;
  console.log(`${checked} cases of seed ${seed} in ${seconds} s: ${accepted} accepted, ${refused} refused.`);
  console.log(`Slowest: case ${slowest.case}, ${slowest.milliseconds} ms. Memory: ${max_rss_mb} MB at most.`);
  const entries = Object.entries(reasons);
  for (const [reason, times] of entries.slice(0, REASONS_SHOWN)) console.log(`${String(times).padStart(8)}  ${reason}`);
  if (entries.length > REASONS_SHOWN) console.log(`          and ${entries.length - REASONS_SHOWN} other reasons`);
}
if (outcome.failure !== null) {
  const { case: index, what, error, files, repeat } = outcome.failure;
  process.stderr.write(`fuzz: case ${index} failed (${what})\n${error}\nIts files: ${files}\nRepeat it: ${repeat}\n`);
  process.exitCode = 1;
}
