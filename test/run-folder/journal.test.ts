import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";
import { openJournal, readJournal } from "../../src/run-folder/journal.ts";
import type { JournalRecord, RecordBody } from "../../src/run-folder/record.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-journal-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });
const bodies: RecordBody[] = [
  { type: "run_started", version: 1, experiment, host: "h", pid: 1 },
  { type: "trial_created", trial: "0001", parameters: { "train.learning_rate": 0.1, "model.norm": "batch" } },
  { type: "attempt_started", trial: "0001", attempt: 1, replicas: 1, nodes: ["n"], gpus: ["GPU-é"] },
  { type: "trial_ended", trial: "0001", attempt: 1, state: "failed", metrics: {}, error: "line\nline" },
];

async function written(records = bodies): Promise<string> {
  const file = path.join(folder, `journal-${++count}.jsonl`);
  const journal = await openJournal(file, { validBytes: 0, lastSeq: 0, torn: null });
  for (const body of records) journal.append(body);
  await journal.commit();
  await journal.close();
  return file;
}

async function read(file: string) {
  const records: JournalRecord[] = [];
  const contents = await readJournal(file, (record) => records.push(record));
  return { ...contents, records };
}

describe("journal", () => {
  it("reads back what was written, one JSON record a line", async () => {
    const file = await written();
    const { records, torn, lastSeq, validBytes } = await read(file);
    assert.deepEqual(
      records.map(({ seq, time, ...body }) => body),
      bodies,
    );
    assert.equal(torn, null);
    assert.equal(lastSeq, 4);
    const text = await readFile(file, "utf8");
    assert.equal(validBytes, Buffer.byteLength(text));
    for (const line of text.trimEnd().split("\n")) assert.match(JSON.parse(line).crc32c, /^[0-9a-f]{8}$/);
  });

  it("keeps metrics that are not numbers", async () => {
    const epoch = { trial: "0001", attempt: 1, epoch: 1, epochs: 2, seconds: 1, volumesPerSecond: 1 };
    const file = await written([
      { type: "epoch", ...epoch, metrics: { loss: Number.NaN, val_dice: 0.5 }, peakResidentBytes: 0, checkpoint: "" },
    ]);
    const [record] = (await read(file)).records;
    assert.deepEqual(record?.type === "epoch" && record.metrics, { loss: Number.NaN, val_dice: 0.5 });
  });

  it("is empty where there is no file", async () => {
    assert.deepEqual(await read(path.join(folder, "none")), { validBytes: 0, lastSeq: 0, torn: null, records: [] });
  });

  it("drops a torn last record wherever it was cut, and goes on behind the others", async () => {
    const whole = await readFile(await written());
    const lastStart = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (const cut of [lastStart + 1, lastStart + 40, whole.length - 1]) {
      const file = path.join(folder, `torn-${cut}.jsonl`);
      await writeFile(file, whole.subarray(0, cut));
      const contents = await read(file);
      assert.equal(contents.records.length, 3);
      assert.match(contents.torn ?? "", /^line 4: the last record was cut short$/);
      const journal = await openJournal(file, contents);
      journal.append({ type: "run_ended", state: "finished" });
      await journal.close();
      const again = await read(file);
      assert.deepEqual(again.records.map(({ type }) => type).slice(-2), ["attempt_started", "run_ended"]);
      assert.equal(again.lastSeq, 4);
      assert.equal(again.torn, null);
    }
  });

  it("drops a last record whose blocks were lost", async () => {
    const file = await written();
    await appendFile(file, `${"\0".repeat(50)}\n`);
    const contents = await read(file);
    assert.equal(contents.records.length, 4);
    assert.match(contents.torn ?? "", /^line 5: expected a record that ends with its checksum$/);
  });

  it("refuses damage in the middle", async () => {
    const file = await written();
    const lines = (await readFile(file, "utf8")).split("\n");
    const changed = [lines[0], lines[1]?.replace("0.1", "0.2"), ...lines.slice(2)];
    await writeFile(file, changed.join("\n"));
    await assert.rejects(
      read(file),
      /:2: the checksum is [0-9a-f]{8}, the record's is [0-9a-f]{8}, and valid records follow/,
    );
    await writeFile(file, [lines[0], ...lines.slice(2)].join("\n"));
    await assert.rejects(read(file), /:2: expected record 2, found 3, and valid records follow/);
  });

  it("refuses the ids of trials that would lie elsewhere", async () => {
    for (const trial of ["..", ".", "../0001", "a/b", "a\0b", ""]) {
      const created: RecordBody = { type: "trial_created", trial, parameters: {} };
      const file = await written([...bodies.slice(0, 1), created, ...bodies.slice(1)]);
      await assert.rejects(read(file), { code: "RUN_REFUSED" }, JSON.stringify(trial));
    }
  });

  it("writes what is appended as soon as a commit is done", async () => {
    const journal = await openJournal(path.join(folder, "in-turn.jsonl"), { validBytes: 0, lastSeq: 0, torn: null });
    // At every distance, in microtasks, from the end of the commit before.
    for (let distance = 0; distance < 12; distance++) {
      journal.append({ type: "run_ended", state: "finished" });
      await journal.commit();
      for (let tick = 0; tick < distance; tick++) await null;
      journal.append({ type: "run_ended", state: "finished" });
      await journal.commit();
    }
    await journal.close();
    assert.equal((await read(path.join(folder, "in-turn.jsonl"))).records.length, 24);
  });

  it("shares an fsync between commits and fails them all when the disk does", async () => {
    const full = await openJournal("/dev/full", { validBytes: 0, lastSeq: 0, torn: null }).catch(() => null);
    if (full === null) return;
    full.append({ type: "run_ended", state: "finished" });
    const commits = await Promise.allSettled([full.commit(), full.commit()]);
    for (const commit of commits)
      assert.match(String(commit.status === "rejected" && commit.reason), /the disk is full, .*ENOSPC/);
    await full.close();
  });

  it("takes nothing more once it belongs to somebody else", async () => {
    const file = path.join(folder, "fenced.jsonl");
    let ours = true;
    const confirm = async (): Promise<void> => {
      if (!ours) throw new DistmisError("RUN_REFUSED", "the lock was taken over by elsewhere");
    };
    const journal = await openJournal(file, { validBytes: 0, lastSeq: 0, torn: null }, confirm);
    journal.append({ type: "run_ended", state: "finished" });
    await journal.commit();
    ours = false;
    journal.append({ type: "run_ended", state: "interrupted" });
    await assert.rejects(journal.commit(), { code: "RUN_REFUSED" });
    assert.throws(() => journal.append({ type: "run_ended", state: "interrupted" }), { code: "RUN_REFUSED" });
    await journal.close();
    assert.equal((await read(file)).records.length, 1);
  });
});
