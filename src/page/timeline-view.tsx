/** Which trial was on which GPU of which node, and what the nodes do now. */
import type { ECharts } from "echarts/core";
import { useMemo } from "preact/hooks";
import type { AttemptView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { axisStyle, Chart, tooltipStyle } from "./chart.tsx";
import { count, duration, moment } from "./format.ts";
import { linkTo, useColours } from "./hooks.ts";
import { type Lane, lanesOf } from "./lanes.ts";

const LANE_PIXELS = 26;

const WORDS: Record<AttemptView["outcome"], string> = {
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

/** What ECharts hands to a custom series for each of its items. */
interface Drawing {
  value(dimension: number): number;
  coord(point: [number, number]): [number, number];
  size(point: [number, number]): [number, number];
}

export function TimelineView({ data, place: { run } }: ViewProperties) {
  const { view, attempts } = data;
  const colours = useColours();
  // A run that has ended stands still; one that runs goes on between two records.
  const end = view.state === "running" ? Math.max(view.lastAt, Date.now()) : view.lastAt;
  const lanes = useMemo(() => lanesOf(attempts, view.startedAt, end), [view]);
  const bars = useMemo(() => lanes.flatMap((lane, at) => lane.bars.map((bar) => ({ ...bar, lane, at }))), [lanes]);
  const option = useMemo(
    () => ({
      animation: false,
      grid: { left: 150, right: 20, top: 10, bottom: 70 },
      tooltip: {
        ...tooltipStyle(colours),
        formatter: ({ dataIndex }: { dataIndex: number }) => {
          const attempt = bars[dataIndex]?.attempt;
          return attempt === undefined ? "" : barWords(attempt, end);
        },
      },
      xAxis: { type: "time", min: view.startedAt, max: end, ...axisStyle(colours) },
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
        renderItem: (_: unknown, api: Drawing & { style(): object }) => {
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
    }),
    [lanes, bars, colours],
  );
  const onReady = (chart: ECharts): void => {
    chart.on("click", (event) => {
      const place = (event as { dataIndex?: number }).dataIndex;
      const series = chart.getOption().series as { data?: { value: number[] }[] }[];
      const clicked = series[0]?.data?.[place ?? -1]?.value;
      const attempt = attempts.find(
        ({ start, places }) =>
          start === clicked?.[1] &&
          places.some(
            ({ node, gpu }) =>
              laneName({ node, gpu }) === laneName(lanes[clicked?.[0] ?? -1] ?? { node: "", gpu: null }),
          ),
      );
      if (attempt !== undefined) location.hash = linkTo({ run, view: "trial", trial: attempt.trial });
    });
  };
  const shown = [...new Set(attempts.map(({ outcome }) => outcome))];
  return (
    <>
      <p>
        {shown.map((outcome) => (
          <span key={outcome} class="key">
            <i class={`state-${outcome}`} /> {WORDS[outcome]}
          </span>
        ))}
      </p>
      {attempts.length === 0 ? (
        <p class="faint">No trial has started yet.</p>
      ) : (
        <Chart
          option={option}
          height={100 + LANE_PIXELS * lanes.reduce((sum, { rows }) => sum + Math.max(1, rows / 2), 0)}
          label={`${count(attempts.length, "attempt")} at trials on ${count(lanes.length, "GPU")} over time`}
          onReady={onReady}
        />
      )}
      <Cluster lanes={lanes} run={run} end={end} />
    </>
  );
}

function Cluster({ lanes, run, end }: { lanes: readonly Lane[]; run: string; end: number }) {
  const nodes = [...new Set(lanes.map(({ node }) => node))];
  const busy = lanes.filter(({ running }) => running.length > 0).length;
  return (
    <>
      <h3>
        Cluster: {count(nodes.length, "node")}, {busy} of {count(lanes.length, "GPU")} busy
      </h3>
      <table class="plain">
        <thead>
          <tr>
            <th>Node</th>
            <th>GPU</th>
            <th>Now</th>
            <th>Busy</th>
            <th>Longest gap</th>
            <th>Attempts</th>
            <th>Retries</th>
            <th>Failures</th>
            <th>Last news</th>
          </tr>
        </thead>
        <tbody>
          {lanes.map((lane) => (
            <tr key={laneName(lane)}>
              <th scope="row">{lane.node}</th>
              <td>{lane.gpu ?? "none"}</td>
              <td>
                {lane.running.length === 0 ? (
                  <span class="faint">idle</span>
                ) : (
                  lane.running.map(({ trial }) => (
                    <a key={trial} href={linkTo({ run, view: "trial", trial })}>
                      {trial}{" "}
                    </a>
                  ))
                )}
              </td>
              <td>{(100 * lane.utilisation).toFixed(0)} %</td>
              <td>{duration(lane.longestGap)}</td>
              <td>{lane.bars.length}</td>
              <td>{lane.retries}</td>
              <td>{lane.failures}</td>
              <td class="faint">
                {moment(lane.bars.reduce((last, { attempt }) => Math.max(last, attempt.end ?? end), 0))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function laneName({ node, gpu }: Pick<Lane, "node" | "gpu">): string {
  return gpu === null ? node : `${node} GPU ${gpu}`;
}

function barWords({ trial, attempt, start, end, outcome, error }: AttemptView, now: number): string {
  const words = [
    `trial ${trial}, attempt ${attempt}: ${WORDS[outcome]}`,
    `${moment(start)}, ${duration(((end ?? now) - start) / 1000)}`,
  ];
  return [...words, ...(error === null ? [] : [error.slice(0, 160)])].join("\n");
}
