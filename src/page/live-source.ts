/** The server's data: changes by server-sent events, the rest when it is asked for. */
import type { ChangeMessage, CurveView, ImportanceView, LogView, PreviewsView } from "../page-data/index.ts";
import { applyChange, type Connection, type Source, type Volume } from "./source.ts";

const RETRY_MILLISECONDS = 1_000;
/** A browser has few connections to a host, and a stream takes one: pages that nobody sees let go of theirs. */
const HIDDEN_MILLISECONDS = 10_000;

export function liveSource(): Source {
  const listeners = new Set<() => void>();
  const state: Source["state"] = { version: 0, generation: 0, connection: "opening", runs: new Map() };
  const tell = (connection: Connection): void => {
    state.connection = connection;
    state.version++;
    for (const listener of listeners) listener();
  };

  /** Null while the page is hidden, or the server is away and asked again. */
  let stream: EventSource | null = null;
  let isAway = false;
  let wasLost = true;
  const connect = (): void => {
    if (document.hidden || stream !== null) return;
    const events = new EventSource("/api/events");
    stream = events;
    let first = true;
    events.onmessage = ({ data }: MessageEvent<string>) => {
      const message: ChangeMessage = JSON.parse(data);
      // A stream begins with everything: what another server told is not true any more.
      if (first) {
        state.runs.clear();
        if (wasLost) state.generation++;
        wasLost = false;
      }
      first = false;
      for (const change of message.runs) applyChange(state.runs, change);
      tell("connected");
    };
    events.onerror = () => {
      // Not the browser's own reconnection, which gives up for good after an answer that is an error.
      events.close();
      stream = null;
      isAway = true;
      wasLost = true;
      tell("lost");
      void retry();
    };
  };
  const retry = async (): Promise<void> => {
    const answer = await fetch("/", { method: "HEAD" }).catch(() => null);
    isAway = answer?.ok !== true;
    const found = answer?.status === 401 ? "refused" : "lost";
    // What is told again is read out again.
    if (isAway && state.connection !== found) tell(found);
    setTimeout(isAway ? retry : connect, RETRY_MILLISECONDS);
  };
  const hide = (): void => {
    if (!document.hidden) return;
    stream?.close();
    stream = null;
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) setTimeout(hide, HIDDEN_MILLISECONDS);
    else if (stream === null && !isAway) connect();
  });
  connect();

  const trialUrl = (run: string, trial: string): string => `/api/runs/${run}/trials/${encodeURIComponent(trial)}`;
  return {
    state,
    onlyPreviewed: null,
    made: null,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    curves: (run, trials) =>
      json<CurveView[]>(`/api/runs/${run}/curves?trials=${encodeURIComponent(trials.join(","))}`),
    importance: (run) => json<ImportanceView>(`/api/runs/${run}/importance`),
    experiment: async (run) => (await ask(`/api/runs/${run}/experiment`)).text(),
    licences: async () => (await ask("/assets/licences.txt")).text(),
    log: (run, trial, rank, from) =>
      json<LogView>(`${trialUrl(run, trial)}/log?rank=${rank}${from === null ? "" : `&from=${from}`}`),
    previews: (run, trial) => json<PreviewsView>(`${trialUrl(run, trial)}/previews`),
    image: (run, trial, index, channel) =>
      volume(`${trialUrl(run, trial)}/previews/${index}/image?channel=${channel}`, "image"),
    truth: (run, trial, index) => volume(`${trialUrl(run, trial)}/previews/${index}/truth`, "truth"),
    prediction: (run, trial, index, epoch) =>
      volume(`${trialUrl(run, trial)}/previews/${index}/prediction?epoch=${epoch}`, "prediction"),
  };
}

async function ask(url: string): Promise<Response> {
  const answer = await fetch(url);
  if (answer.ok) return answer;
  const said: unknown = await answer.json().catch(() => null);
  const message = typeof said === "object" && said !== null && "message" in said ? String(said.message) : "";
  throw new Error(message || `the server answered ${answer.status}`);
}

async function json<T>(url: string): Promise<T> {
  return (await ask(url)).json();
}

async function volume(url: string, name: string): Promise<Volume> {
  return { name: `${name}.nii.gz`, bytes: await (await ask(url)).arrayBuffer() };
}
