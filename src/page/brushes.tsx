/** The brushes of parallel coordinates as fields, one axis a line: they say what the mouse has brushed, and brush without a mouse. */
import { value as formatValue } from "../charts/index.ts";
import type { TrialView } from "../page-data/index.ts";

/** On one axis, both ends included; of a category by the places of its values. */
export type Interval = [from: number, to: number];

/** By the id of an axis; one without a brush has no intervals, or is left out. */
export type Brushes = Readonly<Record<string, readonly Interval[]>>;

export interface BrushAxis {
  id: string;
  name: string;
  /** Of a category: its values; else null. */
  values: readonly string[] | null;
  /** Of numbers: the smallest and the largest. */
  extent: Interval;
  /** Where on it a trial is; NaN if nowhere. */
  of(trial: TrialView): number;
}

/** The trials that all brushes leave, in their order; null without a brush. */
export function brushedBy(
  brushes: Brushes,
  axes: readonly BrushAxis[],
  trials: readonly TrialView[],
): TrialView[] | null {
  const used = axes.flatMap(({ id, of }) => {
    const intervals = brushes[id] ?? [];
    return intervals.length === 0 ? [] : [{ of, intervals }];
  });
  if (used.length === 0) return null;
  return trials.filter((trial) =>
    used.every(({ of, intervals }) => {
      const at = of(trial);
      return intervals.some(([from, to]) => from <= at && at <= to);
    }),
  );
}

export interface BrushesProperties {
  axes: readonly BrushAxis[];
  brushes: Brushes;
  onBrush(axis: string, intervals: Interval[]): void;
}

export function BrushFields({ axes, brushes, onBrush }: BrushesProperties) {
  return (
    <details>
      <summary>Brush by values</summary>
      <div class="brushes">
        {axes.map((axis) => {
          const intervals = brushes[axis.id] ?? [];
          const brush = (chosen: Interval[]): void => onBrush(axis.id, chosen);
          return (
            <fieldset key={axis.id}>
              <legend>{axis.name}</legend>
              {axis.values === null ? (
                <NumberFields axis={axis} brushed={intervals} onBrush={brush} />
              ) : (
                <select
                  multiple
                  size={Math.min(4, axis.values.length)}
                  aria-label={axis.name}
                  onChange={({ currentTarget }) => brush(runsOf([...currentTarget.selectedOptions].map(placeOf)))}
                >
                  {axis.values.map((each, place) => (
                    <option
                      key={each}
                      value={place}
                      selected={intervals.some(([from, to]) => from <= place && place <= to)}
                    >
                      {each}
                    </option>
                  ))}
                </select>
              )}{" "}
              <button
                type="button"
                disabled={intervals.length === 0}
                aria-label={`End the brush of ${axis.name}`}
                onClick={() => brush([])}
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
  brushed: readonly Interval[];
  onBrush(intervals: Interval[]): void;
}

function NumberFields({ axis: { name, extent }, brushed, onBrush }: NumberProperties) {
  const whole: Interval = [brushed[0]?.[0] ?? extent[0], brushed.at(-1)?.[1] ?? extent[1]];
  return (
    <>
      {([0, 1] as const).map((end) => (
        <input
          key={end}
          type="number"
          step="any"
          aria-label={`${name} ${end === 0 ? "from" : "to"}`}
          placeholder={formatValue(extent[end])}
          value={brushed.length === 0 ? "" : Number(whole[end].toPrecision(6))}
          onChange={({ currentTarget }) => {
            const given = currentTarget.value === "" ? extent[end] : currentTarget.valueAsNumber;
            const next: Interval = end === 0 ? [given, whole[1]] : [whole[0], given];
            onBrush(next[0] <= extent[0] && next[1] >= extent[1] ? [] : [next]);
          }}
        />
      ))}
    </>
  );
}

const placeOf = (option: HTMLOptionElement): number => Number(option.value);

/** Places one after the other are one interval, which is drawn as one. */
export function runsOf(places: readonly number[]): Interval[] {
  const runs: Interval[] = [];
  for (const place of places) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === place - 1) last[1] = place;
    else runs.push([place, place]);
  }
  return runs;
}
