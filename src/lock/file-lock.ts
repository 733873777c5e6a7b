/**
 * A lock file that names the host and process that hold it. The lock of a process that has died is taken over: at once on
 * the same host, after a minute without a sign of life from another one.
 */
import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { bootId, pidNamespace, startTicks } from "../processes/index.ts";

const BEAT_MILLISECONDS = 5_000;
/** Twelve beats: a busy network file system may delay some. */
const SILENT_MILLISECONDS = 60_000;
const TAKE_OVER_TRIES = 5;
const LOOK_MILLISECONDS = 1_000;

const ownerSchema = z.object({
  host: z.string(),
  pid: z.int(),
  /** Start of the process in clock ticks since boot, and that boot: a process id alone may have been given again. */
  startTicks: z.string(),
  bootId: z.string(),
  /** In which the process has its id: containers may share a host's name. Older versions do not say. */
  pidNamespace: z.string().optional(),
  /** Tells this lock from any other. */
  token: z.string(),
  since: z.string(),
  /** SLURM's number of the job that the process belongs to. */
  job: z.string().optional(),
});
type Owner = z.output<typeof ownerSchema>;

/** Who holds a lock. */
export type LockOwner = Pick<Owner, "host" | "pid" | "since" | "job">;

/** How a refusal calls what is locked. */
export interface LockWords {
  /** Completes "... is worked on by process 1": "this run". */
  what: string;
  /** Completes "wait for it, stop it, or ...": "use another run folder". */
  instead: string;
}

/** Waits for the lock of a process on another host that gives no sign of life, until it has been silent for long enough. */
export interface LockPatience {
  /** Told once. */
  onWait(text: string): void;
  /** Ends the wait. */
  signal: AbortSignal;
}

export interface FileLock {
  /** Aborts if the lock was taken away, after this process was silent for a minute. */
  readonly lost: AbortSignal;
  /**
   * Rejects if it was taken away: for what must not be written then. Looks at the file where this process has been silent for so
   * long that it might have been, as after a stop of the machine; else it costs nothing.
   */
  confirm(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes the lock `file`. Throws RUN_REFUSED, naming host and pid, while another process holds it.
 * @param patience without it, one that may have died less than a minute ago counts as living
 */
export async function takeLock(file: string, words: LockWords, patience?: LockPatience): Promise<FileLock> {
  const { SLURM_JOB_ID: job } = process.env;
  const mine: Owner = {
    host: hostname(),
    pid: process.pid,
    startTicks: (await startTicks(process.pid)) ?? "",
    bootId: await bootId(),
    pidNamespace: await pidNamespace(),
    token: randomUUID(),
    since: new Date().toISOString(),
    ...(job === undefined ? {} : { job }),
  };
  const draft = `${file}.${mine.token}`;
  const text = `${JSON.stringify(mine)}\n`;
  let silentSince: number | undefined;
  try {
    await writeFile(draft, text, { flag: "wx" });
    for (let attempt = 0; attempt < TAKE_OVER_TRIES; attempt++) {
      // A hard link is made by one process only, also on NFS.
      if (await linked(draft, file)) return heldLock(file, mine);
      for (;;) {
        const living = await takeOver(file, draft);
        if (living === null) break;
        const { owner, beat } = living;
        const hasSpoken = silentSince !== undefined && beat !== silentSince;
        if (patience === undefined || patience.signal.aborted || (await isNear(owner)) || hasSpoken)
          throw refusal(file, owner, words);
        if (silentSince === undefined)
          patience.onWait(
            `${file} is held by process ${owner.pid} on host ${owner.host}: it is waited for, and taken for dead after a minute without a sign`,
          );
        silentSince = beat;
        await delay(LOOK_MILLISECONDS, undefined, { signal: patience.signal }).catch(() => {});
        // Anew, for the file server's time.
        await writeFile(draft, text);
      }
    }
  } finally {
    await unlink(draft).catch(() => {});
  }
  throw new DistmisError("RUN_REFUSED", `${file}: other processes take this lock all the time; try again`);
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasErrno(error, "EEXIST")) return false;
    throw error;
  }
}

