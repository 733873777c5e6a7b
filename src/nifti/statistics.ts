/** Sums over voxels that are seen a block at a time. */
export interface Statistics {
  add(values: Float64Array): void;
  /** Over the finite values; null where there is none, or where the sum leaves float64. */
  result(): { min: number | null; max: number | null; sum: number | null; nonfinite: number };
}

/** The sum is compensated (Neumaier 1974), so that its error doesn't grow with the number of voxels. */
export function createStatistics(): Statistics {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [sum, compensation, nonfinite] = [0, 0, 0];
  return {
    add(values) {
      for (let index = 0; index < values.length; index++) {
        const value = values[index] ?? 0;
        // NaN and the infinities are the numbers whose difference with themselves isn't 0.
        if (value - value !== 0) {
          nonfinite++;
          continue;
        }
        if (value < min) min = value;
        if (value > max) max = value;
        const next = sum + value;
        compensation += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
        sum = next;
      }
    },
    result() {
      const total = sum + compensation;
      const some = min <= max;
      return {
        min: some ? min : null,
        max: some ? max : null,
        sum: some && Number.isFinite(total) ? total : null,
        nonfinite,
      };
    },
  };
}
