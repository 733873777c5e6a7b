/** The colours that charts are drawn with. */
import type { AttemptEnd, TrialStateName } from "../page-data/index.ts";

export interface Colours {
  text: string;
  faint: string;
  line: string;
  back: string;
  accent: string;
  series: readonly string[];
  states: Readonly<Record<string, string>>;
}

const STATES: Record<AttemptEnd | TrialStateName, string> = {
  running: "#1864ab",
  completed: "#237032",
  failed: "#c92a2a",
  pruned: "#8f5200",
  waiting: "#868e96",
  lost: "#e8590c",
  stalled: "#e8590c",
  port_taken: "#e8590c",
  interrupted: "#9c36b5",
  limit: "#868e96",
};

/** Those of the page's style sheet in its light scheme, for what is drawn without a page. */
export const PAPER: Colours = {
  text: "#1c2024",
  faint: "#5d6670",
  line: "#cfd5db",
  back: "#ffffff",
  accent: "#0b62c4",
  series: [
    "#1f6fc4",
    "#c8501a",
    "#2b8a3e",
    "#a3247c",
    "#7a5c00",
    "#0b7d88",
    "#6741d9",
    "#c2255c",
    "#5c6b00",
    "#495057",
  ],
  states: STATES,
};

/** From the worst to the best, told apart also by who sees no red or no green. */
const FROM_TO: [number, number, number][] = [
  [120, 128, 140],
  [11, 125, 136],
  [214, 120, 10],
];

/** @param share from the worst (0) to the best (1) */
export function colourAt(share: number): string {
  const place = share * (FROM_TO.length - 1);
  const from = Math.min(FROM_TO.length - 2, Math.floor(place));
  const [a, b] = [FROM_TO[from], FROM_TO[from + 1]];
  const mixed = [0, 1, 2].map((part) =>
    Math.round((a?.[part] ?? 0) + ((b?.[part] ?? 0) - (a?.[part] ?? 0)) * (place - from)),
  );
  return `rgb(${mixed.join(",")})`;
}

/** Words on the canvas, never markup: names of others are drawn as they are. */
export function tooltipStyle({ back, text, line }: Colours) {
  return {
    renderMode: "richText" as const,
    backgroundColor: back,
    borderColor: line,
    textStyle: { color: text, fontSize: 12 },
    confine: true,
  };
}

export function axisStyle({ faint, line }: Colours) {
  return {
    axisLabel: { color: faint },
    nameTextStyle: { color: faint },
    axisLine: { lineStyle: { color: line } },
    splitLine: { lineStyle: { color: line, opacity: 0.5 } },
  };
}
