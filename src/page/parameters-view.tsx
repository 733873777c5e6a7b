/** What the searched fields have to do with the metric: parallel coordinates, and how much each decides. */
import type { ECharts } from "echarts/core";
import { useMemo, useState } from "preact/hooks";
import type { ViewProperties } from "./app.tsx";
import { Chart } from "./chart.tsx";
import { count, metric as formatMetric, parameters, shortNames } from "./format.ts";
import { linkTo, ranked, useAnswer, useColours, useSource } from "./hooks.ts";
import { axisOf, onAxis, ranks } from "./parameter-axes.ts";
import { useSelection } from "./selection.ts";

const MOST_LISTED = 10;
/** From the worst to the best, told apart also by who sees no red or no green. */
const FROM_TO: [number, number, number][] = [
  [120, 128, 140],
  [11, 125, 136],
  [214, 120, 10],
];

export function ParametersView({ data, place: { run } }: ViewProperties) {
  const { view } = data;
  const colours = useColours();
  const selection = useSelection(run);
  const [brushed, setBrushed] = useState<readonly string[] | null>(null);
  const trials = useMemo(() => ranked(data).filter(({ best }) => best !== null), [view]);
  const names = shortNames(view.parameters);
  const axes = useMemo(() => view.parameters.map((path) => axisOf(path, trials)), [trials]);
  const option = useMemo(() => {
    const shares = ranks(
      trials.map(({ best }) => best?.value ?? 0),
      view.mode,
    );
    return {
      animation: false,
      parallel: {
        left: 60,
        right: 80,
        top: 40,
        bottom: 20,
        parallelAxisDefault: {
          nameTextStyle: { color: colours.text },
          nameTruncate: { maxWidth: 180 },
          axisLine: { lineStyle: { color: colours.faint } },
          axisLabel: { color: colours.faint, overflow: "truncate", width: 110 },
          areaSelectStyle: { width: 18, borderColor: colours.accent, color: colours.accent, opacity: 0.25 },
        },
      },
      parallelAxis: [
        ...axes.map(({ path, kind, values }, dim) => ({
          id: path,
          dim,
          name: names.get(path) ?? path,
          ...(kind === "category"
            ? { type: "category", data: values }
            : { type: kind === "log" ? "log" : "value", scale: true }),
        })),
        { id: "metric of the search", dim: axes.length, name: view.metric, type: "value", scale: true },
      ],
      series: {
        id: "trials",
        type: "parallel",
        progressive: 500,
        smooth: false,
        inactiveOpacity: 0.04,
        // The best are drawn last, above the others.
        data: trials
          .map((trial, index) => ({
            name: trial.id,
            value: [...axes.map((axis) => onAxis(axis, trial) ?? "-"), trial.best?.value ?? "-"],
            lineStyle: { color: colourAt(shares[index] ?? 0), width: 1.2, opacity: trials.length > 500 ? 0.25 : 0.6 },
          }))
          .reverse(),
      },
    };
  }, [trials, axes, colours]);
  const onReady = (chart: ECharts): void => {
    chart.on("axisareaselected", () => setBrushed(activeTrials(chart)));
  };
  const chosen = brushed ?? [];
  const listed = trials.filter(({ id }) => chosen.includes(id)).slice(0, MOST_LISTED);
  return (
    <>
      <h2>Parallel coordinates</h2>
      {trials.length === 0 || axes.length === 0 ? (
        <p class="faint">
          {axes.length === 0 ? "This experiment searches no field." : `No trial has reported ${view.metric} yet.`}
        </p>
      ) : (
        <>
          <p class="faint">
            A line is a trial, from grey (worst) over teal to orange (best). Drag along an axis to brush it, click the
            axis to end that; the filter of the <a href={linkTo({ run, view: "trials" })}>table</a> does the same
            without a mouse.
          </p>
          <Chart
            option={option}
            height={380}
            label={`Parameters and ${view.metric} of ${trials.length} trials`}
            onReady={onReady}
          />
          {brushed !== null && (
            <section aria-live="polite">
              <h3>
                {count(brushed.length, "trial")} brushed{" "}
                <button type="button" disabled={brushed.length === 0} onClick={() => selection.replace(brushed)}>
                  Choose them for the curves
                </button>
              </h3>
              <ol class="list">
                {listed.map((trial) => (
                  <li key={trial.id}>
                    <a href={linkTo({ run, view: "trial", trial: trial.id })}>{trial.id}</a>{" "}
                    <b>{formatMetric(trial.best?.value)}</b> <span class="faint">{parameters(trial.parameters)}</span>
                  </li>
                ))}
              </ol>
              {brushed.length > MOST_LISTED && <p class="faint">and {brushed.length - MOST_LISTED} more</p>}
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
      {value?.missing != null && <p class="faint">{value.missing}</p>}
      {value?.shares != null && (
        <>
          <p class="faint">
            How much each field decides on whether a trial is among the best tenth (PED-ANOVA), over{" "}
            {count(value.trials, "trial")}.
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

/** The trials that all brushes leave; null without a brush. */
function activeTrials(chart: ECharts): string[] | null {
  const options = chart.getOption() as {
    parallelAxis?: { activeIntervals?: unknown[] }[];
    series?: { data?: { name: string }[] }[];
  };
  const model = (chart as unknown as Model).getModel().getSeriesByIndex(0);
  const items = options.series?.[0]?.data ?? [];
  const active = model.getRawIndicesByActiveState("active");
  const inactive = model.getRawIndicesByActiveState("inactive");
  if (active.length === 0 && inactive.length === 0) return null;
  return active.flatMap((index) => items[index]?.name ?? []);
}

/** Documented for this purpose, but not in ECharts' types. */
interface Model {
  getModel(): {
    getSeriesByIndex(index: number): { getRawIndicesByActiveState(state: "active" | "inactive"): number[] };
  };
}

function colourAt(share: number): string {
  const place = share * (FROM_TO.length - 1);
  const from = Math.min(FROM_TO.length - 2, Math.floor(place));
  const [a, b] = [FROM_TO[from], FROM_TO[from + 1]];
  const mixed = [0, 1, 2].map((part) =>
    Math.round((a?.[part] ?? 0) + ((b?.[part] ?? 0) - (a?.[part] ?? 0)) * (place - from)),
  );
  return `rgb(${mixed.join(",")})`;
}
