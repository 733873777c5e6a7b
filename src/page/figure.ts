/** A chart as SVG, without a browser: a bundle of its own, so that ECharts is no dependency of what runs on a cluster. */
import { BarChart, CustomChart, LineChart, ParallelChart } from "echarts/charts";
import { GridComponent, LegendComponent, ParallelComponent, TitleComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([
  BarChart,
  CustomChart,
  GridComponent,
  LegendComponent,
  LineChart,
  ParallelChart,
  ParallelComponent,
  SVGRenderer,
  TitleComponent,
]);

/** In pixels. */
export interface FigureSize {
  width: number;
  height: number;
}

export function drawFigure(option: EChartsCoreOption, size: FigureSize): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...size });
  try {
    chart.setOption(option);
    // ECharts escapes markup, but a name may have what XML has no way to write.
    return chart.renderToSVGString().replaceAll(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD");
  } finally {
    chart.dispose();
  }
}
