import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RunEvent, RunResults, TrialSummary } from "../../src/experiment/index.ts";
import { createReporter, formatMetric, formatParameters, formatSeconds, resultsTable } from "../../src/report/index.ts";

function trial(number: number, more: Partial<TrialSummary> = {}): TrialSummary {
  return {
    trial: String(number).padStart(4, "0"),
    state: "completed",
    parameters: { "train.learning_rate": number / 1000, "model.norm": "batch", "train.beta2": 0.99 },
    epoch: 3,
    epochs: 3,
    best: { value: 1 - number / 10, epoch: 2, checkpoint: "" },
    metrics: {},
    seconds: 12.34,
    nodes: ["node"],
    gpus: ["0"],
    attempts: 1,
    error: null,
    dir: "/runs/x",
    ...more,
  };
}

function results(trials: TrialSummary[]): RunResults {
  const best = trials[0] ?? null;
  return {
    state: "finished",
    limit: null,
    runDir: "/runs/x",
    metric: "val_dice",
    mode: "max",
    trials,
    best,
    model: null,
  };
}

describe("resultsTable", () => {
  it("shows only parameters that vary, in the given order", () => {
    const lines = resultsTable(results([trial(1), trial(2)]), { width: 80 }).split("\n");
    assert.match(lines[1] ?? "", /^│ trial │ learning_rate │ best val_dice │ epoch │ +time │$/);
    assert.match(lines[3] ?? "", /^│ 0001 +│ +0\.001 │ +0\.9000 │ +2\/3 │ 12\.3 s │$/);
  });

  it("leaves parameters out, the last ones first, where there are too many for the terminal", () => {
    const many = [1, 2].map((number) =>
      trial(number, {
        parameters: Object.fromEntries(
          Array.from({ length: 12 }, (_, at) => [`trainer.parameters.field_${at}`, `value ${number}`]),
        ),
      }),
    );
    for (const width of [80, 60, 40]) {
      const lines = resultsTable(results(many), { width }).split("\n");
      for (const line of lines) assert.ok(line.length <= width, `${width}: ${line}`);
      assert.match(lines[1] ?? "", /^│ trial │ .*│ (best v|be|b).*│$/);
    }
    assert.match(resultsTable(results(many), { width: 80 }), /field/);
  });

  it("fits the terminal: leaves columns out, then cuts", () => {
    const long = [1, 2].map((number) =>
      trial(number, {
        parameters: Object.fromEntries(
          ["alpha", "beta", "gamma", "delta"].map((name) => [
            `trainer.parameters.${name}_of_the_model`,
            `a-long-value-${number}`,
          ]),
        ),
      }),
    );
    for (const width of [200, 120, 80, 60]) {
      const table = resultsTable(results(long), { width });
      for (const line of table.split("\n")) assert.ok(line.length <= width, `${width}: ${line}`);
      assert.match(table, /0\.9000|0\.…/);
    }
  });

  it("shows failures below, without what could steer the terminal, and counts what it leaves out", () => {
    const failed = trial(3, { state: "failed", best: null, error: "bad \u001b[31m name; log: /x" });
    const table = resultsTable(results([trial(1), trial(2), failed]), { width: 80, rows: 2 });
    assert.match(table, /\nand 1 more in results\.csv\ntrial 0003 failed: bad {2}\[31m name; log: \/x$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    assert.doesNotMatch(table, /\u001b/);
  });
});

describe("formats", () => {
  it("reads well", () => {
    assert.deepEqual([0.5, 0, 1e-5, 123.456, Number.NaN, null].map(formatMetric), [
      "0.5000",
      "0.0000",
      "1.000e-5",
      "123.5",
      "NaN",
      "-",
    ]);
    assert.deepEqual([1.25, 75, 3725].map(formatSeconds), ["1.3 s", "1:15", "1:02:05"]);
    assert.equal(formatParameters({ "a.rate": 1, "b.rate": 2, "model.norm": "x" }), "a.rate=1 b.rate=2 norm=x");
    assert.equal(formatParameters({ rate: 0.00036943801, seed: 1234567890 }), "rate=0.00036944 seed=1234567890");
  });
});

describe("reporter", () => {
  const time = "2026-01-01T00:00:00.000Z";
  const cost = { seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "" };
  const events: RunEvent[] = [
    {
      type: "run_started",
      time,
      name: "x",
      runDir: "/r",
      trials: 2,
      endedBefore: 0,
      failedBefore: 0,
      prunedBefore: 0,
      continued: false,
      metric: "val_dice",
      mode: "max",
      best: null,
    },
    {
      type: "trial_started",
      time,
      trial: "0001",
      attempt: 1,
      parameters: { "train.epochs": 3 },
      replicas: 1,
      nodes: ["n"],
      gpus: ["0"],
    },
    { type: "epoch", time, trial: "0001", attempt: 1, epoch: 1, epochs: 3, metrics: { val_dice: 0.25 }, ...cost },
    { type: "log", time, trial: "0001", stream: "stdout", rank: 0, text: "noise\n" },
    {
      type: "trial_ended",
      time,
      trial: "0001",
      state: "completed",
      best: { value: 0.25, epoch: 1 },
      metrics: {},
      seconds: 2,
      error: null,
      parameters: { "train.epochs": 3 },
      epoch: 1,
      epochs: 3,
      replicas: 1,
      nodes: ["n"],
      gpus: ["0"],
    },
  ];

  it("writes dated lines where there is no terminal", () => {
    let text = "";
    const reporter = createReporter({
      write(part) {
        text += part;
      },
    });
    for (const event of events) reporter.event(event);
    reporter.close();
    assert.equal(
      text,
      [
        "run x: 2 trials; /r",
        "trial 0001 started on n GPU 0: epochs=3",
        "trial 0001 epoch 1/3 val_dice 0.2500",
        "trial 0001 completed after 2.0 s, best 0.2500 at epoch 1",
      ]
        .map((line) => `${time} ${line}\n`)
        .join(""),
    );
  });

  it("shows what trials print where it is asked to, line by line", () => {
    const printed: RunEvent[] = [
      { type: "log", time, trial: "0001", stream: "stdout", rank: 0, text: "epoch 1 step 1 loss" },
      { type: "log", time, trial: "0002", stream: "stdout", rank: null, text: "other\n" },
      { type: "log", time, trial: "0001", stream: "stdout", rank: 0, text: " 0.5\nepoch 1 step 2 loss 0.4\nepo" },
      { type: "log", time, trial: "0001", stream: "stdout", rank: 1, text: "the same of another replica\n" },
      { type: "log", time, trial: "0001", stream: "stderr", rank: 0, text: "noise\n" },
    ];
    const written = (trialOutput: boolean): string => {
      let text = "";
      const stream = {
        write(part: string) {
          text += part;
        },
      };
      const reporter = createReporter(stream, { trialOutput });
      for (const event of printed) reporter.event(event);
      reporter.close();
      return text;
    };
    const lines = ["trial 0002: other", "trial 0001: epoch 1 step 1 loss 0.5", "trial 0001: epoch 1 step 2 loss 0.4"];
    assert.equal(written(true), lines.map((line) => `${time} ${line}\n`).join(""));
    assert.equal(written(false), "");
  });
});
