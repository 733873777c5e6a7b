/** A trainer process as its worker actor sees it: pipes, frames and logs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { entryCommand, moduleUrl } from "../../src/paths/index.ts";
import {
  createFromTrainerDecoder,
  encodeToTrainer,
  type FromTrainerMessage,
  type ToTrainerMessage,
} from "../../src/wire/index.ts";

export const fixture = (name: string): string => fileURLToPath(new URL(`../trainer/fixtures/${name}`, import.meta.url));

/** How many reports the fixture flood.ts has made in this folder so far. */
export function progressOf(dir: string): number {
  const file = path.join(dir, "progress");
  return fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0;
}

type Assign = Extract<ToTrainerMessage, { $case: "assign" }>["value"];

/** An assignment of a fixture; `parameters` are what the fixture reads, `epochs` how many it reports. */
export function assignment(
  task: string,
  trialDir: string,
  options: { parameters?: Record<string, unknown>; epochs?: number } & Partial<Assign> = {},
): ToTrainerMessage {
  const { parameters = {}, epochs = 2, ...rest } = options;
  const config = { name: "fixture", train: { epochs }, trainer: { module: task, parameters } };
  const value: Assign = {
    trialId: "t1",
    attempt: 1,
    task,
    configJson: JSON.stringify(config),
    trialDir,
    rank: 0,
    replicas: 1,
    addresses: [],
    taskJson: "",
    reportedEpoch: 0,
    ...rest,
  };
  return { $case: "assign", value };
}

export interface TrainerUnderTest {
  child: ChildProcess;
  input: Writable;
  output: Readable;
  send(message: ToTrainerMessage): void;
  /** The next message that is not a heartbeat; fails at the end of the pipe. */
  next(): Promise<FromTrainerMessage>;
  /** All messages up to the end of a trial, without heartbeats. */
  untilEnded(): Promise<{
    reports: Extract<FromTrainerMessage, { $case: "report" }>["value"][];
    ended: Extract<FromTrainerMessage, { $case: "ended" }>["value"];
  }>;
  heartbeats: { at: number; residentBytes: number; mainThreadSilentSeconds: number }[];
  /** What it has printed so far. */
  logs: { stdout: string; stderr: string };
  /** Its exit code or signal. */
  exited: Promise<number | string>;
}

/** Starts a trainer; the caller ends it. */
export function startTrainer(environment: Record<string, string> = {}): TrainerUnderTest {
  const [program = "", ...args] = entryCommand(moduleUrl("trainer/main"));
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  const exited = once(child, "exit").then(([code, by]) => code ?? by);
  const { stdin, stdout, stderr } = child;
  const output = child.stdio[3];
  if (!stdin || !stdout || !stderr || !output || !("read" in output)) throw new Error("pipes are missing");
  stdin.on("error", () => {});

  const logs = { stdout: "", stderr: "" };
  stdout.setEncoding("utf8").on("data", (text: string) => {
    logs.stdout += text;
  });
  stderr.setEncoding("utf8").on("data", (text: string) => {
    logs.stderr += text;
  });

  const heartbeats: TrainerUnderTest["heartbeats"] = [];
  async function* read(): AsyncGenerator<FromTrainerMessage, void> {
    const decode = createFromTrainerDecoder();
    for await (const chunk of output as Readable) {
      for (const message of decode(chunk)) {
        if (message.$case === "heartbeat") heartbeats.push({ at: performance.now(), ...message.value });
        else yield message;
      }
    }
  }
  const messages = read();
  const next = async () => {
    const { value } = await messages.next();
    if (value === undefined) throw new Error(`the trainer ended: ${await exited}; ${logs.stderr}`);
    return value;
  };
  return {
    child,
    input: stdin,
    output,
    send: (message) => void stdin.write(encodeToTrainer(message)),
    next,
    async untilEnded() {
      const reports = [];
      for (;;) {
        const message = await next();
        if (message.$case === "ended") return { reports, ended: message.value };
        if (message.$case === "report") reports.push(message.value);
      }
    },
    heartbeats,
    logs,
    exited,
  };
}
