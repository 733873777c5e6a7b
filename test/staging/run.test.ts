/** A whole run with copies on the local disk. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { distmisCommand, startCommand } from "../support/command.ts";
import { tinyRecords } from "../support/training.ts";

const epochEvent = z.object({
  type: z.literal("epoch"),
  trial: z.string(),
  epoch: z.number(),
  metrics: z.record(z.string(), z.number()),
});

test("a run of several trainers copies once, finds the same to the last bit, and leaves no copy", async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-staged-run-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  await tinyRecords(dir);
  const file = path.join(dir, "exp.json");
  const experiment = {
    name: "staged",
    data: { dir: "tfrecords" },
    model: { filters: 4, depth: 2, groups: 2 },
    train: { epochs: 2 },
    search: { space: { "train.learning_rate": { grid: [1e-3, 2e-3, 3e-3, 4e-3] } } },
    resources: { cpus_per_replica: 1 },
  };
  fs.writeFileSync(file, JSON.stringify(experiment));
  const local = path.join(dir, "local");
  fs.mkdirSync(local);
  const run = async (name: string, ...more: string[]) => {
    const command = startCommand(
      distmisCommand(["run", file, "--gpus", "2", "--run-dir", name, "--json", ...more]),
      dir,
    );
    const { code } = await command.exit;
    assert.equal(code, 0, command.stderr());
    assert.deepEqual(command.processes(), []);
    const events = command
      .stdout()
      .trim()
      .split("\n")
      .map((line) => epochEvent.safeParse(JSON.parse(line)));
    const found = events.flatMap(({ data }) => (data === undefined ? [] : [data]));
    const logs = [...new Set(found.map(({ trial }) => trial))].map((trial) =>
      fs.readFileSync(path.join(dir, name, "trials", trial, "trainer.log"), "utf8"),
    );
    const order = ({ trial, epoch }: (typeof found)[number]): string => `${trial} ${epoch}`;
    return {
      found: found.sort((a, b) => order(a).localeCompare(order(b))),
      copies: logs.join("\n").match(/copied \S+ \S+ to \S+/g) ?? [],
    };
  };
  const plain = await run("plain");
  assert.equal(plain.found.length, 8);
  assert.deepEqual(plain.copies, []);
  const staged = await run("staged", "--stage-to-local", "local");
  assert.deepEqual(staged.found, plain.found);
  assert.equal(staged.copies.length, 1, staged.copies.join("\n"));
  assert.match(staged.copies[0] ?? "", new RegExp(`to ${local}/distmis-stage-`));
  assert.deepEqual(fs.readdirSync(local), []);
});
