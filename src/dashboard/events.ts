/** The stream of a page: server-sent events, each what has changed since the one before, as fast as the page reads them. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Boards } from "./boards.ts";

/** Changes of so long come as one message: what a person can't follow needn't be drawn. */
const GATHER_MILLISECONDS = 300;
/** So that a proxy, or the way through ssh, does not take the stream for dead. */
const ALIVE_MILLISECONDS = 15_000;

/** Writes until the page goes or `signal` aborts. Nothing is queued: what a slow page has missed comes as one change. */
export async function streamEvents(response: ServerResponse, boards: Boards, signal: AbortSignal): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.on("close", leave).on("error", leave);
  signal.addEventListener("abort", leave, { once: true });
  const alive = setInterval(() => response.write(": alive\n\n"), ALIVE_MILLISECONDS);
  const seen = new Map<string, number>();
  try {
    while (!gone.signal.aborted) {
      // Before the news are taken: one that comes meanwhile ends the wait.
      const changed = boards.changed(gone.signal);
      const message = boards.news(seen);
      if (message !== null && !response.write(`data: ${JSON.stringify(message)}\n\n`))
        await once(response, "drain", { signal: gone.signal });
      await changed;
      await delay(GATHER_MILLISECONDS, undefined, { signal: gone.signal });
    }
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    clearInterval(alive);
    signal.removeEventListener("abort", leave);
    response.end();
  }
}
