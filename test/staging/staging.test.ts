/** Copies of a data set on a local disk: made once, verified, used by several processes, and gone with the last one. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { entryCommand, moduleUrl } from "../../src/paths/index.ts";
import { copyShard } from "../../src/staging/copy-shards.ts";
import { stageShards, stagingRefusal } from "../../src/staging/index.ts";
import { smallDisk } from "../support/small-disk.ts";
import { until } from "../support/until.ts";
import { folders, type StageRequest, shard, startUser } from "./fixtures.ts";

const SMALL = { "train_0.tfrecord": [10, 0, 5000], "train_1.tfrecord": [70_000], "valid_0.tfrecord": [1] };
/** Long enough to be seen at work. */
const LARGE = { "train_0.tfrecord": [1000], "train_1.tfrecord": [150_000_000, 150_000_000, 150_000_000] };

function users(t: TestContext) {
  const all: ReturnType<typeof startUser>[] = [];
  t.after(() => Promise.all(all.map((user) => user.kill())));
  return (request: StageRequest) => {
    const user = startUser(request);
    all.push(user);
    return user;
  };
}

const isOwn = (folder: string, base: string): boolean => folder.startsWith(`${base}/distmis-stage-`);

/** What a run does on each node at its end. */
function clear(base: string): void {
  const [program = "", ...args] = entryCommand(moduleUrl("staging/clear"));
  assert.equal(spawnSync(program, [...args, base], { stdio: "inherit" }).status, 0);
}

async function stage(request: StageRequest, options: { stop?: () => boolean } = {}) {
  const said: string[] = [];
  const folder = await stageShards({
    ...{ limit: 1e12, stop: () => false, say: (text: string) => said.push(text) },
    ...request,
    ...options,
  });
  return { folder, said: said.join("\n") };
}

test("four processes at once make one copy, and the last one's end frees it", async (t) => {
  const { shared, local, files } = await folders(t, SMALL);
  const start = users(t);
  const request = { dir: shared, fingerprint: "a", files, base: local };
  const four = [1, 2, 3, 4].map(() => start(request));
  const said = await Promise.all(four.map((user) => user.said));
  const { folder = "" } = said[0] ?? {};
  assert.ok(isOwn(folder, local), JSON.stringify(said));
  assert.deepEqual(
    said.map((one) => one.folder),
    [folder, folder, folder, folder],
  );
  assert.equal(four.filter(({ lines }) => lines.some((line) => line.startsWith("copied "))).length, 1);
  assert.equal(fs.statSync(path.dirname(folder)).mode & 0o777, 0o700);
  for (const file of files)
    assert.ok(fs.readFileSync(path.join(folder, file)).equals(fs.readFileSync(path.join(shared, file))), file);

  for (const user of four.slice(1)) await user.kill();
  clear(local);
  assert.ok(fs.existsSync(folder), "one process still uses it");
  await four[0]?.kill();
  // Who comes now uses it again, without a copy.
  const next = start(request);
  assert.equal((await next.said).folder, folder);
  assert.deepEqual(next.lines, []);
  await next.kill();
  clear(local);
  assert.deepEqual(fs.readdirSync(local), []);
});

test("a process that is killed while it copies is followed by one that waits, and leaves nothing half done", async (t) => {
  const { shared, local, files } = await folders(t, LARGE);
  const start = users(t);
  const request = { dir: shared, fingerprint: "a", files, base: local };
  const parts = (): string[] =>
    fs.readdirSync(local, { recursive: true, encoding: "utf8" }).filter((name) => /train_1.*\.part$/.test(name));
  const first = start(request);
  await until("the copy of the second shard", () => parts().length > 0, 30_000);
  const second = start(request);
  await first.kill();
  const { folder = "" } = await second.said;
  assert.ok(isOwn(folder, local));
  // The first shard was whole, and is not copied again.
  assert.match(second.lines.join(), /copied 450 MB/);
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.endsWith(".tfrecord")),
    files,
  );
  await second.kill();
  clear(local);
  assert.deepEqual(fs.readdirSync(local), []);
});

test("what killed processes left of other data sets is removed by the next start, what is in use is not", async (t) => {
  const { shared, local, files } = await folders(t, SMALL);
  const start = users(t);
  const request = { dir: shared, files, base: local };
  const [left, used] = [start({ ...request, fingerprint: "left" }), start({ ...request, fingerprint: "used" })];
  const [a, b] = [(await left.said).folder ?? "", (await used.said).folder ?? ""];
  await left.kill();
  // A lock of a process that died before it made a folder.
  const lock = path.join(path.dirname(a), "0123456789abcdef.lock");
  fs.writeFileSync(
    lock,
    JSON.stringify({ host: "gone", pid: 1, startTicks: "1", bootId: "x", token: "t", since: "then" }),
  );
  fs.utimesSync(lock, new Date(0), new Date(0));
  const { folder } = await stage({ ...request, fingerprint: "new" });
  assert.deepEqual([fs.existsSync(a), fs.existsSync(b), fs.existsSync(folder)], [false, true, true]);
  assert.equal(fs.existsSync(lock), false);
});

