/** Exponential moving average as TensorBoard's: each value is `weight` of the one before it, without the pull of a zero at the start. */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  let last = 0;
  let seen = 0;
  return values.map((value) => {
    if (value === null || weight === 0) return value;
    last = last * weight + (1 - weight) * value;
    seen++;
    return last / (1 - weight ** seen);
  });
}
