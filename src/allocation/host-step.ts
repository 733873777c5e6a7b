/** One node's agent, as seen from where the search runs: a step of the job, started by `srun`, and started again when it ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../errors/index.ts";
import { entryCommand, moduleUrl } from "../paths/index.ts";
import type { Host } from "./allocation.ts";
import { BEAT_MILLISECONDS, LASTLY_MILLISECONDS, type StartNode, saidSchema } from "./messages.ts";

/** Agents end their nodes in less than a second; `srun` is asked, and killed, after these, later if it has more to do at its end. */
const [ASK_MILLISECONDS, KILL_MILLISECONDS] = [6_000, 8_000];
/** SLURM itself may say no for a while, for as long as a node is down. */
const [FIRST_PAUSE_MILLISECONDS, LONGEST_PAUSE_MILLISECONDS] = [2_000, 60_000];
const LAST_WORDS = 5;

export interface HostStep {
  readonly host: Host;
  /** Whether its node is part of the cluster, as its agent says. */
  readonly ready: boolean;
  /** Why it is not, if it has said so. */
  readonly reason: string | null;
  /** Hands the agent of a worker the head's address, now and after every start of the step. */
  join(address: string): void;
  /** Resolves when nothing of it is left on the node, or `srun` was killed. Idempotent. */
  close(): Promise<void>;
}

export interface HostEvents {
  ready(address: string, gpus: number): void;
  lost(reason: string): void;
}

/**
 * Variables that `srun` takes for options of its own, and that a job's own options have set: they would contradict those of a
 * step of one task a node (srun(1), "INPUT ENVIRONMENT VARIABLES").
 */
const JOBS_OPTIONS =
  /^SLURM_(NTASKS.*|NPROCS|TASKS_PER_NODE|CPUS_PER_(TASK|GPU)|TRES_(PER_TASK|BIND)|MEM_PER_.*|GPUS|GPUS_PER_.*|GPU_BIND|GRES|GRES_FLAGS|DISTRIBUTION|CPU_BIND.*|MEM_BIND.*|EXCLUSIVE|EXACT|OVERLAP|THREADS_PER_CORE|HINT|NODELIST|NNODES|NUM_NODES|STEP_.*|KILL_BAD_EXIT|WAIT|OPEN_MODE|THREAD_.*|LABELIO|UNBUFFEREDIO|STDIN.*)$/;

export function stepEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !JOBS_OPTIONS.test(name)));
}

/** Options of a step that has all of the job's share of one node. */
export function stepArguments({ name, cpus, gpus }: Host): string[] {
  const gres = gpus === null || gpus.count === 0 ? "none" : `gpu:${gpus.count}`;
  return [
    // Of a job that asked for a sum of GPUs (`--gpus`), a step is refused that does not say how many.
    ...(gpus?.ofSum ? [`--gres=${gres}`] : []),
    // Beside the batch script's own step, and others of the job.
    ...["--overlap", "--nodes=1", "--ntasks=1", `--nodelist=${name}`, `--cpus-per-task=${cpus}`, "--mem=0"],
    // Also in a job of `--export=NONE`, which says so to its steps.
    "--export=ALL",
    // Whose end does not end the job, and for which the loss of its node is not the loss of the others.
    ...["--no-kill", "--kill-on-bad-exit=0", "--wait=0", "--unbuffered"],
  ];
}

/** Starts the agent of a host, and keeps at it until `close`. A head is started once only. */
export function keepHost(host: Host, start: StartNode, events: HostEvents): HostStep {
  const closing = new AbortController();
  let ready = false;
  let reason: string | null = null;
  /** How far a start is that takes its time. */
  let slow: string | null = null;
  let head: string | null = null;
  let tell: (said: unknown) => void = () => {};
  let finish: () => void = () => {};

  const lost = (why: string): void => {
    [ready, slow] = [false, null];
    if (reason === why) return;
    reason = why;
    events.lost(why);
  };

  /** One step, from its start to its end; resolves with its last words. */
  const step = async (): Promise<string> => {
    const agent = entryCommand(moduleUrl("allocation/agent-main"));
    const child = spawn("srun", [...stepArguments(host), ...agent], {
      env: stepEnvironment(),
      stdio: ["pipe", "pipe", "pipe"],
      // Ctrl-C in the terminal is for the search to handle, which ends its nodes last.
      detached: true,
    });
    const words: string[] = [];
    child.stdin.on("error", () => {}); // It has ended; its exit tells.
    tell = (said) => child.stdin.write(`${JSON.stringify(said)}\n`);
    finish = () => child.stdin.end();
    tell(start);
    if (head !== null) tell({ address: head });
    const beat = setInterval(() => child.stdin.writable && child.stdin.write("\n"), BEAT_MILLISECONDS);
    if (closing.signal.aborted) finish();
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = saidSchema.safeParse(parse(line));
      if (!said.success) return;
      if (said.data.type === "lost") return lost(said.data.reason);
      if (said.data.type === "slow") {
        slow = said.data.reason;
        return;
      }
      [ready, reason, slow] = [true, null, null];
      events.ready(said.data.address, said.data.gpus);
    });
    createInterface({ input: child.stderr }).on("line", (line) => {
      words.push(line.trim());
      if (words.length > LAST_WORDS) words.shift();
    });
    const timers = new AbortController();
    closing.signal.addEventListener("abort", () => {
      for (const [signal, after] of [
        ["SIGTERM", ASK_MILLISECONDS],
        ["SIGKILL", KILL_MILLISECONDS],
      ] as const) {
        const more = start.lastly.length === 0 ? 0 : LASTLY_MILLISECONDS;
        delay(after + more, undefined, { signal: timers.signal }).then(
          () => child.kill(signal),
          () => {},
        );
      }
    });
    try {
      const [code, signal] = await once(child, "close");
      return `srun ended ${signal === null ? `with exit code ${code}` : `by ${signal}`}${words.length > 0 ? `: ${words.join(" | ")}` : ""}`;
    } catch (error) {
      return `srun can't be run: ${messageOf(error)}`;
    } finally {
      clearInterval(beat);
      timers.abort();
    }
  };

  const keep = async (): Promise<void> => {
    let pause = FIRST_PAUSE_MILLISECONDS;
    while (!closing.signal.aborted) {
      const began = performance.now();
      const words = await step();
      if (closing.signal.aborted) return;
      // What the agent itself has said is closer to the cause.
      lost(ready || reason === null ? `${host.name}: ${words}` : reason);
      if (start.role === "head") return;
      if (performance.now() - began > LONGEST_PAUSE_MILLISECONDS) pause = FIRST_PAUSE_MILLISECONDS;
      await delay(pause, undefined, { signal: closing.signal }).catch(() => {});
      pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS);
    }
  };
  const kept = keep();

  return {
    host,
    get ready() {
      return ready;
    },
    get reason() {
      return slow ?? reason;
    },
    join(address) {
      head = address;
      tell({ address });
    },
    close() {
      closing.abort();
      finish();
      return kept;
    },
  };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null; // Words of something else on the node: a module, a shell's start file.
  }
}
