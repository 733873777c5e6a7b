import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { percentileWindow } from "../../src/picture/window.ts";

const ramp = (count: number, first = 1): number[] => Array.from({ length: count }, (_, index) => first + index);

describe("percentileWindow", () => {
  it("interpolates linearly between the values, as numpy.percentile", () => {
    // numpy.percentile(np.arange(1, 8), [1, 99]) = 1.06, 6.94
    const { low, high } = percentileWindow(Float64Array.from([9, ...ramp(7)]));
    assert.ok(Math.abs(low - 1.06) < 1e-12 && Math.abs(high - 6.94) < 1e-12, `${low}, ${high}`);
  });

  it("leaves out the background, whatever its value", () => {
    for (const background of [0, -0.75, 2000]) {
      const values = [...Array(5000).fill(background), ...ramp(101, 100)];
      assert.deepEqual(percentileWindow(Float32Array.from(values)), { low: 101, high: 199 });
    }
  });

  it("is not moved by a few extreme voxels or by what isn't finite", () => {
    const { low, high } = percentileWindow(
      Float32Array.from([0, ...ramp(1000), 1.7e6, -1e6, Number.NaN, Number.POSITIVE_INFINITY]),
    );
    assert.ok(low > 9 && low < 12 && high > 989 && high < 993, `${low}, ${high}`);
  });

  it("puts a constant volume in the middle", () => {
    assert.deepEqual(percentileWindow(new Float32Array(10).fill(5)), { low: 4.5, high: 5.5 });
    assert.deepEqual(percentileWindow(new Float32Array(10).fill(Number.NaN)), { low: -0.5, high: 0.5 });
  });

  it("of a large volume is that of a sample", () => {
    const { low, high } = percentileWindow(Float32Array.from({ length: 5_000_000 }, (_, index) => index % 1000));
    assert.ok(Math.abs(low - 10) < 2 && Math.abs(high - 989) < 2, `${low}, ${high}`);
  });
});