function refusal(file: string, { pid, host, since }: Owner, { what, instead }: LockWords): DistmisError {
  return new DistmisError(
    "RUN_REFUSED",
    `${file}: ${what} is worked on by process ${pid} on host ${host} since ${since}; ` +
      `wait for it, stop it (kill ${pid} there), or ${instead}`,
  );
}

/** Removes the lock of a dead owner; returns one that lives, and when it gave a sign of that (ms). */
async function takeOver(file: string, draft: string): Promise<{ owner: Owner; beat: number } | null> {
  const owner = await readOwner(file);
  if (owner === null) return null;
  // Both times are the file server's, whatever the hosts' clocks say: the draft was written just now.
  if (await isAlive(owner, file, async () => (await stat(draft)).mtimeMs)) {
    const beat = await stat(file).catch(() => null);
    return beat === null ? null : { owner, beat: beat.mtimeMs };
  }
  const moved = `${draft}.old`;
  try {
    await rename(file, moved);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return null;
    throw error;
  }
  // Another process may have been faster, and this is its new lock: it goes back.
  if ((await readOwner(moved))?.token !== owner.token) await linked(moved, file);
  await unlink(moved);
  return null;
}

async function readOwner(file: string): Promise<Owner | null> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return null;
    throw new DistmisError(
      "RUN_REFUSED",
      `${file}: not a lock of distmis (${messageOf(error)}); remove it if no other process works here`,
    );
  }
}

/** The living process that holds the lock `file`; null if none does. Needs no right to write. */
export async function lockOwner(file: string): Promise<LockOwner | null> {
  const owner = await readOwner(file);
  // By this host's clock, as nothing is written: one that is minutes off takes a living owner on another host for dead, or a dead
  // one for living; nothing is decided by it.
  if (owner === null || !(await isAlive(owner, file, async () => Date.now()))) return null;
  const { host, pid, since, job } = owner;
  return { host, pid, since, ...(job === undefined ? {} : { job }) };
}

/** Whether this process can see the owner: it could not on another host of the same name, nor in a container that has its host's. */
async function isNear({ host, bootId: boot, pidNamespace: namespace }: Owner): Promise<boolean> {
  if (host !== hostname() || boot !== (await bootId())) return false;
  return namespace === undefined || namespace === (await pidNamespace());
}

/** @param now the present time on the clock that stamps `file`; asked if the owner is on another host */
async function isAlive(owner: Owner, file: string, now: () => Promise<number>): Promise<boolean> {
  if (await isNear(owner)) return owner.startTicks === ((await startTicks(owner.pid)) ?? "gone");
  const [held, time] = await Promise.all([stat(file), now()]);
  return time - held.mtimeMs < SILENT_MILLISECONDS;
}

/** Sets the file's time to the file server's present one, where utimes would set this host's. */
async function touch(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    // What every lock begins with, should another one be there by now.
    await handle.write("{", 0);
  } finally {
    await handle.close();
  }
}

function heldLock(file: string, mine: Owner): FileLock {
  const lost = new AbortController();
  // Not performance.now(), which stands still while a machine sleeps.
  let beaten = Date.now();
  const beat = async (): Promise<void> => {
    const now = Date.now();
    const owner = await readOwner(file);
    if (owner?.token === mine.token) {
      await touch(file);
      beaten = now;
    } else
      lost.abort(new DistmisError("RUN_REFUSED", `${file}: the lock was taken over by ${owner?.host ?? "nobody"}`));
  };
  // An error is a file server that is away for a while: the next beat sees.
  const timer = setInterval(() => void beat().catch(() => {}), BEAT_MILLISECONDS);
  timer.unref();
  return {
    lost: lost.signal,
    async confirm() {
      if (Math.abs(Date.now() - beaten) > SILENT_MILLISECONDS / 2) await beat();
      lost.signal.throwIfAborted();
    },
    async release() {
      clearInterval(timer);
      const owner = await readOwner(file).catch(() => null);
      if (owner?.token === mine.token) await unlink(file).catch(() => {});
    },
  };
}
