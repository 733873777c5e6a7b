/** What SLURM says of a job. */
import { existsSync } from "node:fs";
import path from "node:path";
import { DistmisError } from "../errors/index.ts";
import { hostNames, slurm } from "./commands.ts";
import type { Job } from "./jobs.ts";

export interface JobState {
  /** PENDING, RUNNING, COMPLETED, TIMEOUT and so on; UNKNOWN for one that SLURM has forgotten. */
  state: string;
  /** Why it waits, or how it ended, in SLURM's word; null if there is none. */
  reason: string | null;
  /** How often it was started again; 0 once the controller has forgotten it. */
  restarts: number;
  nodes: number | null;
  /** In SLURM's short form, `node[1-4]`; null before it has some. */
  nodeList: string | null;
  /** The exit code of its script; null before its end. */
  exitCode: number | null;
  /** Seconds until its time limit; null unless it runs and has one. */
  secondsLeft: number | null;
  /** Whether another job has been given its nodes: it runs for a grace time, or ends. */
  preempted: boolean;
  /** ISO 8601: when it was started, or is expected to be; null if SLURM can't tell. */
  startAt: string | null;
}

/** States in which a job does nothing any more, and will not. */
const ENDED = new Set([
  "BOOT_FAIL",
  "CANCELLED",
  "COMPLETED",
  "DEADLINE",
  "FAILED",
  "NODE_FAIL",
  "OUT_OF_MEMORY",
  "PREEMPTED",
  "REVOKED",
  "TIMEOUT",
  "UNKNOWN",
]);

export function jobHasEnded({ state }: Pick<JobState, "state">): boolean {
  return ENDED.has(state);
}

const AT_ONCE_MILLISECONDS = 2_000;

const FORGOTTEN: JobState = {
  state: "UNKNOWN",
  reason: null,
  restarts: 0,
  nodes: null,
  nodeList: null,
  exitCode: null,
  secondsLeft: null,
  preempted: false,
  startAt: null,
};

/** Where a job is. */
export interface JobHosts {
  state: string;
  /** Whether it has a script, which runs on `batchHost`. */
  isBatch: boolean;
  batchHost: string;
  /** The nodes that it has now; none unless it runs. */
  hosts: string[];
}

/** @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE */
export async function jobHosts(job: string): Promise<JobHosts> {
  const fields = fieldsOf(await slurm("scontrol", ["show", "job", job]));
  const state = fields.get("JobState") ?? "UNKNOWN";
  const hosts = state === "RUNNING" ? await hostNames(fields.get("NodeList") ?? "") : [];
  return { state, isBatch: hasScript(fields), batchHost: fields.get("BatchHost") ?? "", hosts };
}

/** It counts the starts that have failed, too. */
function hasScript(fields: ReadonlyMap<string, string>): boolean {
  return !["0", undefined].includes(fields.get("BatchFlag"));
}

/** What sbatch was given. */
export interface BatchScript {
  /** Absolute. */
  file: string;
  args: readonly string[];
  /** Of an array, which of its tasks the job is; else null. */
  task: string | null;
}

