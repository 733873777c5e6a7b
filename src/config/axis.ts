/** One searched field as samplers see it: one of three kinds of values, and when it is part of a trial. */
import type { ParameterValue } from "./schema.ts";
import type { AxisConfig } from "./search-schema.ts";

/** The values that a trial takes for the searched fields, by path; a field that does not apply to the trial is absent. */
export type Parameters = Record<string, ParameterValue>;

/** Another field of the space, and the values of which the trial must have one. */
export interface Condition {
  path: string;
  values: readonly ParameterValue[];
}

export type AxisValues =
  | { kind: "categorical"; values: readonly ParameterValue[] }
  /** Both bounds included; with a step only low, low + step, and so on. */
  | { kind: "float"; low: number; high: number; step: number | null; log: boolean }
  | { kind: "integer"; low: number; high: number; step: number; log: boolean };

export type Axis = AxisValues & {
  path: string;
  /** All must hold; fields that they name come before in the list of axes. */
  when: readonly Condition[];
};

export const AXIS_KINDS = ["grid", "choice", "uniform", "log_uniform", "integer"] as const;
export type AxisKind = (typeof AXIS_KINDS)[number];

/** Sums of steps are rounded to so many digits: 0.8 + 3 x 0.1 is 1.1, as a person writes it. */
const STEP_DIGITS = 12;
/** How far from a whole number of steps a value may lie, in steps. */
const STEP_TOLERANCE = 1e-6;

/** The kinds that an axis names: exactly one if it is legal. */
export function kindsOf(config: AxisConfig): AxisKind[] {
  return AXIS_KINDS.filter((kind) => config[kind] !== undefined);
}

/** The values of an axis that names one kind; undefined if it names none. */
export function axisValues(config: AxisConfig): AxisValues | undefined {
  const { step, log = false } = config;
  const values = config.grid ?? config.choice;
  if (values !== undefined) return { kind: "categorical", values };
  if (config.integer !== undefined) {
    const [low, high] = config.integer;
    return { kind: "integer", low, high, step: step ?? 1, log };
  }
  const range = config.uniform ?? config.log_uniform;
  if (range === undefined) return undefined;
  return { kind: "float", low: range[0], high: range[1], step: step ?? null, log: config.log_uniform !== undefined };
}

/** How many values there are; Infinity for a continuous axis. */
export function axisSize(axis: AxisValues): number {
  if (axis.kind === "categorical") return axis.values.length;
  if (axis.step === null) return Number.POSITIVE_INFINITY;
  // 0.3 / 0.1 is less than 3.
  return Math.floor((axis.high - axis.low) / axis.step + STEP_TOLERANCE) + 1;
}

/** The value at `index`, from 0, of an axis that is not continuous. */
export function valueAtIndex(axis: AxisValues, index: number): ParameterValue {
  if (axis.kind === "categorical") return axis.values[index] ?? 0;
  const value = axis.low + index * (axis.step ?? 0);
  return axis.kind === "integer" ? value : Number(value.toPrecision(STEP_DIGITS));
}

/** All values of an axis that is not continuous. */
export function* valuesOf(axis: AxisValues): Generator<ParameterValue> {
  for (let index = 0; index < axisSize(axis); index++) yield valueAtIndex(axis, index);
}

/** Whether the axis can take the value. */
export function allows(axis: AxisValues, value: unknown): boolean {
  if (axis.kind === "categorical") return axis.values.some((each) => each === value);
  if (typeof value !== "number" || !(value >= axis.low && value <= axis.high)) return false;
  if (axis.step === null) return true;
  const steps = (value - axis.low) / axis.step;
  return Math.abs(steps - Math.round(steps)) < STEP_TOLERANCE;
}

/** Whether the axis is part of a trial with these parameters, of which those before it are decided. */
export function isActive({ when }: Pick<Axis, "when">, parameters: Parameters): boolean {
  return when.every(({ path, values }) => {
    const value = parameters[path];
    return value !== undefined && values.includes(value);
  });
}

/** What an axis takes, for messages. */
export function describeAxis(axis: AxisValues): string {
  if (axis.kind === "categorical") return `one of ${axis.values.map((value) => JSON.stringify(value)).join(", ")}`;
  const what = axis.kind === "integer" ? "a whole number" : "a number";
  const steps = axis.step === null || (axis.kind === "integer" && axis.step === 1) ? "" : ` in steps of ${axis.step}`;
  return `${what} from ${axis.low} to ${axis.high}${steps}`;
}
