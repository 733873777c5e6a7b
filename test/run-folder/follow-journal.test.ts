import assert from "node:assert/strict";
import { appendFile, copyFile, mkdtemp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { followJournal } from "../../src/run-folder/index.ts";
import { encodeRecord } from "../../src/run-folder/journal.ts";
import type { RecordBody } from "../../src/run-folder/record.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-follow-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });
const time = "2026-01-01T00:00:00.000Z";
const start = (pid: number): RecordBody => ({ type: "run_started", version: 2, experiment, host: "h", pid });
const created = (trial: number): RecordBody => ({ type: "trial_created", trial: String(trial), parameters: {} });

function lines(bodies: RecordBody[], firstSeq = 1): string {
  return bodies.map((body, at) => encodeRecord({ seq: firstSeq + at, time, ...body })).join("");
}

/** Follows a new file; each call of `next` gives what was told up to the next look at which nothing was left. */
function following(file = path.join(folder, `journal-${++count}.jsonl`)) {
  const stop = new AbortController();
  const news = followJournal(file, { signal: stop.signal, lookMilliseconds: 10 });
  const next = async (): Promise<string[]> => {
    const told: string[] = [];
    for (;;) {
      const { value } = await news.next();
      if (value === undefined || value.type === "quiet") return told;
      if (value.type === "replaced") told.push("replaced");
      else told.push(...value.records.map((record) => ("trial" in record ? record.trial : record.type)));
    }
  };
  return { file, next, stop: () => stop.abort(), ended: () => news.next() };
}

describe("followJournal", () => {
  it("waits for the file, and tells each record once, when its line is whole", async () => {
    const { file, next, stop, ended } = following();
    assert.deepEqual(await next(), []);
    const text = lines([start(1), created(1), created(2)]);
    await writeFile(file, text.slice(0, -20));
    assert.deepEqual(await next(), ["run_started", "1"]);
    assert.deepEqual(await next(), []);
    await appendFile(file, text.slice(-20));
    assert.deepEqual(await next(), ["2"]);
    stop();
    assert.deepEqual(await ended(), { value: undefined, done: true });
  });

  it("goes on where a torn end was cut off and written anew", async () => {
    const { file, next } = following();
    const text = lines([start(1), created(1)]);
    await writeFile(file, `${text}{"seq":3,"torn and longer than what follows it":"${"x".repeat(300)}`);
    assert.deepEqual(await next(), ["run_started", "1"]);
    await truncate(file, text.length);
    await appendFile(file, lines([created(2)], 3));
    assert.deepEqual(await next(), ["2"]);
  });

  it("begins anew with another run's journal, in the same file or in its place", async () => {
    const { file, next } = following();
    await writeFile(file, lines([start(1), created(1), created(2)]));
    assert.deepEqual(await next(), ["run_started", "1", "2"]);
    await writeFile(file, lines([start(2)]));
    assert.deepEqual(await next(), ["replaced", "run_started"]);
    await writeFile(`${file}.new`, lines([start(3), created(1), created(2), created(3)]));
    await rename(`${file}.new`, file);
    assert.deepEqual(await next(), ["replaced", "run_started", "1", "2", "3"]);
    await rm(file);
    assert.deepEqual(await next(), ["replaced"]);
    await writeFile(file, lines([start(4)]));
    assert.deepEqual(await next(), ["run_started"]);
  });

  it("goes on with a copy that takes its place", async () => {
    const { file, next } = following();
    await writeFile(file, lines([start(1), created(1)]));
    assert.deepEqual(await next(), ["run_started", "1"]);
    await copyFile(file, `${file}.copy`);
    await appendFile(`${file}.copy`, lines([created(2)], 3));
    await rename(`${file}.copy`, file);
    assert.deepEqual(await next(), ["2"]);
  });

  it("waits for content that comes later than the length, as over NFS", async () => {
    const { file, next } = following();
    const text = lines([start(1), created(1), created(2), created(3)]);
    const [first = "", hidden = "", ...rest] = text.split("\n");
    await writeFile(file, [first, "\0".repeat(hidden.length), ...rest].join("\n"));
    assert.deepEqual(await next(), ["run_started"]);
    assert.deepEqual(await next(), []);
    await writeFile(file, text);
    assert.deepEqual(await next(), ["1", "2", "3"]);
  });

  it("refuses damage that stays, and what is no journal", async () => {
    const damaged = following();
    const text = lines([start(1), created(1), created(2)]);
    await writeFile(damaged.file, text.replace('"trial":"1"', '"trial":"9"'));
    await assert.rejects(async () => {
      for (;;) await damaged.next();
    }, /:2: the checksum is .*, and valid records follow; the journal was damaged: restore it$/);
    const other = following();
    await writeFile(other.file, lines([created(1)]));
    await assert.rejects(other.next(), /expected a run's start first, found trial_created/);
  });

  it("reads a line that is longer than a piece, and many pieces", async () => {
    const { file, next } = following();
    const name = "n".repeat(3 << 20);
    const long: RecordBody = { type: "trial_created", trial: "long", parameters: { name } };
    const many = Array.from({ length: 20_000 }, (_, trial) => created(trial));
    await writeFile(file, lines([start(1), long, ...many]));
    assert.equal((await next()).length, 20_002);
    assert.ok((await readFile(file)).length > 4 << 20);
  });
});
