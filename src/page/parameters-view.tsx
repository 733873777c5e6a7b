/** What the searched fields have to do with the metric: parallel coordinates, and how much each decides. */
import type { ECharts } from "echarts/core";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import {
  axisOf,
  count,
  metric as formatMetric,
  METRIC_AXIS,
  parallelOption,
  parameters,
  ranked,
  shortNames,
} from "../charts/index.ts";
import type { RunView, TrialView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import {
  type Brush,
  type BrushAxis,
  type Brushes,
  brushedBy,
  brushOf,
  type Interval,
  intervalsOf,
  withBrush,
} from "./brush.ts";
import { BrushFields } from "./brushes.tsx";
import { Chart } from "./chart.tsx";
import { linkTo, useAnswer, useColours, useSource } from "./hooks.ts";
import { useSelection } from "./selection.ts";

const MOST_LISTED = 10;

export function ParametersView({ data, place: { run } }: ViewProperties) {
  const { view } = data;
  const colours = useColours();
  const selection = useSelection(run);
  const [chart, setChart] = useState<ECharts | null>(null);
  const [brushes, setBrushes] = useState<Brushes>({});
  const trials = useMemo(() => ranked(data).filter(({ best }) => best !== null), [view]);
  const option = useMemo(() => parallelOption(trials, view, colours), [trials, colours]);
  const axes = useMemo(() => brushAxes(trials, view), [trials]);
  // The chart is made once, and brushed later.
  const drawn = useRef(axes);
  drawn.current = axes;
  const onReady = (made: ECharts): void => {
    setChart(made);
    made.on("axisareaselected", (event) => {
      const { parallelAxisId, intervals } = event as unknown as AxisAreaSelected;
      const axis = drawn.current.find(({ id }) => id === parallelAxisId);
      if (axis !== undefined) setBrushes((before) => withBrush(before, axis.id, brushOf(intervals, axis)));
    });
  };
  // Also of those that came after the brush. The best first, as the curves take the first ones.
  const chosen = useMemo(() => brushedBy(brushes, axes, trials), [brushes, axes, trials]);
  // With new trials, an axis may be another one.
  useEffect(() => {
    const brushed = axes.filter(({ id }) => brushes[id] !== undefined);
    if (chart !== null && brushed.length > 0) drawBrushes(chart, brushed, brushes);
  }, [chart, option]);
  const onBrush = (axis: BrushAxis, brush: Brush | null): void => {
    const next = withBrush(brushes, axis.id, brush);
    setBrushes(next);
    if (chart !== null) drawBrushes(chart, [axis], next);
  };
  return (
    <>
      <h2>Parallel coordinates</h2>
      {trials.length === 0 || view.parameters.length === 0 ? (
        <p class="faint">
          {view.parameters.length === 0
            ? "This experiment searches no field."
            : `No trial has reported ${view.metric} yet.`}
        </p>
      ) : (
        <>
          <p class="faint">
            A line is a trial, from grey (worst) over teal to orange (best). Drag along an axis to brush it, click the
            axis to end that; or brush by values below it.
          </p>
          <Chart
            option={option}
            height={380}
            label={`Parameters and ${view.metric} of ${trials.length} trials`}
            onReady={onReady}
          />
          <BrushFields axes={axes} brushes={brushes} onBrush={onBrush} />
          {chosen !== null && (
            <section aria-live="polite">
              <h3>
                {count(chosen.length, "trial")} brushed{" "}
                <button
                  type="button"
                  disabled={chosen.length === 0}
                  onClick={() => selection.replace(chosen.map(({ id }) => id))}
                >
                  Choose them for the curves
                </button>
              </h3>
              <ol class="list">
                {chosen.slice(0, MOST_LISTED).map((trial) => (
                  <li key={trial.id}>
                    <a href={linkTo({ run, view: "trial", trial: trial.id })}>{trial.id}</a>{" "}
                    <b>{formatMetric(trial.best?.value)}</b> <span class="faint">{parameters(trial.parameters)}</span>
                  </li>
                ))}
              </ol>
              {chosen.length > MOST_LISTED && <p class="faint">and {chosen.length - MOST_LISTED} more</p>}
            </section>
          )}
        </>
      )}
      <Importance data={data} run={run} />
    </>
  );
}

function Importance({ data, run }: { data: ViewProperties["data"]; run: string }) {
  const source = useSource();
  // Asked again when trials have ended, not at each of their epochs.
  const { completed } = data.view.counts;
  const { value, error } = useAnswer(() => source.importance(run), [source, run, completed]);
  return (
    <>
      <h2>Importance of parameters</h2>
      {value === null && error === null && <p class="faint">Asking Optuna …</p>}
      {error !== null && <p class="trouble">{error}</p>}
      {value?.missing != null && (
        <p class="faint">{`${value.missing.charAt(0).toUpperCase()}${value.missing.slice(1)}.`}</p>
      )}
      {value?.shares != null && (
        <>
          <p class="faint">
            How much each field decides on whether a trial is among the best {value.best} of{" "}
            {count(value.trials, "completed trial")} (PED-ANOVA).
          </p>
          {value.shares.map(({ parameter, share }) => (
            <div key={parameter} class="share">
              <span>{parameter}</span>
              <span class="track">
                <span style={{ width: `${(100 * share).toFixed(1)}%` }} />
              </span>
              <span>{(100 * share).toFixed(1)} %</span>
            </div>
          ))}
        </>
      )}
    </>
  );
}

/** What ECharts says of a brush, and is told of one. */
interface AxisAreaSelected {
  parallelAxisId: string;
  intervals: readonly Interval[];
}

function drawBrushes(chart: ECharts, axes: readonly BrushAxis[], brushes: Brushes): void {
  for (const axis of axes) {
    const brush: AxisAreaSelected = { parallelAxisId: axis.id, intervals: intervalsOf(brushes[axis.id], axis) };
    chart.dispatchAction({ type: "axisAreaSelect", ...brush }, { silent: true });
  }
  // ECharts takes it for the mouse's, which has drawn it: it draws the lines, and not the brush.
  chart.setOption({});
}

function brushAxes(trials: readonly TrialView[], { parameters: paths, metric }: RunView): BrushAxis[] {
  const names = shortNames(paths);
  const extentOf = (numbers: readonly number[]): Interval => [
    numbers.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY),
    numbers.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY),
  ];
  const axes = paths.map((path) => {
    const { kind, values } = axisOf(path, trials);
    const numbers = trials.map(({ parameters: of }) => of[path]).filter((each) => typeof each === "number");
    return {
      id: path,
      name: names.get(path) ?? path,
      values: kind === "category" ? values : null,
      extent: extentOf(numbers),
      of: (trial: TrialView) => trial.parameters[path],
    };
  });
  const best = trials.flatMap(({ best: of }) => of?.value ?? []);
  const of = (trial: TrialView): number | undefined => trial.best?.value;
  return [...axes, { id: METRIC_AXIS, name: metric, values: null, extent: extentOf(best), of }];
}
