/** Which trial was on which GPU of which node, and what the nodes do now. */
import type { ECharts } from "echarts/core";
import { useMemo, useRef } from "preact/hooks";
import {
  barsOf,
  count,
  duration,
  type Lane,
  laneName,
  lanesOf,
  moment,
  OUTCOMES,
  timelineHeight,
  timelineOption,
} from "../charts/index.ts";
import type { RunView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { Chart } from "./chart.tsx";
import { linkTo, useColours, useSource } from "./hooks.ts";

export function TimelineView({ data, place: { run } }: ViewProperties) {
  const { view, attempts } = data;
  const colours = useColours();
  const { made } = useSource();
  // A run that has ended stands still; one that runs goes on between two records, and did so when a report was made of it.
  const end = view.state === "running" ? Math.max(view.lastAt, made?.at ?? Date.now()) : view.lastAt;
  const lanes = useMemo(() => lanesOf(attempts, view.startedAt, end), [view]);
  const option = useMemo(() => timelineOption(lanes, view.startedAt, end, colours), [lanes, colours]);
  // The chart is made once, and clicked later.
  const drawn = useRef(lanes);
  drawn.current = lanes;
  const onReady = (chart: ECharts): void => {
    chart.on("click", ({ dataIndex }) => {
      const trial = barsOf(drawn.current)[dataIndex]?.attempt.trial;
      if (trial !== undefined) location.hash = linkTo({ run, view: "trial", trial });
    });
  };
  const shown = [...new Set(attempts.map(({ outcome }) => outcome))];
  return (
    <>
      <p>
        {shown.map((outcome) => (
          <span key={outcome} class="key">
            <i class={`state-${outcome}`} /> {OUTCOMES[outcome]}
          </span>
        ))}
      </p>
      {attempts.length === 0 ? (
        <p class="faint">No trial has started yet.</p>
      ) : (
        <Chart
          option={option}
          height={timelineHeight(lanes)}
          label={`${count(attempts.length, "attempt")} at trials on ${count(lanes.length, "GPU")} over time`}
          onReady={onReady}
          zoom
        />
      )}
      <Cluster lanes={lanes} view={view} run={run} end={end} />
      {view.changes.length > 0 && (
        <>
          <h3>Nodes that came and went</h3>
          <ul class="list">
            {view.changes.map(({ at, text }) => (
              <li key={`${at} ${text}`}>
                {moment(at)} <span class="faint">{text}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function Cluster({ lanes, view, run, end }: { lanes: readonly Lane[]; view: RunView; run: string; end: number }) {
  const nodes = [...new Set(lanes.map(({ node }) => node))];
  const busy = lanes.filter(({ running }) => running.length > 0).length;
  // The room may be more than what trials have used so far, or less, as nodes leave. Without GPUs, a lane is a node.
  const room = view.room === null ? lanes.length : Math.floor(view.room.replicas * view.room.gpus);
  const withGpus = lanes.some(({ gpu }) => gpu !== null);
  return (
    <>
      <h3>
        Cluster:{" "}
        {withGpus
          ? `${busy} of ${count(Math.max(busy, room), "GPU")} busy`
          : `${busy} of ${count(lanes.length, "node")} busy`}
      </h3>
      {withGpus && (
        <p class="faint">
          Trials were on {count(lanes.length, "GPU")} of {count(nodes.length, "node")}
          {lanes.length > room ? ", some of which have left" : ""}.
        </p>
      )}
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
