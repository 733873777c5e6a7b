/** The live view as a terminal shows it. */
import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import xterm from "@xterm/headless";
import type { EpochEnded, RunEvent, TrialEnded, TrialStarted } from "../../src/experiment/index.ts";
import { createReporter } from "../../src/report/index.ts";

const BEGIN = Date.parse("2026-01-01T00:00:00.000Z");

/** A live view in a terminal, on a clock of its own. */
function liveView(columns: number, rows: number) {
  mock.timers.enable({ apis: ["setInterval", "Date"], now: BEGIN });
  const terminal = new xterm.Terminal({
    cols: columns,
    rows,
    convertEol: true,
    scrollback: 1000,
    allowProposedApi: true,
  });
  const pieces: string[] = [];
  const stream = {
    isTTY: true,
    columns,
    rows,
    write(text: string) {
      pieces.push(text);
      terminal.write(text);
    },
  };
  const reporter = createReporter(stream);
  const lines = async (from: number): Promise<string[]> => {
    await new Promise<void>((resolve) => terminal.write("", resolve));
    const { active } = terminal.buffer;
    const all = Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? "");
    return all.slice(from, all.findLastIndex((line) => line !== "") + 1);
  };
  return {
    terminal,
    reporter,
    /** What was written since the last time. */
    taken: () => pieces.splice(0),
    pass: (milliseconds: number) => mock.timers.tick(milliseconds),
    screen: () => lines(terminal.buffer.active.baseY),
    all: () => lines(0),
    resize(to: { columns: number; rows: number }) {
      Object.assign(stream, to);
      terminal.resize(to.columns, to.rows);
    },
    end() {
      reporter.close();
    },
  };
}

const now = (): string => new Date().toISOString();
const runStarted = (
  trials: number | null,
  more: Partial<Extract<RunEvent, { type: "run_started" }>> = {},
): RunEvent => ({
  type: "run_started",
  time: now(),
  name: "lesions",
  runDir: "/runs/lesions",
  trials,
  endedBefore: 0,
  failedBefore: 0,
  prunedBefore: 0,
  continued: false,
  metric: "val_dice",
  mode: "max",
  best: null,
  ...more,
});
const started = (
  trial: string,
  parameters: TrialStarted["parameters"],
  more: Partial<TrialStarted> = {},
): RunEvent => ({
  type: "trial_started",
  time: now(),
  trial,
  attempt: 1,
  parameters,
  replicas: 1,
  nodes: ["node-1"],
  gpus: ["0"],
  ...more,
});
const epoch = (trial: string, number: number, value: number, more: Partial<EpochEnded> = {}): RunEvent => ({
  type: "epoch",
  time: now(),
  trial,
  attempt: 1,
  epoch: number,
  epochs: 10,
  metrics: { loss: 1 - value, dice: value, val_dice: value },
  seconds: 30,
  volumesPerSecond: 1,
  peakResidentBytes: 1,
  checkpoint: "",
  ...more,
});
const ended = (trial: string, value: number | null, seconds = 300, more: Partial<TrialEnded> = {}): RunEvent => ({
  type: "trial_ended",
  time: now(),
  trial,
  state: value === null ? "failed" : "completed",
  best: value === null ? null : { value, epoch: 7 },
  metrics: {},
  seconds,
  error: value === null ? "no reason" : null,
  parameters: rate(0.004),
  epoch: 0,
  epochs: 0,
  replicas: 1,
  nodes: ["node-1"],
  gpus: ["1"],
  ...more,
});
const placed = (room: number, gpus: number): RunEvent => ({
  type: "run_placed",
  time: now(),
  change: "",
  trials: room,
  concurrency: room,
  sizes: [{ replicas: 1, concurrency: room }],
  room,
  cpus: 1,
  gpus,
});

const rate = (value: number) => ({ "train.learning_rate": value, "model.norm": "batch" });

