import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { PNG } from "pngjs";
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

/** What TensorBoard itself shows of a trial. */
async function shown(trial: string): Promise<unknown> {
  const script = path.join(import.meta.dirname, "read_events.py");
  const { stdout } = await promisify(execFile)(testPython, [script, path.join(folder, trial)]);
  return JSON.parse(stdout);
}

const at = (second: number): string => new Date(1_800_000_000_000 + second * 1000).toISOString();

describe("the event files of a trial", { timeout: 240_000 }, () => {
  it("show its hyper-parameters, each epoch's metrics once, its best value and its end", async () => {
    fs.mkdirSync(path.join(folder, "0001"));
    const parameters = { "train.learning_rate": 1e-3, "model.norm": "batch", "train.amsgrad": true };
    board.started(at(0), "0001", 1, parameters, null);
    board.epoch(at(1), "0001", 1, { loss: 0.5, dice: 0.25 });
    board.epoch(at(2), "0001", 2, { loss: Number.NaN, dice: 0.75 });
    const png = path.join(folder, "case.png");
    fs.writeFileSync(png, PNG.sync.write(new PNG({ width: 3, height: 2 })));
    board.image(at(2), "0001", 2, "case", png);
    board.image(at(2), "0001", 2, "case", path.join(folder, "none.png"));
    board.epoch(at(3), "0001", 3, { loss: 1e300, dice: 0.5 });
    board.epoch(at(4), "0001", 4, { loss: 0.5, dice: 0.5 });
    board.paused("0001");
    // It goes on behind the third epoch, and is lost again before it reports.
    const last = { epoch: 4, metrics: { loss: 0.5, dice: 0.5 } };
    board.started(at(10), "0001", 2, parameters, last);
    board.paused("0001");
    board.started(at(20), "0001", 3, parameters, last);
    board.epoch(at(21), "0001", 4, { loss: 0.25, dice: 0.625 });
    board.epoch(at(22), "0001", 5, { loss: 0.125, dice: 0.5 });
    board.ended(at(23), "0001", true, { value: 0.75, epoch: 2 }, { loss: 0.125, dice: 0.5, test_dice: 0.875 });
    await board.close();
    assert.equal(fs.readdirSync(path.join(folder, "0001")).length, 3);
    assert.deepEqual(await shown("0001"), {
      curves: {
        loss: [
          [1, "0.5"],
          [2, "nan"],
          [3, "inf"],
          [4, "0.25"],
          [5, "0.125"],
        ],
        dice: [
          [1, "0.25"],
          [2, "0.75"],
          [3, "0.5"],
          [4, "0.625"],
          [5, "0.5"],
        ],
        test_dice: [[5, "0.875"]],
        best_dice: [[2, "0.75"]],
      },
      images: { case: [[2, "3", "2"]] },
      start: { hparams: parameters, startTimeSecs: 1_800_000_000 },
      end: { status: "STATUS_SUCCESS", endTimeSecs: 1_800_000_023 },
    });
    assert.deepEqual(problems, []);
  });

  it("can be read while the trial runs", async () => {
    const dir = path.join(folder, "0002");
    fs.mkdirSync(dir);
    board.started(at(0), "0002", 1, { rate: 1 }, null);
    board.epoch(at(1), "0002", 1, { dice: 0.5 });
    await until("a file of the running trial", () => fs.readdirSync(dir).length > 0);
    const session = { start: { hparams: { rate: 1 }, startTimeSecs: 1_800_000_000 }, end: null, images: {} };
    assert.deepEqual(await shown("0002"), { curves: { dice: [[1, "0.5"]] }, ...session });
    board.epoch(at(2), "0002", 2, { dice: 0.75 });
    await board.close();
    const curve = [
      [1, "0.5"],
      [2, "0.75"],
    ];
    assert.deepEqual(await shown("0002"), { curves: { dice: curve }, ...session });
  });

  it("are given up, and that is said once, where they can't be written", async () => {
    for (const trial of ["taken-1", "taken-2"]) {
      fs.writeFileSync(path.join(folder, trial), "");
      board.started(at(0), trial, 1, {}, null);
      board.epoch(at(1), trial, 1, { dice: 0.5 });
      board.ended(at(2), trial, true, null, {});
    }
    await board.close();
    assert.equal(problems.length, 1);
    // Whichever was tried first.
    assert.match(problems[0] ?? "", /(taken-\d)\/events\.out\.tfevents\..*: can't be written: .*\1 is a file/);
  });
});
