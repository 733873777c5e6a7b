/** What all benchmarks share: running both sides in turn, medians, and one line of JSON for each result. */
import { execFile } from "node:child_process";
import os from "node:os";
import { promisify } from "node:util";

export interface Result {
  bench: string;
  /** "METRIC, WORKLOAD[, vs PEER]" */
  case: string;
  ours: number;
  peer: number | null;
  /** ours / peer, lower is better; null without a peer. */
  ratio: number | null;
  unit: string;
}

/** A side of a comparison: a program that prints one line of JSON with its samples. */
export interface Side {
  command: readonly string[];
  environment?: Readonly<Record<string, string>>;
}

export interface Sample {
  /** Each measured repetition. */
  seconds: number[];
  /** Largest resident size of the process. */
  peakMegabytes: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  if (low === undefined || high === undefined) throw new Error("no values");
  return (low + high) / 2;
}

async function runSide({ command, environment }: Side): Promise<Sample> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error("a side without a command");
  const options = { env: { ...process.env, ...environment }, maxBuffer: 2 ** 24 };
  const { stdout } = await promisify(execFile)(program, args, options);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/** Runs the sides in turn, A B C A B C, each in a process of its own; returns the samples of each side. */
export async function inTurn<K extends string>(sides: Record<K, Side>, rounds: number): Promise<Record<K, Sample[]>> {
  const names = Object.keys(sides) as K[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as Sample[]])) as Record<K, Sample[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) samples[name].push(await runSide(sides[name]));
  }
  return samples;
}

/** Median of all measured repetitions of a side. */
export const seconds = (side: readonly Sample[]): number => median(side.flatMap((sample) => sample.seconds));

/** Largest peak of a side, in MB. */
export const memory = (side: readonly Sample[]): number => Math.max(...side.map((sample) => sample.peakMegabytes));

/** Ours against a peer. */
export function compared(bench: string, name: string, ours: number, peer: number, unit: string): Result {
  return { bench, case: name, ours, peer, ratio: ours / peer, unit };
}

/** Prints the results as they come, as a table or as lines of JSON. */
export function printer(title: string): (result: Result) => void {
  const json = process.argv.includes("--json");
  if (!json)
    console.log(
      `${title}\n${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.availableParallelism()} CPUs, Node ${process.version}\n`,
    );
  const number = (value: number | null) => (value === null ? "-" : value.toPrecision(4)).padStart(10);
  if (!json) console.log(`${"".padEnd(58)}${"ours".padStart(10)}${"peer".padStart(10)}${"ratio".padStart(10)}`);
  return (result) => {
    if (json) console.log(JSON.stringify(result));
    else
      console.log(
        `${`${result.case} [${result.unit}]`.padEnd(58)}${number(result.ours)}${number(result.peer)}${number(result.ratio)}`,
      );
  };
}
