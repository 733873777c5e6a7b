/** Several replicas of a model against one that has all of their batches: real processes, one thread each. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { entryCommand } from "../../src/paths/index.ts";
import { runGang } from "../support/gang.ts";
import { markChildren } from "../support/marked-processes.ts";
import type { Findings, ReplicaArguments } from "./fixtures/replica.ts";

const mark = markChildren();
after(() => assert.deepEqual(mark.processes(), [], "no process is left"));

const program = entryCommand(new URL("./fixtures/replica.ts", import.meta.url));
const DEADLINE_MS = 120_000;

type Job = Omit<ReplicaArguments, "addresses" | "rank">;

async function run(job: Job, replicas: number): Promise<Findings> {
  const ended = await runGang(
    replicas,
    (rank, addresses) => {
      const given: ReplicaArguments = { ...job, addresses: replicas > 1 ? addresses : [], rank };
      return { command: [...program, JSON.stringify(given)] };
    },
    DEADLINE_MS,
  );
  const all = ended.map(({ stdout, stderr }): Findings => {
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout);
  });
  const [first] = all;
  assert.ok(first);
  for (const { digest, losses } of all) {
    assert.equal(digest, first.digest, "the same bits on all replicas");
    assert.deepEqual(losses, first.losses);
  }
  return first;
}

/** Largest difference over the largest value. */
function difference(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  const scale = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN)))) / scale;
}

const STEPS = 20;
const even = Array.from({ length: STEPS }, () => 4);
// As at the end of an epoch: too few for every replica to have as many, or any.
const uneven = Array.from({ length: STEPS }, (_, index) => (index % 5 === 4 ? 3 : index % 5 === 2 ? 1 : 4));
const small = { filters: 2, groups: 2, depth: 1 };
const sgd = { optimizer: "sgd", momentum: 0.9 } as const;

const cases: (Job & { title: string; tolerance: number })[] = [
  {
    title: "group norm and the mean of the volumes' Dice",
    model: { ...small, norm: "group" },
    train: { ...sgd, loss: "dice_ce", batch_dice: false },
    outputs: 3,
    batches: even,
    tolerance: 1e-5,
  },
  {
    title: "the same with batches that the replicas can't share evenly",
    model: { ...small, norm: "instance" },
    train: { ...sgd, batch_dice: false },
    outputs: 1,
    batches: uneven,
    tolerance: 1e-5,
  },
  {
    title: "sync: batch norm's statistics and the Dice of the whole batch",
    model: { ...small, norm: "batch" },
    train: { ...sgd, loss: "dice_ce", sync: true },
    outputs: 1,
    batches: even,
    tolerance: 1e-4,
  },
  {
    title: "sync with several classes and uneven batches",
    model: { ...small, norm: "batch" },
    train: { ...sgd, sync: true },
    outputs: 3,
    batches: uneven,
    tolerance: 1e-4,
  },
];

for (const { title, tolerance, ...job } of cases) {
  test(`2 and 4 replicas follow one with all their volumes: ${title}`, async () => {
    const one = await run(job, 1);
    for (const replicas of [2, 4]) {
      const several = await run(job, replicas);
      assert.deepEqual(
        several.said,
        Array.from({ length: STEPS }, () => 1),
      );
      for (const key of ["losses", "dices", "parameters", "statistics"] as const) {
        const found = difference(several[key], one[key]);
        assert.ok(!(found > tolerance), `${replicas} replicas, ${key}: ${found}`);
      }
    }
  });
}

test("without sync each replica has its own Dice and statistics, and all end with the same bits", async () => {
  const job: Job = { model: { ...small, norm: "batch" }, train: sgd, outputs: 1, batches: uneven };
  const [one, two] = [await run(job, 1), await run(job, 2)];
  assert.ok(difference(two.parameters, one.parameters) > 1e-4);
});
