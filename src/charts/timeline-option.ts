/** Which trial was on which GPU of which node, as ECharts draws it. */
import type { AttemptEnd, AttemptView } from "../page-data/index.ts";
import { axisStyle, type Colours, tooltipStyle } from "./colours.ts";
import { duration, moment } from "./format.ts";
import type { Lane } from "./lanes.ts";

export const OUTCOMES: Record<AttemptEnd, string> = {
  running: "running",
  completed: "completed",
  failed: "failed",
  pruned: "pruned",
  lost: "lost, tried again",
  stalled: "silent, tried again",
  port_taken: "port taken, tried again",
  interrupted: "interrupted",
  limit: "ended by a limit",
};

const LANE_PIXELS = 26;

/** What ECharts hands to a custom series for each of its items. */
interface Drawing {
  value(dimension: number): number;
  coord(point: [number, number]): [number, number];
  size(point: [number, number]): [number, number];
  style(): object;
}

export interface TimelineBar {
  attempt: AttemptView;
  row: number;
  lane: Lane;
  /** Place of the lane among all. */
  at: number;
}

export function barsOf(lanes: readonly Lane[]): TimelineBar[] {
  return lanes.flatMap((lane, at) => lane.bars.map((bar) => ({ ...bar, lane, at })));
}

/** In pixels. */
export function timelineHeight(lanes: readonly Lane[]): number {
  return 100 + LANE_PIXELS * lanes.reduce((sum, { rows }) => sum + Math.max(1, rows / 2), 0);
}

/** @param begin and end of the run, in milliseconds */
export function timelineOption(lanes: readonly Lane[], begin: number, end: number, colours: Colours) {
  const bars = barsOf(lanes);
  return {
    animation: false,
    grid: { left: 150, right: 20, top: 10, bottom: 70 },
    tooltip: {
      ...tooltipStyle(colours),
      formatter: ({ dataIndex }: { dataIndex: number }) => {
        const attempt = bars[dataIndex]?.attempt;
        return attempt === undefined ? "" : barWords(attempt, end);
      },
    },
    xAxis: { type: "time", min: begin, max: end, ...axisStyle(colours) },
    yAxis: {
      type: "category",
      inverse: true,
      data: lanes.map(laneName),
      ...axisStyle(colours),
      splitLine: { show: false },
    },
    dataZoom: [
      { type: "inside", filterMode: "weakFilter" },
      { type: "slider", height: 18, bottom: 8, filterMode: "weakFilter", showDataShadow: false },
    ],
    series: {
      id: "attempts",
      type: "custom",
      progressive: 500,
      encode: { x: [1, 2], y: 0 },
      data: bars.map(({ attempt, at, row, lane }) => ({
        value: [at, attempt.start, attempt.end ?? end, row, lane.rows],
        itemStyle: { color: colours.states[attempt.outcome] ?? colours.states.lost },
      })),
      renderItem: (_: unknown, api: Drawing) => {
        const [lane, start, until, row, rows] = [0, 1, 2, 3, 4].map((dimension) => api.value(dimension));
        const [x = 0, y = 0] = api.coord([start ?? 0, lane ?? 0]);
        const [right = 0] = api.coord([until ?? 0, lane ?? 0]);
        const height = (api.size([0, 1])[1] ?? 0) * 0.8;
        const part = height / (rows || 1);
        const shape = { x, y: y - height / 2 + (row ?? 0) * part, width: Math.max(1, right - x - 1), height: part };
        return {
          type: "rect",
          shape,
          style: api.style(),
          emphasis: { style: { stroke: colours.text, lineWidth: 1 } },
        };
      },
    },
  };
}

export function laneName({ node, gpu }: Pick<Lane, "node" | "gpu">): string {
  return gpu === null ? node : `${node} GPU ${gpu}`;
}

function barWords({ trial, attempt, start, end, outcome, error }: AttemptView, now: number): string {
  const words = [
    `trial ${trial}, attempt ${attempt}: ${OUTCOMES[outcome]}`,
    `${moment(start)}, ${duration(((end ?? now) - start) / 1000)}`,
  ];
  return [...words, ...(error === null ? [] : [error.slice(0, 160)])].join("\n");
}
