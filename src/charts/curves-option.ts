/** Metrics by epoch, as ECharts draws them. */
import type { CurveView } from "../page-data/index.ts";
import { axisStyle, type Colours, tooltipStyle } from "./colours.ts";
import { metric as formatMetric } from "./format.ts";
import { smoothed } from "./smooth.ts";

export interface CurveLine {
  key: string;
  name: string;
  curve: CurveView;
  colour: string;
  /** Tells it from another one of its colour. */
  dashed: boolean;
}

export interface CurvesLook {
  metric: string;
  /** Weight of what came before, from 0 to below 1. */
  smoothing: number;
  logY: boolean;
  colours: Colours;
}

export function curvesOption(lines: readonly CurveLine[], { metric, smoothing, logY, colours }: CurvesLook) {
  return {
    animation: false,
    grid: { left: 60, right: 20, top: 30, bottom: 70 },
    tooltip: {
      trigger: "axis",
      valueFormatter: (value: unknown) => formatMetric(typeof value === "number" ? value : null),
      order: "valueDesc",
      ...tooltipStyle(colours),
    },
    xAxis: {
      type: "value",
      name: "epoch",
      nameLocation: "middle",
      nameGap: 25,
      minInterval: 1,
      axisPointer: { label: { precision: 0 } },
      min: 1,
      ...axisStyle(colours),
    },
    yAxis: { type: logY ? "log" : "value", scale: true, name: metric, ...axisStyle(colours) },
    // Points beside what is shown stay: lines lead to them.
    dataZoom: [
      { type: "inside", filterMode: "none" },
      { type: "slider", height: 18, bottom: 8, filterMode: "none" },
    ],
    series: lines.map(({ key, name, curve, colour, dashed }) => ({
      id: key,
      name,
      type: "line",
      color: colour,
      lineStyle: { width: 1.5, type: dashed ? "dashed" : "solid" },
      showSymbol: curve.epochs.length === 1,
      emphasis: { focus: "series" },
      data: smoothed(curve.metrics[metric] ?? [], smoothing).map((value, at) => [
        curve.epochs[at],
        // A logarithm has no place for it.
        logY && value !== null && value <= 0 ? null : value,
      ]),
    })),
  };
}
