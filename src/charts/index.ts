/** Charts of a run as ECharts' options, for the page and for figures: no DOM, and nothing of ECharts itself. */
export { axisStyle, type Colours, PAPER, tooltipStyle } from "./colours.ts";
export { type CurveLine, curvesOption } from "./curves-option.ts";
export { count, duration, metric, moment, parameters, shortNames, value } from "./format.ts";
export { importanceOption } from "./importance-option.ts";
export { type Lane, lanesOf } from "./lanes.ts";
export { METRIC_AXIS, parallelOption } from "./parallel-option.ts";
export { axisOf, ranks } from "./parameter-axes.ts";
export { ranked } from "./ranked.ts";
export { smoothed } from "./smooth.ts";
export { barsOf, laneName, OUTCOMES, timelineHeight, timelineOption } from "./timeline-option.ts";