describe("the live view", () => {
  afterEach(() => mock.timers.reset());

  it("shows the run, its best trial, its trials and the time left", async () => {
    const view = liveView(100, 20);
    const { event } = view.reporter;
    for (const each of [runStarted(5), placed(2, 1), started("0001", rate(1e-3)), started("0002", rate(2e-3))])
      event(each);
    event(epoch("0001", 1, 0.5));
    event(epoch("0002", 1, 0.25));
    event(epoch("0001", 2, 0.4));
    event(ended("0001", 0.5, 300, { parameters: rate(1e-3), epoch: 2, epochs: 10, gpus: ["0"] }));
    event(started("0003", rate(4e-3), { gpus: ["1"] }));
    event(ended("0003", null));
    view.pass(60_000);
    assert.deepEqual((await view.screen()).slice(2), [
      "trial 0001 completed after 5:00, best 0.5000 at epoch 7",
      "trial 0003 failed: no reason",
      "",
      // Two trials of 5 minutes and nine epochs of half a minute, two at once.
      "lesions  1:00  about 7:15 left",
      "best val_dice 0.5000 by trial 0001 at epoch 1  learning_rate=0.001 norm=batch",
      "1 done, 1 failed, 1 running, 2 waiting of 5 trials  GPUs 1 of 2 busy",
      "trial  learnin…  epoch    dice  val_dice    best  time  GPU  node    state",
      "0002      0.002   1/10  0.2500    0.2500  0.2500  1:00    0  node-1  running",
      "0001      0.001   2/10  0.4000    0.4000  0.5000  5:00    0  node-1  completed",
      "0003      0.004              -         -       -  5:00    1  node-1  failed",
    ]);
    view.end();
    assert.equal((await view.screen()).length, 4, "what was said stays, the view does not");
  });

  it("writes lines that have changed, and nothing where none has", async () => {
    const view = liveView(120, 24);
    view.reporter.event(runStarted(9));
    for (let trial = 1; trial <= 8; trial++) view.reporter.event(started(`000${trial}`, rate(trial / 1000)));
    view.pass(250);
    view.reporter.event(epoch("0003", 1, 0.5));
    // Columns become wider by that.
    view.pass(500);
    view.taken();
    view.reporter.event(epoch("0003", 2, 0.25));
    view.pass(250);
    const [line = "", ...others] = view.taken();
    assert.deepEqual(others, [], "in one piece");
    assert.ok(line.includes("2/10  0.2500") && line.length < 80, line);
    view.pass(200);
    assert.deepEqual(view.taken(), []);
    // A second later the time of each has changed, and that of the run.
    view.pass(550);
    const seconds = view.taken().join("");
    assert.ok(seconds.length < 9 * 25, seconds);
    assert.match((await view.screen()).join("\n"), /^0008 .* 2 s .* starting$/m);
    view.end();
  });

  it("draws at most four times a second, however much happens", () => {
    const view = liveView(120, 24);
    view.reporter.event(runStarted(1));
    view.reporter.event(started("0001", {}));
    view.taken();
    for (let turn = 0; turn < 1000; turn++) {
      view.reporter.event(epoch("0001", turn + 1, turn / 1000, { epochs: 1000 }));
      view.pass(1);
    }
    assert.equal(view.taken().length, 4);
    view.end();
  });

  it("fits any terminal, also while it is resized", async () => {
    const view = liveView(200, 40);
    view.reporter.event(runStarted(50));
    view.reporter.event(placed(50, 1));
    view.reporter.say("said before");
    for (let trial = 1; trial <= 30; trial++) {
      const name = String(trial).padStart(4, "0");
      view.reporter.event(started(name, { ...rate(trial), "trainer.parameters.some_long_name": `value ${trial}` }));
      view.reporter.event(epoch(name, 1, trial / 100));
    }
    for (const [columns, rows] of [
      [200, 40],
      [80, 24],
      [40, 10],
      [20, 5],
      [200, 40],
      [81, 24],
      [3, 2],
      [80, 24],
    ] as const) {
      view.resize({ columns, rows });
      view.pass(250);
      const screen = await view.screen();
      assert.ok(screen.length <= rows, `${columns} x ${rows}: ${screen.join("\n")}`);
      const head = screen.findIndex((line) => line.startsWith("lesions".slice(0, Math.min(7, columns - 2))));
      assert.ok(head >= 0, `${columns} x ${rows}: ${screen.join("\n")}`);
      if (rows >= 10) assert.match(screen.join("\n"), /^trial .*\n0001 /m);
      if (columns === 80) assert.match(screen.join("\n"), /^0001 .* 1\/10 .* running$/m);
      if (rows === 24) assert.match(screen.at(-1) ?? "", /^and \d+ more$/);
      const heads = screen.filter((line) => line.startsWith("trial  "));
      assert.equal(heads.length, rows >= 10 ? 1 : 0, screen.join("\n"));
    }
    view.end();
    assert.deepEqual(await view.screen(), [
      "run lesions: 50 trials; /runs/lesions",
      "50 trials x 1 replica, 50 at once, each replica with 1 GPU and 1 CPU",
      "said before",
    ]);
  });

  it("lets nobody steer the terminal, and keeps to its lines whatever the characters are wide", async () => {
    const view = liveView(60, 20);
    const hostile = "a\x1b[2J\x1b]0;title\x07\x9b31m\r\nb\u202egnp";
    let title = "";
    view.terminal.onTitleChange((text) => {
      title = text;
    });
    view.reporter.event(runStarted(9, { name: `run ${hostile}` }));
    view.reporter.event(started("0001", { "train.x": hostile, "train.y": "漢字".repeat(20) }, { nodes: [hostile] }));
    view.reporter.event(
      started("0002", { "train.x": "é👩‍👩‍👧‍👦🫠".repeat(9), "train.y": "b" }, { gpus: ["GPU-8a\x1b[5;5H"] }),
    );
    view.reporter.event({ ...epoch("0001", 1, 0.5), metrics: { val_dice: Number.NaN } } as RunEvent);
    view.reporter.event({ type: "log", time: now(), trial: null, stream: "distmis", rank: null, text: hostile });
    view.pass(250);
    view.pass(1000);
    const screen = await view.screen();
    assert.equal(title, "");
    assert.equal(screen.filter((line) => line.startsWith("run a [2J")).length, 1, screen.join("\n"));
    assert.equal(screen.filter((line) => /^000[12] /.test(line)).length, 2, screen.join("\n"));
    assert.ok(!screen.join("").includes("\u202e"));
    view.end();
  });

  it("counts a part of the run that was told before, and one that is told anew, once", async () => {
    const view = liveView(100, 20);
    const first = runStarted(9, {
      endedBefore: 3,
      continued: true,
      best: { trial: "0002", value: 0.9, epoch: 4, parameters: rate(1) },
    });
    const told = [
      first,
      started("0004", rate(1)),
      ended("0004", 0.5, 300, { parameters: rate(1) }),
      started("0005", rate(2)),
    ];
    for (const event of [...told, ...told]) view.reporter.event(event);
    view.pass(250);
    assert.match((await view.screen()).join("\n"), /^4 done, 1 running, 4 waiting of 9 trials$/m);
    assert.match(
      (await view.screen()).join("\n"),
      /^best val_dice 0.9000 by trial 0002 at epoch 4 {2}learning_rate=1 norm=batch$/m,
    );
    // Another part, in which the orchestrator has counted them itself.
    view.pass(1000);
    view.reporter.event(runStarted(9, { endedBefore: 4, failedBefore: 1, prunedBefore: 2, continued: true }));
    view.pass(250);
    assert.match((await view.screen()).join("\n"), /^1 done, 2 pruned, 1 failed, 0 running, 5 waiting of 9 trials$/m);
    // Another run in the same folder.
    view.pass(1000);
    view.reporter.event(runStarted(2));
    view.pass(250);
    assert.match((await view.screen()).join("\n"), /^0 done, 0 running, 2 waiting of 2 trials$/m);
    view.end();
  });

  it("has whole rows of trials that had ended before it was there, and reckons with them once", async () => {
    const view = liveView(100, 20);
    const epochs = { epoch: 10, epochs: 10 };
    const past = [
      ended("0001", 0.5, 300, { parameters: rate(1e-3), ...epochs }),
      ended("0002", 0.75, 100, { parameters: rate(2e-3), ...epochs, gpus: ["0"] }),
    ];
    const told = [runStarted(5), placed(2, 1), ...past, started("0003", rate(4e-3))];
    for (const event of [...told, ...told]) view.reporter.event(event);
    view.pass(250);
    assert.deepEqual((await view.screen()).slice(-7), [
      // Three trials of 200 s, two at once.
      "lesions  0 s  about 5:00 left",
      "best val_dice 0.7500 by trial 0002 at epoch 7  learning_rate=0.002 norm=batch",
      "2 done, 1 running, 2 waiting of 5 trials  GPUs 1 of 2 busy",
      "trial  learnin…  epoch  val_dice    best  time  GPU  node    state",
      "0003      0.004                -       -   0 s    0  node-1  starting",
      "0002      0.002  10/10         -  0.7500  1:40    0  node-1  completed",
      "0001      0.001  10/10         -  0.5000  5:00    1  node-1  completed",
    ]);
    view.end();
  });

  it("does not say again what is over", async () => {
    const view = liveView(100, 20);
    const old = new Date(BEGIN - 60_000).toISOString();
    view.reporter.event({ ...runStarted(2), time: old });
    view.reporter.event(started("0001", {}));
    view.reporter.event({ ...ended("0001", 0.5), time: old } as RunEvent);
    view.pass(250);
    const screen = (await view.screen()).join("\n");
    assert.ok(!screen.includes("completed after"), screen);
    assert.match(screen, /^1 done, 0 running, 1 waiting of 2 trials$/m);
    view.end();
  });
});
