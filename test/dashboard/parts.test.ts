/** What the page works out, without a browser. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { axisOf, lanesOf, ranks, smoothed } from "../../src/charts/index.ts";
import { type BrushAxis, type Brushes, brushedBy, brushOf, intervalsOf } from "../../src/page/brush.ts";
import { type Column, filterOf, sorted } from "../../src/page/trial-filter.ts";
import type { AttemptView, TrialView } from "../../src/page-data/index.ts";

function trial(id: string, value: number | null, parameters: TrialView["parameters"] = {}): TrialView {
  const rest = { epoch: 1, epochs: 2, metrics: {}, seconds: 1, nodes: ["n1"], gpus: [], attempts: 1, error: null };
  return { id, state: "completed", parameters, best: value === null ? null : { value, epoch: 1 }, ...rest };
}

const columns: Column[] = [
  { id: "best", title: "val_dice", name: "Best", of: ({ best }) => best?.value },
  { id: "model.norm", title: "norm", name: "model.norm", of: ({ parameters }) => parameters["model.norm"] },
];
const trials = [
  trial("0001", 0.5, { "model.norm": "batch" }),
  trial("0002", null, { "model.norm": "group" }),
  trial("0003", 0.9, { "model.norm": "group" }),
];

describe("the table", () => {
  it("filters by columns and by text", () => {
    const ids = (text: string) => trials.filter(filterOf(text, columns)).map(({ id }) => id);
    assert.deepEqual(ids(""), ["0001", "0002", "0003"]);
    assert.deepEqual(ids("norm=group"), ["0002", "0003"]);
    assert.deepEqual(ids("model.norm=group val_dice>0.8"), ["0003"]);
    assert.deepEqual(ids("val_dice<=0.5"), ["0001"]);
    assert.deepEqual(ids("GROUP"), ["0002", "0003"]);
    assert.deepEqual(ids("(["), [], "what is no column is text");
  });

  it("sorts, with those without a value last in both directions", () => {
    const ids = (descending: boolean) => sorted(trials, { column: "best", descending }, columns).map(({ id }) => id);
    assert.deepEqual(ids(true), ["0003", "0001", "0002"]);
    assert.deepEqual(ids(false), ["0001", "0003", "0002"]);
    const many = ["9999", "10000", "0002"].map((id) => trial(id, 1));
    const byId = [{ id: "trial", title: "trial", name: "Trial", of: ({ id }: TrialView) => id }];
    const order = sorted(many, { column: "trial", descending: false }, byId).map(({ id }) => id);
    assert.deepEqual(order, ["0002", "9999", "10000"]);
  });
});

describe("the colours of words", () => {
  const css = readFileSync(path.join(import.meta.dirname, "../../src/page/page.css"), "utf8");
  const channels = (hex: string) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  /** WCAG 2.1, relative luminance and contrast ratio. */
  const luminance = (colour: readonly number[]): number => {
    const [red = 0, green = 0, blue = 0] = colour
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: readonly number[], other: readonly number[]): number => {
    const [dark = 0, bright = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };

  for (const [name, at] of [
    ["light", 0],
    ["dark", 1],
  ] as const)
    it(`stand out from what is behind them, ${name}`, () => {
      const part = css.split("@media (prefers-color-scheme: dark)")[at] ?? "";
      const of = (variable: string): number[] =>
        channels(new RegExp(`--${variable}: (#[0-9a-f]{6});`).exec(part)?.[1] ?? "");
      const accent = of("accent");
      // A row under the mouse, or chosen, see .trials in the style sheet.
      const row = of("back").map((value, channel) => 0.88 * value + 0.12 * (accent[channel] ?? 0));
      const states = ["running", "completed", "failed", "pruned", "interrupted"].map((state) => `state-${state}`);
      for (const word of ["text", "faint", ...states])
        for (const behind of [of("back"), of("raised"), row])
          assert.ok(contrast(of(word), behind) >= 4.5, `${word}: ${contrast(of(word), behind).toFixed(2)}`);
    });
});

