/** What the parts of the page have in common: the data, the address, the colours, and answers that take time. */
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import { type Colours, PAPER } from "../charts/index.ts";
import type { PageState, Source } from "./source.ts";

export const SourceContext = createContext<Source | null>(null);

export function useSource(): Source {
  const source = useContext(SourceContext);
  if (source === null) throw new Error("the page has no source");
  return source;
}

/** Drawn again with each change. */
export function usePageState(): PageState {
  const source = useSource();
  const [, redraw] = useState(0);
  useEffect(() => {
    const update = (): void => redraw(source.state.version);
    update();
    return source.subscribe(update);
  }, [source]);
  return source.state;
}

export const VIEWS = ["overview", "trials", "curves", "parameters", "timeline", "segmentations", "experiment"] as const;
export type View = (typeof VIEWS)[number] | "trial";

/** What is shown: `#/RUN/VIEW/TRIAL`. */
export interface Place {
  run: string;
  view: View;
  trial: string;
}

export function placeOf(hash: string): Place {
  const [run = "", view = "", trial = ""] = hash.replace(/^#\/?/, "").split("/");
  const known = [...VIEWS, "trial" as const].find((each) => each === view);
  return { run, view: known ?? "overview", trial: decodeURIComponent(trial) };
}

export function linkTo({ run, view, trial = "" }: Omit<Place, "trial"> & { trial?: string }): string {
  return `#/${run}/${view}${trial === "" ? "" : `/${encodeURIComponent(trial)}`}`;
}

export function usePlace(): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const update = (): void => setHash(location.hash);
    addEventListener("hashchange", update);
    return () => removeEventListener("hashchange", update);
  }, []);
  return placeOf(hash);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Colours of the style sheet, for what draws on a canvas; another object when the scheme changes. */
export function useColours(): Colours {
  const [colours, setColours] = useState(readColours);
  useEffect(() => {
    const update = (): void => setColours(readColours());
    dark.addEventListener("change", update);
    return () => dark.removeEventListener("change", update);
  }, []);
  return colours;
}

function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: of("text"),
    faint: of("faint"),
    line: of("line"),
    back: of("back"),
    accent: of("accent"),
    series: Array.from({ length: 10 }, (_, index) => of(`series-${index}`)),
    states: Object.fromEntries(Object.keys(PAPER.states).map((state) => [state, of(`state-${state}`)])),
  };
}

export type Answer<T> = { value: T | null; error: string | null };

/** Asks again whenever one of `when` changes, or the server was away; meanwhile the answer of before stays. */
export function useAnswer<T>(ask: () => Promise<T>, when: readonly unknown[]): Answer<T> {
  const { generation } = usePageState();
  const [answer, setAnswer] = useState<Answer<T>>({ value: null, error: null });
  useEffect(() => {
    let current = true;
    ask().then(
      (value) => current && setAnswer({ value, error: null }),
      (error: unknown) =>
        current && setAnswer({ value: null, error: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      current = false;
    };
  }, [...when, generation]);
  return answer;
}
