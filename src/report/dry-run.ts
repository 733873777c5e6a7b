/** What a run would do, for the terminal. */
import type { DryRun, DryTrial, Pace } from "../experiment/index.ts";
import { formatParameters, formatSeconds, printable } from "./format.ts";

const DEFAULT_ROWS = 40;
const HOUR = 3600;

/** The space, the trials (the first `rows` of them, the rest is counted), and the estimate; no newline at the end. */
export function dryRunText(run: DryRun, rows = DEFAULT_ROWS): string {
  const { name, sampler, total, toRun, ended, runDir, trials, space } = run;
  const many = total === null ? "trials without a bound" : plural(total, "trial");
  const before = ended === 0 ? "" : `, ${ended} ended before`;
  const lines = [`run ${name}: ${many} by sampler ${sampler}${before}; ${runDir} (nothing is started or written)`];
  if (space.length > 0) lines.push("search space:");
  const width = Math.max(0, ...space.map(({ field }) => field.length));
  for (const { field, values, when } of space) {
    lines.push(`  ${field.padEnd(width)}  ${values}${when === "" ? "" : `, when ${when}`}`);
  }
  lines.push(...limitLines(run), "trials:", ...trials.slice(0, rows).map((trial) => `  ${trialLine(trial)}`));
  if (trials.length > rows) lines.push(`  then ${trials.length - rows} more`);
  if (toRun === null || toRun > trials.length) {
    const open = toRun === null ? "others" : plural(toRun - trials.length, "trial");
    lines.push(`  ${trials.length === 0 ? "" : "then "}${open} that sampler ${sampler} draws later`);
  } else if (toRun === 0) lines.push("  none: this run has ended");
  return printableLines(toRun === 0 ? lines : [...lines, ...estimateLines(run)]);
}

function limitLines({ limits }: DryRun): string[] {
  const shown = Object.entries(limits).flatMap(([name, limit]) => {
    if (limit === undefined) return [];
    return typeof limit === "number" ? `${name} ${limit}` : `${name} ${limit.trials} trials by ${limit.min_delta}`;
  });
  return shown.length === 0 ? [] : [`limits: ${shown.join(", ")}`];
}

function trialLine({ trial, parameters, replicas, epochs, seconds }: DryTrial): string {
  const parts = [
    trial,
    formatParameters(parameters),
    plural(replicas, "replica"),
    epochs === null ? "" : plural(epochs, "epoch"),
    seconds === null ? "" : formatSeconds(seconds),
  ];
  return parts.filter((part) => part !== "").join("  ");
}

function estimateLines({ estimate, resources }: DryRun): string[] {
  const { paces, gpuHours, wallHours, concurrency, remarks } = estimate;
  const lines = [
    `each replica has ${resources.gpus} GPU and ${resources.cpus === "auto" ? "a share of the" : resources.cpus} CPU`,
  ];
  lines.push(...paces.map(paceLine));
  const parts: string[] = [];
  if (gpuHours !== null && resources.gpus > 0) parts.push(`${hours(gpuHours)} GPU hours`);
  if (wallHours !== null)
    parts.push(`${formatSeconds(wallHours * HOUR)} with ${plural(concurrency ?? 0, "trial")} at once`);
  if (parts.length > 0) lines.push(`estimate: ${parts.join(", ")}`);
  return [...lines, ...remarks];
}

function paceLine({ replicas, secondsPerEpoch, secondsBeside, trials, run }: Pace): string {
  const each = `${formatSeconds(secondsPerEpoch)} an epoch and ${formatSeconds(secondsBeside)} beside`;
  return `measured: ${each} with ${plural(replicas, "replica")}, by ${plural(trials, "trial")} in ${run}`;
}

function hours(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2);
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function printableLines(lines: readonly string[]): string {
  return lines.map(printable).join("\n");
}