describe("brushes", () => {
  const filters = [8, 16, 32, 16, 8].map((given, at) => trial(String(at), 0.5 + at / 10, { filters: given }));
  const of = ({ parameters }: TrialView) => parameters.filters;
  const numbers: BrushAxis = { id: "filters", name: "filters", values: null, extent: [8, 32], of };
  const places: BrushAxis = { ...numbers, values: ["8", "16", "32"] };
  const ids = (brushes: Brushes, axis: BrushAxis) => brushedBy(brushes, [axis], filters)?.map(({ id }) => id);

  it("mean the same when the axis becomes another one", () => {
    const drawn = { filters: brushOf([[12, 40]], numbers) ?? assert.fail() };
    assert.deepEqual(drawn.filters, { between: [[12, Number.POSITIVE_INFINITY]] });
    for (const axis of [numbers, places]) assert.deepEqual(ids(drawn, axis), ["1", "2", "3"]);
    assert.deepEqual(intervalsOf(drawn.filters, numbers), [[12, 32]]);
    assert.deepEqual(intervalsOf(drawn.filters, places), [[1, 2]]);
    const chosen = { filters: brushOf([[0, 0]], places) ?? assert.fail() };
    assert.deepEqual(chosen.filters, { values: ["8"] });
    for (const axis of [numbers, places]) assert.deepEqual(ids(chosen, axis), ["0", "4"]);
    assert.deepEqual(intervalsOf(chosen.filters, { ...places, values: ["4", "8", "16", "32"] }), [[1, 1]]);
  });

  it("of several axes leave what all of them leave, and none leaves everything", () => {
    const best: BrushAxis = { id: "best", name: "best", values: null, extent: [0, 1], of: (each) => each.best?.value };
    const brushes: Brushes = { filters: { values: ["8", "32"] }, best: { between: [[0.6, Number.POSITIVE_INFINITY]] } };
    assert.deepEqual(
      brushedBy(brushes, [numbers, best], filters)?.map(({ id }) => id),
      ["2", "4"],
    );
    assert.equal(brushedBy({}, [numbers], filters), null);
    assert.equal(brushOf([], numbers), null);
  });
});

describe("smoothing", () => {
  it("has no pull to zero at the start, and passes over gaps", () => {
    assert.deepEqual(
      smoothed([1, 1, 1], 0.9).map((value) => Number(value?.toFixed(6))),
      [1, 1, 1],
    );
    assert.deepEqual(smoothed([1, null, 3], 0), [1, null, 3]);
    const [, gap, last] = smoothed([1, null, 3], 0.5);
    assert.equal(gap, null);
    assert.ok(Math.abs((last ?? 0) - (1 * 0.25 + 3 * 0.5) / 0.75) < 1e-9);
  });
});

describe("the axes of parameters", () => {
  const of = (...values: (number | string | boolean)[]) =>
    axisOf(
      "p",
      values.map((value, index) => trial(String(index), 1, { p: value })),
    );
  it("are logarithmic where values spread over orders, and steps where there are few", () => {
    assert.deepEqual(of("b", "a", true).values, ["a", "b", "true"]);
    assert.deepEqual(of(8, 16, 32, 8, 16, 32).values, ["8", "16", "32"]);
    assert.equal(of(0.1, 0.12, 0.17).kind, "number", "drawn from a range");
    const many = Array.from({ length: 20 }, (_, index) => index);
    assert.equal(of(...many.map((index) => 10 ** (-index / 4))).kind, "log");
    assert.equal(of(...many).kind, "number");
  });
  it("colour by rank", () => {
    assert.deepEqual(ranks([0.1, 0.9, 0.5], "max"), [0, 1, 0.5]);
    assert.deepEqual(ranks([0.1, 0.9, 0.5], "min"), [1, 0, 0.5]);
  });
});

describe("the timeline", () => {
  const at = (
    node: string,
    gpu: string | null,
    start: number,
    end: number | null,
    more: Partial<AttemptView> = {},
  ) => ({
    trial: "0001",
    attempt: 1,
    places: [{ node, gpu }],
    start,
    end,
    outcome: end === null ? ("running" as const) : ("completed" as const),
    error: null,
    ...more,
  });
  it("tells utilisation, gaps and failures of each GPU", () => {
    const lanes = lanesOf(
      [
        at("n10", "0", 0, 10_000),
        at("n2", "0", 0, 4_000, { outcome: "lost" }),
        at("n2", "0", 6_000, null, { attempt: 2 }),
      ],
      0,
      10_000,
    );
    assert.deepEqual(
      lanes.map(({ node, utilisation, longestGap, failures, retries, running }) => [
        node,
        utilisation,
        longestGap,
        failures,
        retries,
        running.length,
      ]),
      [
        ["n2", 0.8, 2, 1, 1, 1],
        ["n10", 1, 0, 0, 0, 0],
      ],
    );
  });
  it("draws an attempt once where several of its replicas are", () => {
    const both = [
      { node: "n", gpu: null },
      { node: "n", gpu: null },
    ];
    const lanes = lanesOf([at("n", null, 0, 10_000, { places: both })], 0, 10_000);
    assert.deepEqual(
      lanes.map(({ bars, rows }) => [bars.length, rows]),
      [[1, 1]],
    );
  });
  it("draws trials that share a GPU beside each other, and counts their time once", () => {
    const [lane] = lanesOf([at("n", "0", 0, 10_000), at("n", "0", 2_000, 6_000)], 0, 10_000);
    assert.deepEqual([lane?.rows, lane?.utilisation, lane?.bars.map(({ row }) => row)], [2, 1, [0, 1]]);
  });
});
