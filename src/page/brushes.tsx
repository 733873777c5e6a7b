/** The brushes of parallel coordinates as fields, one axis a line: they say what the mouse has brushed, and brush without a mouse. */
import { value as formatValue } from "../charts/index.ts";
import { type Brush, type BrushAxis, type Brushes, type Interval, isBrushed } from "./brush.ts";

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
