/**
 * Writes what happens to the trials of a run into event files, one for each attempt at a trial. Nobody waits for them: records
 * are gathered in memory and appended once a second and at the end of an attempt.
 */
import { appendFile, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import type { Parameters } from "../config/index.ts";
import { messageOf } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";
import {
  imageRecord,
  scalarsRecord,
  sessionEndRecord,
  sessionStartRecord,
  startRecord,
  versionRecord,
} from "./records.ts";

const FLUSH_MILLISECONDS = 1_000;
/** A trial that reports thousands of times a second would leave the garbage collector hundreds of megabytes. */
const FLUSH_RECORDS = 200;

export interface TrialBoardOptions {
  /** The folder of a trial, which is made if need be. */
  dirOf(trial: string): string;
  /** The search's metric: the best value of a trial that has ended is told as best_METRIC. */
  metric: string;
  /** Called once, when a file can't be written; the trials concerned have no more events then. */
  onProblem(text: string): void;
}

export interface LastReport {
  epoch: number;
  metrics: Readonly<Record<string, number>>;
}

/** All times are ISO 8601. */
export interface TrialBoard {
  /** An attempt begins; `last` is the last report of those before it. */
  started(time: string, trial: string, attempt: number, parameters: Parameters, last: LastReport | null): void;
  epoch(time: string, trial: string, epoch: number, metrics: Readonly<Record<string, number>>): void;
  /** A PNG belongs to an epoch; one that can't be read is left out. */
  image(time: string, trial: string, epoch: number, tag: string, file: string): void;
  /** The attempt is over, the trial is not. */
  paused(trial: string): void;
  /** The trial has ended; `metrics` are those of its last epoch and those that it handed back. */
  ended(
    time: string,
    trial: string,
    success: boolean,
    best: { value: number; epoch: number } | null,
    metrics: Readonly<Record<string, number>>,
  ): void;
  /** Writes what is left. Never throws. */
  close(): Promise<void>;
}

/** What is written of an attempt that goes on. */
interface Attempt {
  file: string;
  pending: Buffer[];
  last: LastReport | null;
  /** Whether it has reported. */
  begun: boolean;
  writing: Promise<void>;
  /** Whether its folder has been. */
  made: boolean;
  /** Half a record may stand at the end of its file: nothing may follow. */
  broken: boolean;
}

export function createTrialBoard({ dirOf, metric, onProblem }: TrialBoardOptions): TrialBoard {
  const attempts = new Map<string, Attempt>();
  const writing = new Set<Promise<void>>();
  const host = hostname();
  let timer: NodeJS.Timeout | null = null;
  let told = false;

  const flush = (attempt: Attempt): void => {
    if (attempt.pending.length === 0 || attempt.broken) return;
    const bytes = Buffer.concat(attempt.pending);
    attempt.pending = [];
    enqueue(attempt, async () => bytes);
  };
  /** Appends what `read` gives, in the order of the calls. */
  const enqueue = (attempt: Attempt, read: () => Promise<Buffer | null>): void => {
    const write = async (): Promise<void> => {
      if (attempt.broken) return;
      try {
        const bytes = await read();
        if (bytes === null) return;
        if (!attempt.made) await makeFolder(path.dirname(attempt.file));
        attempt.made = true;
        await appendFile(attempt.file, bytes);
      } catch (error) {
        attempt.broken = true;
        if (!told) onProblem(`${attempt.file}: can't be written: ${messageOf(error)}; TensorBoard lacks what follows`);
        told = true;
      }
    };
    const done = attempt.writing.then(write);
    attempt.writing = done;
    writing.add(done);
    void done.then(() => writing.delete(done));
  };
  const add = (attempt: Attempt, ...records: Buffer[]): void => {
    if (attempt.broken) return;
    attempt.pending.push(...records);
    if (attempt.pending.length >= FLUSH_RECORDS) flush(attempt);
    timer ??= setTimeout(() => {
      timer = null;
      for (const each of attempts.values()) flush(each);
    }, FLUSH_MILLISECONDS);
  };
  const leave = (trial: string, attempt: Attempt): void => {
    flush(attempt);
    attempts.delete(trial);
  };

  return {
    started(time, trial, number, parameters, last) {
      const now = seconds(time);
      // Readers take the files of a folder in the order of their names.
      const name = `events.out.tfevents.${String(Math.floor(now)).padStart(10, "0")}.${host}.${number}`;
      const file = path.join(dirOf(trial), name);
      const nothing = { pending: [], begun: false, writing: Promise.resolve(), made: false, broken: false };
      const attempt = { file, last, ...nothing };
      attempts.set(trial, attempt);
      add(attempt, versionRecord(now), sessionStartRecord(now, parameters));
    },
    epoch(time, trial, epoch, metrics) {
      const attempt = attempts.get(trial);
      if (attempt === undefined) return;
      const now = seconds(time);
      if (!attempt.begun) add(attempt, startRecord(now, epoch));
      attempt.begun = true;
      attempt.last = { epoch, metrics };
      add(attempt, scalarsRecord(now, epoch, metrics));
    },
    image(time, trial, epoch, tag, file) {
      const attempt = attempts.get(trial);
      if (attempt === undefined) return;
      flush(attempt);
      enqueue(attempt, async () => {
        const png = await readFile(file).catch(() => null);
        return png && imageRecord(seconds(time), epoch, tag, png);
      });
    },
    paused(trial) {
      const attempt = attempts.get(trial);
      if (attempt !== undefined) leave(trial, attempt);
    },
    ended(time, trial, success, best, metrics) {
      const attempt = attempts.get(trial);
      if (attempt === undefined) return;
      const now = seconds(time);
      const { epoch, metrics: reported } = attempt.last ?? { epoch: 0, metrics: {} };
      const handedBack = Object.entries(metrics).filter(([name, value]) => !Object.is(reported[name], value));
      if (handedBack.length > 0) add(attempt, scalarsRecord(now, epoch, Object.fromEntries(handedBack)));
      if (best !== null) add(attempt, scalarsRecord(now, best.epoch, { [`best_${metric}`]: best.value }));
      add(attempt, sessionEndRecord(now, success));
      leave(trial, attempt);
    },
    async close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      for (const attempt of attempts.values()) flush(attempt);
      attempts.clear();
      await Promise.all(writing);
    },
  };
}

function seconds(time: string): number {
  return Date.parse(time) / 1000;
}
