/** A chart of ECharts that follows the size of the page. */
import type { ECharts, EChartsCoreOption } from "echarts/core";
import { useEffect, useRef, useState } from "preact/hooks";

interface Zoomed {
  start?: number;
  end?: number;
}

export interface ChartProperties {
  option: EChartsCoreOption;
  /** What it shows, for those who can't see it. */
  label: string;
  height: number;
  /** Once, when the chart is there. */
  onReady?: (chart: ECharts) => void;
  /** It has a dataZoom along its x axis, which keys move as well. */
  zoom?: boolean;
}

/** Per cent of the x axis. */
type Window = readonly [start: number, end: number];

const LEAST_WINDOW = 1;

/** What a key makes of the window; null if it is for something else. */
function zoomed(key: string, [start, end]: Window): Window | null {
  const [middle, size] = [(start + end) / 2, end - start];
  const around = (wanted: number): Window => {
    const width = Math.min(100, Math.max(LEAST_WINDOW, wanted));
    const from = Math.min(100 - width, Math.max(0, middle - width / 2));
    return [from, from + width];
  };
  const moved = (by: number): Window => {
    const from = Math.min(100 - size, Math.max(0, start + by * size));
    return [from, from + size];
  };
  const keys: Record<string, () => Window> = {
    "+": () => around(size / 2),
    "=": () => around(size / 2),
    "-": () => around(size * 2),
    ArrowLeft: () => moved(-0.25),
    ArrowRight: () => moved(0.25),
    Home: () => [0, 100],
  };
  return keys[key]?.() ?? null;
}

export function Chart({ option, label, height, onReady, zoom = false }: ChartProperties) {
  const element = useRef<HTMLDivElement>(null);
  const [chart, setChart] = useState<ECharts | null>(null);
  const shown = useRef<Window>([0, 100]);
  useEffect(() => {
    let disposed = false;
    let made: ECharts | null = null;
    const observer = new ResizeObserver(() => made?.resize());
    void import("./echarts.ts").then(({ init }) => {
      if (disposed || element.current === null) return;
      made = init(element.current);
      made.on("datazoom", (event) => {
        const { batch, ...own } = event as { batch?: Zoomed[] } & Zoomed;
        const { start, end } = batch?.[0] ?? own;
        if (start !== undefined && end !== undefined) shown.current = [start, end];
      });
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
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = event.ctrlKey || event.metaKey || event.altKey ? null : zoomed(event.key, shown.current);
    if (next === null) return;
    const [start, end] = next;
    chart?.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, start, end });
    event.preventDefault();
  };
  return (
    <div
      ref={element}
      class="chart"
      role="img"
      aria-label={zoom ? `${label}; the keys + and - zoom, the arrows move, Home shows all` : label}
      style={{ height: `${height}px` }}
      {...(zoom ? { tabIndex: 0, onKeyDown } : {})}
    />
  );
}