test("a damaged shard is an error that names file, place and node; a torn copy is made again", async (t) => {
  const { shared, local, files } = await folders(t, SMALL);
  const request = { dir: shared, fingerprint: "a", files, base: local };
  const { folder } = await stage(request);
  fs.truncateSync(path.join(folder, "train_1.tfrecord"), 100);
  const again = await stage(request);
  assert.match(again.said, /^copied 0\.0700 MB/);
  assert.equal(fs.statSync(path.join(folder, "train_1.tfrecord")).size, 70_016);

  const file = path.join(shared, "train_0.tfrecord");
  const bytes = fs.readFileSync(file);
  // In the third record's data: behind the first one (26 bytes), the empty second one (16) and a head.
  bytes.writeUInt8(bytes.readUInt8(26 + 16 + 12 + 100) ^ 1, 26 + 16 + 12 + 100);
  fs.writeFileSync(file, bytes);
  await assert.rejects(stage({ ...request, fingerprint: "b" }), {
    code: "DATA_INVALID",
    message: /train_0\.tfrecord: record at byte 42: checksum of its data is wrong.*\(read on \S+, to be copied/,
  });
  fs.truncateSync(file, bytes.length - 1);
  await assert.rejects(stage({ ...request, fingerprint: "c" }), { code: "DATA_INVALID", message: /byte 42: cut off/ });
  fs.rmSync(file);
  await assert.rejects(stage({ ...request, fingerprint: "d" }), {
    code: "FILE_UNUSABLE",
    message: /train_0\.tfrecord can't be read on \S+: ENOENT/,
  });
});

test("beyond the limit, without room, or in a folder of others, the shared folder is used, and why is said", async (t) => {
  const { shared, local, files, dir } = await folders(t, SMALL);
  const request = { dir: shared, fingerprint: "a", files, base: local };
  const over = await stage({ ...request, limit: 75_000 });
  assert.equal(over.folder, shared);
  assert.match(over.said, /not from a local copy: it has 0\.0751 MB, and data\.stage\.limit_gigabytes is 0\.000075/);
  assert.deepEqual(fs.readdirSync(local), []);
  assert.match((await stagingRefusal(shared, files, 75_000)) ?? "", /is read where it lies, without local copies: it/);
  assert.equal(await stagingRefusal(shared, files, 76_000), null);

  assert.match((await stage({ ...request, base: path.join(dir, "none") })).said, /not from a local copy: ENOENT/);

  const parent = path.join(local, `distmis-stage-${process.getuid?.()}`);
  fs.mkdirSync(parent, { mode: 0o755 });
  assert.match((await stage(request)).said, /is not a folder of this user alone/);
  fs.rmdirSync(parent);
  fs.symlinkSync(dir, parent);
  assert.match((await stage(request)).said, /is not a folder of this user alone/);
  fs.rmSync(parent);

  // Asked to stop: who stops needs no copy.
  assert.deepEqual(await stage(request, { stop: () => true }), { folder: shared, said: "" });
});

test("without room on the local disk the shared folder is used, and nothing is left there", async (t) => {
  // First, as what is registered first is done first at the end.
  const mount = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-staging-disk-"));
  const disk = smallDisk(t, mount, 1);
  t.after(() => fs.rmdirSync(mount));
  if (disk === null) return;
  const { shared, files } = await folders(t, SMALL);
  const full = await stage({ dir: shared, fingerprint: "a", files, base: disk });
  assert.equal(full.folder, shared);
  assert.match(full.said, /0\.0751 MB are to be copied, but \S+ has 1\.0\d MB free/);
  assert.deepEqual(
    fs.readdirSync(disk, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("tfrecord")),
    [],
  );
  // A disk that fills up meanwhile.
  await shard(path.join(shared, "big.tfrecord"), [2_000_000]);
  const size = fs.statSync(path.join(shared, "big.tfrecord")).size;
  await assert.rejects(
    copyShard(shared, disk, { name: "big.tfrecord", bytes: size }, () => false),
    { code: "ENOSPC" },
  );
  assert.deepEqual(
    fs.readdirSync(disk).filter((name) => name.includes("big")),
    [],
  );
});
