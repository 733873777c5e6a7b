/** `distmis watch` in real terminals, beside a run that this process works on. */
import assert from "node:assert/strict";
import { appendFile, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Parameters } from "../../src/config/index.ts";
import { openRun, type RunFolder, runFiles } from "../../src/run-folder/index.ts";
import { distmisCommand, startCommand } from "../support/command.ts";
import { type Size, startInTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-watch-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const START_MS = 60_000;

const experiment = defineExperiment({
  name: "lesions",
  trainer: { module: "m.mjs" },
  search: {
    space: {
      "train.learning_rate": { grid: [1e-3, 2e-3] },
      "model.norm": { grid: ["batch", "group"] },
      "trainer.parameters.a_rather_long_name": { grid: [1, 2] },
    },
  },
});

/** A run in a new folder whose trials this process makes up. */
async function madeUp() {
  const dir = path.join(folder, `run-${++count}`);
  const run = await openRun(dir, experiment);
  return { dir, run, ...recording(run) };
}

function recording(run: RunFolder) {
  const start = (trial: string, gpu: string, parameters: Parameters = {}, node = "gpu-node-07"): void => {
    const { trials } = run.state;
    if (!trials.has(trial)) run.record({ type: "trial_created", trial, parameters });
    const placed = { change: "", trials: 8, concurrency: 4, sizes: [{ replicas: 1, concurrency: 4 }], room: 4 };
    run.record({
      type: "attempt_started",
      trial,
      attempt: (trials.get(trial)?.attempts ?? 0) + 1,
      replicas: 1,
      nodes: [node],
      gpus: [gpu],
      workers: [{ node, gpus: [gpu] }],
      ...(trials.size === 1 ? { placed: { ...placed, cpus: 4, gpus: 1 } } : {}),
    });
  };
  const epoch = (trial: string, number: number, value: number): void => {
    const metrics = { loss: 1 - value, dice: value + 0.1, val_dice: value };
    const cost = { seconds: 60, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "" };
    const attempt = run.state.trials.get(trial)?.attempts ?? 1;
    run.record({ type: "epoch", trial, attempt, epoch: number, epochs: 20, metrics, ...cost });
  };
  const end = (trial: string, state: "completed" | "failed" = "completed", error: string | null = null): void => {
    run.record({ type: "trial_ended", trial, attempt: 1, state, metrics: {}, error });
  };
  return { start, epoch, end };
}

const parameters = (rate: number, norm: string, other = 1): Parameters => ({
  "train.learning_rate": rate,
  "model.norm": norm,
  "trainer.parameters.a_rather_long_name": other,
});

const watching = (dir: string, size: Size, ...options: string[]) =>
  startInTerminal(distmisCommand(["watch", dir, ...options]), { ...size, cwd: folder });

type Watching = ReturnType<typeof watching>;

const shows = (terminal: Watching, what: RegExp): Promise<string> =>
  until(
    () => `${what} in ${JSON.stringify(terminal.written().slice(-2000))}`,
    async () => {
      const screen = (await terminal.screen()).join("\n");
      return what.test(screen) ? screen : null;
    },
    START_MS,
  );

/** Lines of the view, times left out. */
const view = (screen: string): string[] => {
  const lines = screen.split("\n").map((line) => line.replaceAll(/\b(\d+ s|\d+:\d\d)\b/g, "N").replaceAll(/ +/g, " "));
  return lines.slice(lines.findLastIndex((line) => line.startsWith("lesions ")));
};

/** Two trials that run, and one that has failed. */
async function underWay() {
  const made = await madeUp();
  const { run, start, epoch, end } = made;
  start("0001", "0", parameters(1e-3, "batch"));
  epoch("0001", 1, 0.25);
  start("0002", "1", parameters(2e-3, "group", 2));
  start("0003", "2", parameters(2e-3, "batch"));
  end("0003", "failed", "out of memory");
  await run.commit();
  return made;
}

describe("distmis watch in a terminal", () => {
  it("shows how a run stands, keeps it up to date, and its results at the end", async () => {
    const { dir, run, start, epoch, end } = await underWay();
    const terminal = watching(dir, { columns: 80, rows: 24 });
    try {
      assert.deepEqual(view(await shows(terminal, /0003 .* failed/)), [
        "lesions N about N left",
        "best val_dice 0.2500 by trial 0001 at epoch 1 learning_rate=0.001 norm=batch …",
        "0 done, 1 failed, 2 running, 5 waiting of 8 trials GPUs 2 of 4 busy",
        "trial learnin… epoch dice val_dice time GPU node state",
        "0001 0.001 1/20 0.3500 0.2500 N 0 gpu-node-07 running",
        "0002 0.002 - - N 1 gpu-node-07 starting",
        "0003 0.002 - - N 2 gpu-node-07 failed",
      ]);
      epoch("0001", 2, 0.5);
      run.record({ type: "attempt_ended", trial: "0002", attempt: 1, cause: "lost", error: "its node has left" });
      await run.commit();
      assert.deepEqual(view(await shows(terminal, /0002 .* waiting/)).slice(2), [
        "0 done, 1 failed, 1 running, 6 waiting of 8 trials GPUs 1 of 4 busy",
        "trial learnin… epoch dice val_dice time GPU node state",
        "0001 0.001 2/20 0.6000 0.5000 N 0 gpu-node-07 running",
        "0002 0.002 - - 1 gpu-node-07 waiting",
        "0003 0.002 - - N 2 gpu-node-07 failed",
      ]);
      start("0002", "3", {}, "gpu-node-08");
      end("0001");
      end("0002", "failed", "again");
      run.record({ type: "run_ended", state: "finished", limit: null });
      await run.close();
      assert.equal(await terminal.exit, 0, terminal.written());
      const all = (await terminal.all()).join("\n");
      assert.match(all, /^trial 0002 starts again in .* \(1 of \d retries\): its node has left$/m);
      assert.match(all, /^trial 0002 started|^trial 0001 completed after/m);
      assert.ok(!all.includes("lesions  "), "the view was taken away");
      assert.match(all, /│ 0001 .* 0.5000 │ completed │/);
      assert.match(all, new RegExp(`^run folder: ${dir}$`, "m"));
      assert.ok(await terminal.isWhole());
    } finally {
      await terminal.kill();
      await run.close().catch(() => {});
    }
  });

  it("shows more in a wide terminal, and follows its size", async () => {
    const { dir, run, epoch } = await underWay();
    const terminal = watching(dir, { columns: 200, rows: 50 });
    try {
      assert.deepEqual(view(await shows(terminal, /0003 .* failed/)).slice(3, 5), [
        "trial learning_rate norm a_rather_long_n… epoch dice val_dice best time GPU node state",
        "0001 0.001 batch 1 1/20 0.3500 0.2500 0.2500 N 0 gpu-node-07 running",
      ]);
      await terminal.resize({ columns: 60, rows: 12 });
      const narrow = await shows(terminal, /^trial {2}epoch/m);
      assert.equal(narrow.match(/^trial .* state$/gm)?.length, 1, narrow);
      epoch("0002", 7, 0.75);
      await run.commit();
      assert.match(await shows(terminal, /7\/20/), /^0002 +7\/20 +0.8500 +0.7500 .*running$/m);
      await terminal.resize({ columns: 100, rows: 24 });
      const wide = await shows(terminal, /^trial .* GPU {2}node/m);
      assert.equal(wide.match(/^trial .* state$/gm)?.length, 1, wide);
    } finally {
      await terminal.kill();
      await run.close();
    }
  });

  it("leaves the terminal as it was after a signal, and the run alone", async () => {
    const { dir, run } = await underWay();
    try {
      for (const [name, code] of [
        ["SIGTERM", 143],
        ["SIGINT", 130],
      ] as const) {
        const terminal = watching(dir, { columns: 80, rows: 24 });
        await shows(terminal, /0003 .* failed/);
        terminal.signal(name);
        assert.equal(await terminal.exit, code, terminal.written());
        assert.ok(!(await terminal.all()).join("\n").includes("lesions  "), "the view was taken away");
        assert.ok(await terminal.isWhole());
      }
      const killed = watching(dir, { columns: 80, rows: 24 });
      await shows(killed, /0003 .* failed/);
      await killed.kill();
      assert.ok(await killed.isWhole());
    } finally {
      await run.close();
    }
  });

  it("shows names as text, whatever is in them", async () => {
    const { dir, run, start } = await madeUp();
    start("0001", "GPU-\x1b[9;9H", parameters(1, "\x1b]0;title\x07\x1b[2J\u009b31m"), "node\r\n\x1b[?1049h");
    start("0002", "1", parameters(2, "b\u202eatch"));
    await run.commit();
    const terminal = watching(dir, { columns: 160, rows: 24 });
    try {
      const screen = await shows(terminal, /^0002 /m);
      assert.match(screen, /^0001 +1 +\]0;title \[2J 3… /m);
      assert.match(screen, /GPU- \[9;9H +node \[\?1049h +starting$/m);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the terminal's
      assert.ok(!/\x1b\]0|\x1b\[2J|\x1b\[\?1049h|\u009b|\u202e/.test(terminal.written()));
    } finally {
      await terminal.kill();
      await run.close();
    }
  });
});

describe("distmis watch without a terminal", () => {
  const watch = (dir: string, ...options: string[]) => startCommand(distmisCommand(["watch", dir, ...options]), folder);

  it("writes dated lines of all that has happened, and says when nobody works on the run", async () => {
    const { dir, run } = await underWay();
    await run.close();
    const command = watch(dir);
    assert.deepEqual(await command.exit, { code: 1, signal: null }, command.stderr());
    const lines = command
      .stderr()
      .replaceAll(/^\S+Z /gm, "")
      .replaceAll(/[\d.]+ s\b/g, "N s")
      .split("\n");
    assert.deepEqual(lines.slice(0, -2), [
      `run lesions: 8 trials; ${dir}`,
      "8 trials x 1 replica, 4 at once, each replica with 1 GPU and 4 CPU",
      "trial 0001 started on gpu-node-07 GPU 0: learning_rate=0.001 norm=batch a_rather_long_name=1",
      "trial 0001 epoch 1/20 loss 0.7500, dice 0.3500, val_dice 0.2500",
      "trial 0002 started on gpu-node-07 GPU 1: learning_rate=0.002 norm=group a_rather_long_name=2",
      "trial 0003 started on gpu-node-07 GPU 2: learning_rate=0.002 norm=batch a_rather_long_name=1",
      "trial 0003 failed: out of memory",
    ]);
    const gone = `nobody works on this run any more: process ${process.pid} on \\S+ has ended without bringing it to an end`;
    assert.match(lines.at(-2) ?? "", new RegExp(`^${gone}; its last word is of \\S+; the command that started`));
    assert.match(
      command.stdout(),
      /best trial 0001: val_dice 0.2500[\s\S]*stopped; the command that started it continues/,
    );
  });

  it("prints the events of a finished run as JSON at once", async () => {
    const { dir, run, end } = await underWay();
    end("0001");
    run.record({ type: "run_ended", state: "finished", limit: "search.limits.trials: 3 trials" });
    await run.close();
    const command = watch(dir, "--json");
    assert.deepEqual(await command.exit, { code: 0, signal: null }, command.stderr());
    assert.equal(command.stderr(), "");
    const events = command
      .stdout()
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    const types = events.map((event) => (event as { type: string }).type);
    assert.deepEqual(types.slice(0, 4), ["run_started", "run_placed", "trial_started", "epoch"]);
    assert.deepEqual(types.slice(-2), ["trial_ended", "run_ended"]);
    const { time: _time, seconds: _seconds, ...last } = events.at(-1) as Record<string, unknown>;
    assert.deepEqual(last, {
      type: "run_ended",
      state: "finished",
      limit: "search.limits.trials: 3 trials",
      best: "0001",
      completed: 1,
      failed: 1,
      pruned: 0,
    });
  });

  it("waits for a run that was only submitted, with --wait also for one that has stopped", async () => {
    const { dir, run } = await underWay();
    await run.close();
    const submitted = path.join(folder, "submitted");
    await mkdir(path.join(submitted, "slurm"), { recursive: true });
    const command = watch(submitted, "--wait");
    await until(
      () => command.stderr(),
      () => command.stderr().includes("has not begun yet"),
      START_MS,
    );
    await copyFile(runFiles.journal(dir), runFiles.journal(submitted));
    await until(
      () => command.stderr(),
      () => command.stderr().includes("stands still"),
      START_MS,
    );
    const again = await openRun(submitted, experiment);
    again.record({ type: "run_ended", state: "finished", limit: null });
    await again.close();
    assert.deepEqual(await command.exit, { code: 0, signal: null }, command.stderr());
    const after = command.stderr().slice(command.stderr().indexOf("stands still"));
    assert.match(after, /run lesions: 8 trials, continued: 1 ended before; .*\n.* run finished after/);
  });

  it("says what is there instead of a run, and what is wrong with a journal", async () => {
    const { dir, run } = await underWay();
    await run.close();
    for (const [where, what] of [
      [`${dir}x`, /there is no such run folder; did you mean \S+/],
      [folder, /no run folder, it has no journal.jsonl; name one of the runs in it: /],
    ] as const) {
      const command = watch(where);
      assert.deepEqual(await command.exit, { code: 2, signal: null }, command.stderr());
      assert.match(command.stderr(), what);
    }
    await appendFile(runFiles.journal(dir), "{}\n{}\n");
    const command = watch(dir);
    await command.exit;
    assert.match(command.stderr(), /nobody works on this run any more/, "a torn end is what a crash leaves");
  });
});
