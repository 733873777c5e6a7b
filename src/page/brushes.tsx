/** The brushes of parallel coordinates as fields, one axis a line: they say what the mouse has brushed, and brush without a mouse. */
import { value as formatValue } from "../charts/index.ts";
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

function isBrushed(brush: Brush, given: ParameterValue | undefined): boolean {
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

export interface BrushesProperties {
  axes: readonly BrushAxis[];
  brushes: Brushes;
  /** Null ends the brush. */
  onBrush(axis: BrushAxis, brush: Brush | null): void;
}

export function BrushFields({ axes, brushes, onBrush }: BrushesProperties) {
  return (
    <details>
      <summary>Brush by values</summary>
      <div class="brushes">
        {axes.map((axis) => {
          const brush = brushes[axis.id];
          return (
            <fieldset key={axis.id}>
              <legend>{axis.name}</legend>
              {axis.values === null ? (
                <NumberFields axis={axis} brush={brush} onBrush={(next) => onBrush(axis, next)} />
              ) : (
                <select
                  multiple
                  size={Math.min(4, axis.values.length)}
                  aria-label={axis.name}
                  onChange={({ currentTarget: { selectedOptions } }) =>
                    onBrush(
                      axis,
                      selectedOptions.length === 0 ? null : { values: [...selectedOptions].map(optionValue) },
                    )
                  }
                >
                  {axis.values.map((each) => (
                    <option key={each} value={each} selected={brush !== undefined && isBrushed(brush, each)}>
                      {each}
                    </option>
                  ))}
                </select>
              )}{" "}
              <button
                type="button"
                disabled={brush === undefined}
                aria-label={`End the brush of ${axis.name}`}
                onClick={() => onBrush(axis, null)}
              >
                All
              </button>
            </fieldset>
          );
        })}
      </div>
    </details>
  );
}

interface NumberProperties {
  axis: BrushAxis;
  brush: Brush | undefined;
  onBrush(brush: Brush | null): void;
}

const WITHOUT_END: Interval = [-Infinity, Infinity];

function NumberFields({ axis: { name, extent }, brush, onBrush }: NumberProperties) {
  const whole = wholeOf(brush);
  return (
    <>
      {([0, 1] as const).map((end) => (
        <input
          key={end}
          type="number"
          step="any"
          aria-label={`${name} ${end === 0 ? "from" : "to"}`}
          placeholder={formatValue(extent[end])}
          value={Number.isFinite(whole[end]) ? Number(whole[end].toPrecision(6)) : ""}
          onChange={({ currentTarget: { value, valueAsNumber } }) => {
            const given = value === "" ? WITHOUT_END[end] : valueAsNumber;
            const [from, to]: Interval = end === 0 ? [given, whole[1]] : [whole[0], given];
            const isNone = from === -Infinity && to === Infinity;
            onBrush(isNone ? null : { between: [from <= to ? [from, to] : [to, from]] });
          }}
        />
      ))}
    </>
  );
}

/** From the lowest to the highest end of a brush. */
function wholeOf(brush: Brush | undefined): Interval {
  if (brush === undefined) return WITHOUT_END;
  const ends = "between" in brush ? brush.between.flat() : brush.values.map(Number);
  return [Math.min(...ends), Math.max(...ends)];
}

const optionValue = (option: HTMLOptionElement): string => option.value;

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