/**
 * What was submitted as a job; null if it was no script, or that can't be told from its arguments.
 * @param candidates the arguments that it may have got
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function batchScript(
  job: string,
  candidates: readonly (readonly string[])[],
): Promise<BatchScript | null> {
  const fields = fieldsOf(await slurm("scontrol", ["show", "job", job]));
  const command = fields.get("Command") ?? "";
  if (!hasScript(fields) || !path.isAbsolute(command)) return null;
  for (const args of [...candidates, []]) {
    // SLURM joins them by blanks.
    const end = args.map((word) => ` ${word}`).join("");
    const file = command.slice(0, command.length - end.length);
    if (command.endsWith(end) && existsSync(file)) return { file, args, task: fields.get("ArrayTaskId") ?? null };
  }
  return null;
}

/**
 * Asks the controller, and where it has forgotten the job, the accounting if there is one.
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function jobState({ job, cluster, script }: Pick<Job, "job" | "cluster" | "script">): Promise<JobState> {
  const where = cluster === null ? [] : [`--clusters=${cluster}`];
  const text = await slurm("scontrol", [...where, "show", "job", job]).catch((error: unknown) => {
    if (error instanceof DistmisError && /Invalid job id/i.test(error.message)) return null;
    throw error;
  });
  if (text !== null) {
    const fields = fieldsOf(text);
    // A script's arguments follow it.
    const isOurs = script === null || `${fields.get("Command")} `.startsWith(`${script} `);
    if (isOurs) return stateOf(fields);
    return FORGOTTEN;
  }
  return accounted(job, where);
}

/** Lines of `NAME=VALUE NAME=VALUE`; the value that may hold spaces, Command, has a line of its own. */
function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const alone = /^\s*(Command|StdOut|StdErr|WorkDir|Comment)=(.*)$/.exec(line);
    if (alone !== null) fields.set(alone[1] ?? "", alone[2] ?? "");
    else for (const [, name = "", value = ""] of line.matchAll(/(\S+?)=(\S*)/g)) fields.set(name, value);
  }
  return fields;
}

function stateOf(fields: ReadonlyMap<string, string>): JobState {
  const word = (name: string): string | null => {
    const value = fields.get(name) ?? "";
    return ["", "(null)", "None", "N/A", "Unknown", "UNLIMITED"].includes(value) ? null : value;
  };
  const state = word("JobState") ?? "UNKNOWN";
  const time = (name: string): number | null => {
    // The host's own time, as SLURM's programs print it.
    const at = Date.parse(word(name) ?? "");
    return Number.isNaN(at) ? null : at;
  };
  const start = time("StartTime");
  const end = state === "RUNNING" && word("TimeLimit") !== null ? time("EndTime") : null;
  const nodes = Number.parseInt(word("NumNodes") ?? "", 10);
  return {
    state,
    reason: word("Reason"),
    restarts: Number(word("Restarts") ?? 0),
    nodes: Number.isNaN(nodes) ? null : nodes,
    nodeList: word("NodeList"),
    exitCode: ENDED.has(state) ? exitCodeOf(word("ExitCode")) : null,
    secondsLeft: end === null ? null : Math.max(0, Math.round((end - Date.now()) / 1000)),
    preempted: isPreempted(state, time),
    startAt: start === null ? null : new Date(start).toISOString(),
  };
}

/** Whether the time of its preemption is that of its present state: what was suspended for another job keeps it. */
function isPreempted(state: string, time: (name: string) => number | null): boolean {
  const preempted = time("PreemptTime");
  if (preempted === null) return false;
  if (state === "RUNNING") return (time("SuspendTime") ?? 0) < preempted;
  // Without a grace time. With one, it may be cancelled in that.
  return state === "COMPLETING" && Math.abs((time("EndTime") ?? 0) - preempted) <= AT_ONCE_MILLISECONDS;
}

/** `code:signal`, as a shell counts them. */
function exitCodeOf(text: string | null): number | null {
  const [code = 0, signal = 0] = (text ?? "").split(":").map(Number);
  if (text === null) return null;
  return signal > 0 ? 128 + signal : code;
}

/** An unknown column is an error of the whole, and not all versions count restarts. */
const ACCOUNTED = ["State", "ExitCode", "NNodes", "NodeList"] as const;

async function accounted(job: string, where: readonly string[]): Promise<JobState> {
  const text = await slurm("sacct", [...where, "-n", "-P", "-X", "-j", job, "-o", ACCOUNTED.join(",")]).catch(() => "");
  const [state = "", exitCode = "", nodes = "", nodeList = ""] = text.trim().split("\n")[0]?.split("|") ?? [];
  if (state === "") return FORGOTTEN;
  return {
    ...FORGOTTEN,
    // "CANCELLED by 1000"
    state: state.split(" ")[0] ?? state,
    exitCode: exitCodeOf(exitCode),
    nodes: Number(nodes) || null,
    nodeList: nodeList || null,
  };
}
