import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { takeLock } from "../../src/lock/index.ts";
import { until } from "../support/until.ts";

const words = { what: "this run", instead: "use another run folder" };

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-lock-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A process that takes the lock and holds it until it is killed. */
async function holder(file: string) {
  const module = path.join(import.meta.dirname, "../../src/lock/index.ts");
  const code = `const { takeLock } = await import(${JSON.stringify(module)}); await takeLock(${JSON.stringify(file)}, ${JSON.stringify(words)}); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

describe("file lock", () => {
  it("refuses a second process, naming host and pid of the first, and takes over from a dead one", async () => {
    const file = path.join(folder, "a.lock");
    const child = await holder(file);
    await assert.rejects(takeLock(file, words), (error) => {
      assert.match(String(error), new RegExp(`process ${child.pid} on host ${hostname()} since `));
      return true;
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    const lock = await takeLock(file, words);
    assert.equal(JSON.parse(await readFile(file, "utf8")).pid, process.pid);
    await lock.release();
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith("a.lock")),
      [],
    );
  });

  it("is kept by signs of life, and says of which job it is", async () => {
    process.env.SLURM_JOB_ID = "17";
    const file = path.join(folder, "d.lock");
    const lock = await takeLock(file, words).finally(() => delete process.env.SLURM_JOB_ID);
    const text = await readFile(file, "utf8");
    assert.equal(JSON.parse(text).job, "17");
    const old = new Date(Date.now() - 3600_000);
    await utimes(file, old, old);
    await until("a sign of life", async () => Date.now() - (await stat(file)).mtimeMs < 10_000, 15_000);
    assert.equal(await readFile(file, "utf8"), text);
    await lock.release();
  });

  it("is given to one of many that want it at once", async () => {
    const file = path.join(folder, "b.lock");
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(file, words)));
    const held = all.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    assert.equal(held.length, 1);
    await held[0]?.release();
  });

  it("takes over from another host after a minute of silence only, and from a process id that was given again", async () => {
    const file = path.join(folder, "c.lock");
    const owner = { host: "elsewhere", pid: 1, startTicks: "1", bootId: "b", token: "t", since: "2020" };
    await writeFile(file, JSON.stringify(owner));
    await assert.rejects(takeLock(file, words), /process 1 on host elsewhere/);
    const old = new Date(Date.now() - 61_000);
    await utimes(file, old, old);
    await (await takeLock(file, words)).release();
    // Who has patience waits for the rest of the minute.
    await writeFile(file, JSON.stringify(owner));
    const nearlyOld = async (): Promise<void> => {
      const at = new Date(Date.now() - 58_000);
      await utimes(file, at, at);
    };
    await nearlyOld();
    const said: string[] = [];
    const never = new AbortController().signal;
    const patience = { onWait: (text: string) => said.push(text), signal: never };
    await (await takeLock(file, words, patience)).release();
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /held by process 1 on host elsewhere: it is waited for/);
    // But not for a process that gives a sign of life.
    await writeFile(file, JSON.stringify(owner));
    await nearlyOld();
    const speaks = (): unknown => setTimeout(() => utimes(file, new Date(), new Date()), 500);
    await assert.rejects(takeLock(file, words, { ...patience, onWait: speaks }), /process 1 on host elsewhere/);
    await rm(file);
    const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const near = { ...owner, host: hostname(), pid: process.pid, bootId };
    await writeFile(file, JSON.stringify(near));
    await (await takeLock(file, words)).release();
    // A container may have its host's name, and another machine the same one: their processes can't be looked for here.
    for (const other of [{ pidNamespace: "pid:[1]" }, { bootId: "b" }]) {
      await writeFile(file, JSON.stringify({ ...near, ...other }));
      await assert.rejects(takeLock(file, words), /is worked on by process/);
      await utimes(file, old, old);
      await (await takeLock(file, words)).release();
    }
  });

  it("is confirmed after a silence only if nobody has taken it meanwhile", async (t) => {
    const file = path.join(folder, "d.lock");
    const lock = await takeLock(file, words);
    const mine = await readFile(file, "utf8");
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 31_000 });
    const { mtimeMs } = await stat(file);
    await utimes(file, 0, 0);
    await lock.confirm();
    assert.ok((await stat(file)).mtimeMs >= mtimeMs, "it lives");
    assert.equal(await readFile(file, "utf8"), mine);
    await writeFile(file, JSON.stringify({ ...JSON.parse(mine), host: "elsewhere", token: "t" }));
    t.mock.timers.setTime(Date.now() + 31_000);
    await assert.rejects(lock.confirm(), { code: "RUN_REFUSED", message: /taken over by elsewhere/ });
    assert.ok(lock.lost.aborted);
    await lock.release();
    assert.match(await readFile(file, "utf8"), /elsewhere/);
  });
});
