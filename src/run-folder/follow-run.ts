/** A run's state as its journal grows, for whoever looks now and then. Nothing is written. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { DistmisError, messageOf } from "../errors/index.ts";
import { type LockOwner, lockOwner } from "../lock/index.ts";
import { followJournal, type JournalNews } from "./follow-journal.ts";
import { runFiles } from "./layout.ts";
import { noRun } from "./read-run.ts";
import type { JournalRecord } from "./record.ts";
import { createReducer, emptyState, type RunState } from "./state.ts";

/** A run as it was when it was last looked at. */
export interface RunFollower {
  /** Absolute. */
  readonly dir: string;
  /** Another object after the journal was replaced. Its `running` trials only run while there is an `owner`. */
  readonly state: RunState;
  /** The orchestrator that works on it; null if none does. */
  readonly owner: LockOwner | null;
  /** Why what stands in the journal could not be read to its end, in words; null if it could. */
  readonly trouble: string | null;
  /**
   * Reads what has been added. Resolves with whether anything is new. What can't be read is `trouble`, and no error: what was read
   * before stays, and it is tried again when the journal has changed.
   */
  look(): Promise<boolean>;
}

export interface FollowRunOptions {
  /** Gets each record, in their order. */
  onRecord?: (record: JournalRecord) => void;
  /** The journal is another one: all records come again, from the first one on. */
  onRestart?: () => void;
}

/**
 * Follows the run in `dir`, from its first record on; nothing is read before the first look.
 * @throws DistmisError FILE_UNUSABLE if there is none, naming one that may be meant
 */
export async function followRun(
  dir: string,
  { onRecord = () => {}, onRestart = () => {} }: FollowRunOptions = {},
): Promise<RunFollower> {
  const absolute = path.resolve(dir);
  const file = runFiles.journal(absolute);
  if ((await stampOf(file)) === "") throw await noRun(absolute);
  let state = emptyState();
  let reduce = createReducer(state);
  let news: AsyncGenerator<JournalNews, void, undefined> | null = null;
  /** Of the records that were handed on; the first one's time tells its journal from another one. */
  let lastSeq = 0;
  let begun = "";
  let owner: LockOwner | null = null;
  /** How the journal is damaged, and its stamp when that was found. */
  let damage: { text: string; stamp: string } | null = null;
  /** Whatever else was wrong at the last look. */
  let hindrance: string | null = null;
  const trouble = (): string | null => hindrance ?? damage?.text ?? null;

  const restart = (): void => {
    if (lastSeq === 0) return;
    state = emptyState();
    reduce = createReducer(state);
    lastSeq = 0;
    onRestart();
  };
  const take = (record: JournalRecord): void => {
    if (record.seq === 1) {
      if (record.time !== begun) restart();
      begun = record.time;
    }
    // After trouble, a journal is read from its start.
    if (record.seq <= lastSeq) return;
    try {
      reduce(record);
    } catch (error) {
      // It contradicts itself.
      throw new DistmisError("RUN_REFUSED", `${file}: ${messageOf(error)}`, { cause: error });
    }
    lastSeq = record.seq;
    onRecord(record);
  };
  const readNews = async (): Promise<void> => {
    if (damage !== null && (await stampOf(file)) === damage.stamp) return;
    news ??= followJournal(file, { lookMilliseconds: 0 });
    for (;;) {
      const { value, done } = await news.next();
      if (done === true) return;
      if (value.type === "quiet") {
        // A damaged journal that grows is read again, and found damaged again.
        if (!value.unsettled) damage = null;
        return;
      }
      if (value.type === "replaced") restart();
      else for (const record of value.records) take(record);
    }
  };

  return {
    dir: absolute,
    get state() {
      return state;
    },
    get owner() {
      return owner;
    },
    get trouble() {
      return trouble();
    },
    async look() {
      const before = { state, lastSeq, trouble: trouble(), owner: owner?.since };
      hindrance = null;
      try {
        // Before the journal: an orchestrator that ends in between has written its last word.
        owner = await lockOwner(runFiles.lock(absolute));
      } catch (error) {
        hindrance = messageOf(error);
      }
      try {
        await readNews();
      } catch (error) {
        news = null;
        const text = messageOf(error);
        if (error instanceof DistmisError && error.code === "RUN_REFUSED")
          damage = { text, stamp: await stampOf(file) };
        else hindrance ??= text;
      }
      return (
        before.state !== state ||
        before.lastSeq !== lastSeq ||
        before.trouble !== trouble() ||
        before.owner !== owner?.since
      );
    },
  };
}

/** Changes when the file does; empty if there is none. */
async function stampOf(file: string): Promise<string> {
  const found = await stat(file).catch(() => null);
  return found === null ? "" : `${found.ino} ${found.size} ${found.mtimeMs}`;
}
