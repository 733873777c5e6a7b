/** A chart of ECharts that follows the size of the page. */
import type { ECharts, EChartsCoreOption } from "echarts/core";
import { useEffect, useRef, useState } from "preact/hooks";

export interface ChartProperties {
  option: EChartsCoreOption;
  /** What it shows, for those who can't see it. */
  label: string;
  height: number;
  /** Once, when the chart is there. */
  onReady?: (chart: ECharts) => void;
}

export function Chart({ option, label, height, onReady }: ChartProperties) {
  const element = useRef<HTMLDivElement>(null);
  const [chart, setChart] = useState<ECharts | null>(null);
  useEffect(() => {
    let disposed = false;
    let made: ECharts | null = null;
    const observer = new ResizeObserver(() => made?.resize());
    void import("./echarts.ts").then(({ init }) => {
      if (disposed || element.current === null) return;
      made = init(element.current);
      observer.observe(element.current);
      setChart(made);
      onReady?.(made);
    });
    return () => {
      disposed = true;
      observer.disconnect();
      // What a progressive series has still to draw would be drawn on what is gone: an empty picture ends it.
      made?.clear();
      made?.getZr().refreshImmediately();
      made?.dispose();
    };
  }, []);
  useEffect(() => {
    chart?.setOption(option, { replaceMerge: ["series", "xAxis", "yAxis", "parallelAxis"] });
    // The tests look at what is drawn.
    if (chart !== null && element.current !== null) element.current.dataset.drawn = String(Date.now());
  }, [chart, option]);
  return <div ref={element} class="chart" role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
