/**
 * The control thread: owns the pipes (standard input for messages to the trainer, file descriptor 3 for its own) and
 * answers for the process while the main thread computes. Started by control.ts.
 */
import fs from "node:fs";
import net from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../errors/index.ts";
import { TrialOutcome } from "../generated/distmis/v1/trainer.ts";
import {
  createToTrainerDecoder,
  encodeFromTrainer,
  type FromTrainerMessage,
  PROTOCOL_VERSION,
  type ToTrainerMessage,
} from "../wire/index.ts";
import { type ControlData, sharedState, type ToControl, type ToMain } from "./threads.ts";

const HEARTBEAT_MS = 1000;
/**
 * A frame of the main thread waits so long for what follows it, and for this long after the last write: a trial's last report goes
 * together with its end, and what reports many times a second makes no more writes than this allows. All that handle these bytes on
 * their way to the orchestrator pay for each write.
 */
const GATHER_MS = 3;
const SPACING_MS = 40;
/** More than this does not wait. */
const GATHER_BYTES = 32 * 1024;
// The main thread says that it is alive every 0.25 s; below twice that it is not silent.
const SILENCE_FLOOR_SECONDS = 0.5;

const data: ControlData = workerData;
const state = sharedState(data.shared);
const decode = createToTrainerDecoder();
// Read before the descriptors are in use.
const input = new net.Socket({ fd: 0, readable: true, writable: false });
const output = new net.Socket({ fd: 3, readable: false, writable: true });

let sequence = 0;
/** The trial at work, from its assignment until its end is sent. */
let current: { trialId: string; attempt: number } | null = null;
let heartbeatUnsent = false;
/** Frames of the main thread that are not written yet. */
let gathered: Uint8Array[] = [];
let gatheredBytes = 0;
let lastWrite = 0;
let writeTimer: NodeJS.Timeout | undefined;

/** Ends the process at once, whatever the main thread does: process.exit() would wait for a native call to return. */
function endProcess(signal: "SIGKILL" | "SIGTERM"): void {
  process.kill(process.pid, signal);
}

function fail(message: string): void {
  // This thread's own stderr goes through the main thread, which may be blocked.
  fs.writeSync(2, `distmis trainer: ${message}\n`);
  // Not SIGKILL, which would look like the kernel's answer to a lack of memory.
  endProcess("SIGTERM");
}

function post(message: ToMain): void {
  parentPort?.postMessage(message);
}

function send(message: FromTrainerMessage, whenSent?: () => void): void {
  writeGathered();
  output.write(encodeFromTrainer(message), whenSent);
}

function gather(frame: Uint8Array, urgent: boolean): void {
  gathered.push(frame);
  gatheredBytes += frame.byteLength;
  if (urgent || gatheredBytes >= GATHER_BYTES) writeGathered();
  else writeTimer ??= setTimeout(writeGathered, Math.max(GATHER_MS, lastWrite + SPACING_MS - performance.now()));
}

function writeGathered(): void {
  clearTimeout(writeTimer);
  writeTimer = undefined;
  if (gathered.length === 0) return;
  const bytes = gatheredBytes;
  lastWrite = performance.now();
  output.write(Buffer.concat(gathered), () => {
    // A message for each write would be half of what the main thread hears.
    if (state.sent(bytes)) post({ type: "sent" });
  });
  gathered = [];
  gatheredBytes = 0;
}

function receive(message: ToTrainerMessage): void {
  switch (message.$case) {
    case "assign": {
      const { trialId, attempt } = message.value;
      if (current !== null) {
        refuse(trialId, attempt, `the trainer still works on trial ${current.trialId} and takes one at a time`);
        return;
      }
      current = { trialId, attempt };
      sequence++;
      post({ type: "assign", sequence, assignment: message.value });
      return;
    }
    case "stop":
      // One that comes after the end of its trial has nothing to stop.
      if (current?.trialId === message.value.trialId) state.requestStop(sequence);
  }
}

function refuse(trialId: string, attempt: number, reason: string): void {
  const ended = {
    trialId,
    attempt,
    outcome: TrialOutcome.TRIAL_OUTCOME_FAILED,
    errorCode: "TRAINER_FAILED",
    errorMessage: `trial ${trialId} was not started: ${reason}`,
    metrics: {},
    clean: false,
    uncleanReason: reason,
  };
  send({ $case: "ended", value: ended });
}

function heartbeat(): void {
  // With a reader that has stopped, one that waits is enough.
  if (heartbeatUnsent) return;
  heartbeatUnsent = true;
  const silent = state.silentSeconds();
  const value = {
    residentBytes: process.memoryUsage.rss(),
    mainThreadSilentSeconds: silent < SILENCE_FLOOR_SECONDS ? 0 : silent,
  };
  send({ $case: "heartbeat", value }, () => {
    heartbeatUnsent = false;
  });
}

input.on("data", (chunk) => {
  try {
    for (const message of decode(chunk)) receive(message);
  } catch (error) {
    fail(`cannot read its standard input: ${messageOf(error)}`);
  }
});
// The end of the input is the end of whoever wants the result.
input.on("end", () => endProcess("SIGKILL"));
input.on("error", () => endProcess("SIGKILL"));
output.on("error", () => endProcess("SIGKILL"));

parentPort?.on("message", ({ frame, endsTrial }: ToControl) => {
  // Before it is written: the next assignment may come as soon as the end of this one is read.
  if (endsTrial) current = null;
  gather(frame, endsTrial);
});

send({
  $case: "ready",
  value: {
    protocolVersion: PROTOCOL_VERSION,
    pid: process.pid,
    distmisVersion: data.distmisVersion,
    nodeVersion: process.version,
    collectivePort: data.collectivePort,
  },
});
setInterval(heartbeat, HEARTBEAT_MS);
