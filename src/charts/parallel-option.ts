/** Parameters and the metric as parallel coordinates, as ECharts draws them: a line is a trial. */
import type { TrialView } from "../page-data/index.ts";
import { type Colours, colourAt } from "./colours.ts";
import { shortNames } from "./format.ts";
import { axisOf, onAxis, ranks } from "./parameter-axes.ts";

/** The id of the last axis; those of the others are the paths of their fields. */
export const METRIC_AXIS = "metric of the search";

/** What of a run it takes. */
export interface ParallelRun {
  metric: string;
  mode: "max" | "min";
  parameters: readonly string[];
}

/** Many lines hide each other; few are to be seen on a dark page too. */
const opacityOf = (lines: number): number => (lines > 500 ? 0.25 : lines > 50 ? 0.6 : 0.9);

/** @param trials the best first, all with a best value */
export function parallelOption(
  trials: readonly TrialView[],
  { metric, mode, parameters }: ParallelRun,
  colours: Colours,
) {
  const names = shortNames(parameters);
  const axes = parameters.map((path) => axisOf(path, trials));
  const shares = ranks(
    trials.map(({ best }) => best?.value ?? 0),
    mode,
  );
  // Lines cross the labels.
  const halo = { textBorderColor: colours.back, textBorderWidth: 3 };
  const labels = { color: colours.text, ...halo, overflow: "truncate", width: 110 };
  // ECharts itself would write 0.00009999999999999999.
  const numbers = { ...labels, formatter: (number: number) => String(Number(number.toPrecision(6))) };
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
        axisLabel: labels,
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
          : { type: kind === "log" ? "log" : "value", scale: true, axisLabel: numbers }),
      })),
      { id: METRIC_AXIS, dim: axes.length, name: metric, type: "value", scale: true },
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
          lineStyle: { color: colourAt(shares[index] ?? 0), width: 1.2, opacity: opacityOf(trials.length) },
        }))
        .reverse(),
    },
  };
}
