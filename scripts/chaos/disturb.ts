/** One search that is killed again and again, and continued by the same command as often. */
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { RayNodes } from "../../test/support/ray-nodes.ts";
import { until } from "../../test/support/until.ts";
import type { Random } from "../random.ts";
import { tally } from "./journal.ts";
import { persistently } from "./persistently.ts";
import { type SearchProcess, startSearch } from "./search.ts";
import { type Kind, victims, WORKER_NODE } from "./victims.ts";

/** What the next kill waits for: so many further epochs, or so many milliseconds (which also finds starts and ends), at most. */
const MOST_EPOCHS = 40;
const MOST_MILLISECONDS = 6_000;
/** For a victim of the kind that was drawn. */
const VICTIM_MILLISECONDS = 15_000;
/** Nothing in the journal and nobody killed for so long: something hangs. Ray alone may take a minute over a lost head. */
const STUCK_MILLISECONDS = 300_000;
/** Ends by themselves that no kill explains are a defect; one that is noticed late is explained. */
const EXPLAINED_MILLISECONDS = 120_000;
const LAST_WORDS_CHARACTERS = 300;

export interface Disturbed {
  experiment: string;
  runDir: string;
  ray: RayNodes;
  /** Of the search's processes: the marker's name and value, and what it needs to join Ray. */
  environment: Readonly<Record<string, string>>;
  mark: string;
  random: Random;
  /** The kind to be killed next; null if there have been enough. */
  next(): Kind | null;
  /** Somebody was killed. */
  killed(kind: Kind, what: string): void;
  say(text: string): void;
  /** When it aborts, nothing is started any more. */
  signal?: AbortSignal;
  /** Of every process that was started. */
  started(pid: number): void;
}

/** Runs the search to its end. Throws if it hangs, or ends in a way that no kill explains. */
export async function disturb(options: Disturbed): Promise<void> {
  const { experiment, runDir, ray, environment, mark, random, say } = options;
  const over = new AbortController();
  const journal = path.join(runDir, "journal.jsonl");
  let search: SearchProcess | null = null;
  let lastKill = 0;
  /** Nodes that start again; the head's, which the search has to wait for. */
  let nodes: Promise<void> | null = null;
  let head: Promise<void> = Promise.resolve();

  const restart = (node: number): Promise<void> =>
    persistently(async () => {
      options.signal?.throwIfAborted();
      await ray.restart(node);
    }, say);

  const bury = (kind: Kind): void => {
    if (kind !== "raylet" && kind !== "head") return;
    nodes = restart(kind === "head" ? 0 : WORKER_NODE).finally(() => {
      nodes = null;
    });
    if (kind === "head") head = nodes;
    nodes.catch(() => {}); // `head`, or the end of the search, tells.
  };

  const killOne = (kind: Kind): boolean => {
    // A node that is just being started is not there yet.
    if (nodes !== null && (kind === "raylet" || kind === "head")) return false;
    const found = victims(kind, ray, mark, search?.pid ?? null);
    if (found.length === 0) return false;
    const pid = found[random.below(found.length)] ?? 0;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      return false; // It has ended meanwhile.
    }
    lastKill = Date.now();
    const { epochs, ends } = tally(journal);
    options.killed(kind, `process ${pid} after ${epochs.size} epochs, ${ends.size} trials ended`);
    bury(kind);
    return true;
  };

  const moment = async (): Promise<void> => {
    const { size } = tally(journal).epochs;
    const epochs = 1 + random.below(MOST_EPOCHS);
    if (random.chance(0.5)) await delay(random.below(MOST_MILLISECONDS));
    else
      await until(
        `${epochs} further epochs`,
        () => over.signal.aborted || tally(journal).epochs.size >= size + epochs,
        STUCK_MILLISECONDS,
      );
  };

  const killer = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const kind = options.next();
      if (kind === null) return;
      await moment();
      await until(`a ${kind} to kill`, () => over.signal.aborted || killOne(kind), VICTIM_MILLISECONDS).catch(() =>
        say(`there was no ${kind} to kill`),
      );
    }
  };

  const supervise = async (): Promise<void> => {
    for (;;) {
      await head;
      options.signal?.throwIfAborted();
      const current = startSearch(experiment, runDir, ray.address, environment);
      options.started(current.pid);
      search = current;
      const how = await Promise.race([current.exit, hangs(current)]);
      search = null;
      if (how.code === 0) return;
      const last = current.said().trimEnd().split("\n").at(-1)?.slice(0, LAST_WORDS_CHARACTERS) ?? "";
      if (how.signal === "SIGKILL") say("the search is continued");
      else if (how.code === 1 && Date.now() - lastKill < EXPLAINED_MILLISECONDS)
        say(`the search is continued: ${last}`);
      else
        throw new Error(
          `the search ended with ${how.signal ?? `exit code ${how.code}`}, which no kill explains: ${last}`,
        );
    }
  };

  /** Rejects when nothing happens any more. */
  const hangs = async (current: SearchProcess): Promise<never> => {
    let seen = "";
    let since = Date.now();
    for (;;) {
      await delay(1_000, undefined, { ref: false });
      const now = `${tally(journal).records} ${lastKill}`;
      if (now !== seen) since = Date.now();
      seen = now;
      if (Date.now() - since > STUCK_MILLISECONDS && search === current)
        throw new Error(`the search hangs: ${current.said().slice(-2000)}`);
      if (search !== current) return new Promise(() => {});
    }
  };

  const killing = killer();
  try {
    await Promise.race([supervise(), killing.then(() => new Promise<never>(() => {}))]);
  } finally {
    over.abort();
    await killing.catch(() => {});
    await nodes;
  }
}
