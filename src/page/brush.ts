/** What is brushed of the axes of parallel coordinates, and which trials that leaves. */
import type { ParameterValue, TrialView } from "../page-data/index.ts";

/** Both ends included. */
export type Interval = readonly [from: number, to: number];

/** What of an axis is brushed, whatever the axis looks like: numbers, without an end where one is infinite; or values. */
export type Brush = { readonly between: readonly Interval[] } | { readonly values: readonly string[] };

/** By the id of an axis; one without a brush is left out. */
export type Brushes = Readonly<Record<string, Brush>>;

export interface BrushAxis {
  id: string;
  name: string;
  /** Of a category: its values; else null. */
  values: readonly string[] | null;
  /** Of numbers: the smallest and the largest. */
  extent: Interval;
  /** What a trial has there; undefined if nothing. */
  of(trial: TrialView): ParameterValue | undefined;
}

export function withBrush(brushes: Brushes, axis: string, brush: Brush | null): Brushes {
  const { [axis]: _, ...others } = brushes;
  return brush === null ? others : { ...others, [axis]: brush };
}

export function isBrushed(brush: Brush, given: ParameterValue | undefined): boolean {
  if (given === undefined) return false;
  if ("values" in brush) return brush.values.includes(String(given));
  return brush.between.some(([from, to]) => from <= Number(given) && Number(given) <= to);
}

/** The trials that all brushes leave, in their order; null without a brush. */
export function brushedBy(
  brushes: Brushes,
  axes: readonly BrushAxis[],
  trials: readonly TrialView[],
): TrialView[] | null {
  const used = axes.flatMap(({ id, of }) => {
    const brush = brushes[id];
    return brush === undefined ? [] : [{ of, brush }];
  });
  if (used.length === 0) return null;
  return trials.filter((trial) => used.every(({ of, brush }) => isBrushed(brush, of(trial))));
}

/** A brush as ECharts draws it: on the axis as it is now, of a category by the places of its values. */
export function intervalsOf(brush: Brush | undefined, { values, extent: [least, most] }: BrushAxis): Interval[] {
  if (brush === undefined) return [];
  if (values !== null) return runsOf(values.flatMap((value, place) => (isBrushed(brush, value) ? [place] : [])));
  const between =
    "between" in brush ? brush.between : brush.values.map((value): Interval => [Number(value), Number(value)]);
  const within = (end: number): number => Math.min(most, Math.max(least, end));
  return between.map(([from, to]) => [within(from), within(to)]);
}

/** What was drawn on an axis: to its end is without an end, as trials that come may be beyond. Null if nothing was. */
export function brushOf(intervals: readonly Interval[], { values, extent: [least, most] }: BrushAxis): Brush | null {
  if (intervals.length === 0) return null;
  if (values !== null)
    return { values: values.filter((_, place) => intervals.some(([from, to]) => from <= place && place <= to)) };
  const open = ([from, to]: Interval): Interval => [from <= least ? -Infinity : from, to >= most ? Infinity : to];
  return { between: intervals.map(open) };
}

/** Places one after the other are one interval, which is drawn as one. */
export function runsOf(places: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const place of places) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === place - 1) last[1] = place;
    else runs.push([place, place]);
  }
  return runs;
}
