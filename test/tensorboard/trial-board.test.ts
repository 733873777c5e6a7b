import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { z } from "zod";
import { HParamsPluginData, Status } from "../../src/generated/tensorflow/hparams.ts";
import { createTrialBoard, type TrialBoard } from "../../src/tensorboard/index.ts";
import { testPython } from "../support/python.ts";
import { until } from "../support/until.ts";

let folder = "";
let problems: string[] = [];
let board: TrialBoard;
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-board-"));
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  problems = [];
  board = createTrialBoard({
    dirOf: (trial) => path.join(folder, trial),
    metric: "dice",
    onProblem: (text) => problems.push(text),
  });
});

const eventsSchema = z.array(
  z.array(
    z.object({
      step: z.int(),
      time: z.number(),
      what: z.string(),
      version: z.string().optional(),
      status: z.int().optional(),
      scalars: z.record(z.string(), z.string()).optional(),
      plugins: z.record(z.string(), z.tuple([z.string(), z.string()])).optional(),
    }),
  ),
);
type Event = z.output<typeof eventsSchema>[number][number];

/** The event files of a trial's folder in their order, as TensorFlow reads them. */
async function read(trial: string): Promise<Event[][]> {
  const dir = path.join(folder, trial);
  const files = fs.readdirSync(dir).toSorted();
  assert.ok(files.every((name) => name.startsWith("events.out.tfevents.")));
  const script = path.join(import.meta.dirname, "read_events.py");
  const { stdout } = await promisify(execFile)(testPython, [script, ...files.map((name) => path.join(dir, name))]);
  return eventsSchema.parse(JSON.parse(stdout));
}

function scalars(events: readonly Event[]): [number, Record<string, string>][] {
  return events.flatMap(({ step, scalars = {} }) =>
    Object.keys(scalars).length > 0 ? [[step, scalars] satisfies [number, Record<string, string>]] : [],
  );
}

function hparams(event: Event | undefined, tag: string): HParamsPluginData["data"] {
  const [name, content] = event?.plugins?.[`_hparams_/${tag}`] ?? [];
  assert.equal(name, "hparams");
  return HParamsPluginData.decode(Buffer.from(content ?? "", "hex")).data;
}

const at = (second: number): string => new Date(1_800_000_000_000 + second * 1000).toISOString();

describe("the event files of a trial", { timeout: 120_000 }, () => {
  it("hold its hyper-parameters, each epoch's metrics, its best value and its end, an attempt a file", async () => {
    fs.mkdirSync(path.join(folder, "0001"));
    const parameters = { "train.learning_rate": 1e-3, "model.norm": "batch", "train.amsgrad": true };
    board.started(at(0), "0001", 1, parameters, null);
    board.epoch(at(1), "0001", 1, { loss: 0.5, dice: 0.25 });
    board.epoch(at(2), "0001", 2, { loss: Number.NaN, dice: 0.75 });
    board.epoch(at(3), "0001", 3, { loss: 1e300, dice: 0.5 });
    board.paused("0001");
    // It goes on behind the second epoch.
    board.started(at(10), "0001", 2, parameters, { epoch: 3, metrics: { loss: 1e300, dice: 0.5 } });
    board.epoch(at(11), "0001", 3, { loss: 0.25, dice: 0.5 });
    board.epoch(at(12), "0001", 4, { loss: 0.125, dice: 0.625 });
    board.ended(at(13), "0001", true, { value: 0.75, epoch: 2 }, { loss: 0.125, dice: 0.625, test_dice: 0.875 });
    await board.close();

    const [first = [], second = []] = await read("0001");
    assert.deepEqual(
      [first[0]?.what, first[0]?.version, first[0]?.time],
      ["file_version", "brain.Event:2", 1_800_000_000],
    );
    const start = hparams(first[1], "session_start_info");
    assert.ok(start?.$case === "sessionStartInfo");
    assert.deepEqual(start.value, {
      hparams: {
        "train.learning_rate": { kind: { $case: "numberValue", value: 1e-3 } },
        "model.norm": { kind: { $case: "stringValue", value: "batch" } },
        "train.amsgrad": { kind: { $case: "boolValue", value: true } },
      },
      startTimeSecs: 1_800_000_000,
    });
    assert.deepEqual([first[2]?.what, first[2]?.step, first[2]?.status], ["session_log", 1, 1]);
    assert.deepEqual(scalars(first), [
      [1, { loss: "0.5", dice: "0.25" }],
      [2, { loss: "nan", dice: "0.75" }],
      [3, { loss: "inf", dice: "0.5" }],
    ]);
    assert.deepEqual(
      second.slice(0, 4).map(({ what, step, status }) => [what, step, status]),
      [
        ["file_version", 0, undefined],
        ["summary", 0, undefined],
        // What the first attempt told of epoch 3 is to be forgotten.
        ["session_log", 3, 1],
        ["summary", 3, undefined],
      ],
    );
    assert.deepEqual(scalars(second), [
      [3, { loss: "0.25", dice: "0.5" }],
      [4, { loss: "0.125", dice: "0.625" }],
      [4, { test_dice: "0.875" }],
      [2, { best_dice: "0.75" }],
    ]);
    const end = hparams(second.at(-1), "session_end_info");
    assert.ok(end?.$case === "sessionEndInfo");
    assert.deepEqual(end.value, { status: Status.STATUS_SUCCESS, endTimeSecs: 1_800_000_013 });
    assert.deepEqual(problems, []);
  });

  it("can be read while the trial runs", async () => {
    const dir = path.join(folder, "0002");
    fs.mkdirSync(dir);
    board.started(at(0), "0002", 1, {}, null);
    board.epoch(at(1), "0002", 1, { dice: 0.5 });
    await until("a file of the running trial", () => fs.readdirSync(dir).length > 0);
    board.epoch(at(2), "0002", 2, { dice: 0.75 });
    await board.close();
    const [events = []] = await read("0002");
    assert.deepEqual(scalars(events), [
      [1, { dice: "0.5" }],
      [2, { dice: "0.75" }],
    ]);
  });

  it("are given up, and that is said once, where they can't be written", async () => {
    for (const trial of ["missing-1", "missing-2"]) {
      board.started(at(0), trial, 1, {}, null);
      board.epoch(at(1), trial, 1, { dice: 0.5 });
      board.ended(at(2), trial, true, null, {});
    }
    await board.close();
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /missing-1\/events\.out\.tfevents\..*: can't be written: ENOENT/);
  });
});
