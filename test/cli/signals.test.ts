/** What ends a run from outside, and how it ends then: with its journal closed, nothing left behind, and ready to go on. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type Command, distmisCommand, startCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "distmis-signals-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const START_MS = 60_000;
/** Running trials have 10 s, and Ray some more. */
const END_MS = 30_000;

async function runArguments(name: string, task: string, parameters: string): Promise<string[]> {
  const module = path.join(repositoryRoot, "test/fixtures/tasks", `${task}.mjs`);
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(file, `name: ${name}\ntrainer: { module: ${module}, parameters: { ${parameters} } }\n`);
  return ["run", file, "--gpus", "1", "--cpus", "1"];
}

const endless = (name: string): Promise<string[]> => runArguments(name, "until-stopped", "epochs: 100000");

async function journal(name: string): Promise<{ type: string; state?: string; cause?: string; epoch?: number }[]> {
  const text = await readFile(path.join(folder, "runs", name, "journal.jsonl"), "utf8").catch(() => "");
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

async function epochs(name: string): Promise<number> {
  return (await journal(name)).filter(({ type }) => type === "epoch").length;
}

const reaches = (command: Command, name: string, epoch: number): Promise<unknown> =>
  until(
    () => command.stderr(),
    async () => (await epochs(name)) >= epoch,
    START_MS,
  );

/** Ends in peace, with what ran interrupted, and the next start may go on. */
async function assertClosed(name: string): Promise<void> {
  const [attempt, run] = (await journal(name)).slice(-2);
  assert.deepEqual([attempt?.type, attempt?.cause], ["attempt_ended", "interrupted"]);
  assert.deepEqual([run?.type, run?.state], ["run_ended", "interrupted"]);
}

const gone = (command: Command): Promise<unknown> =>
  until(
    () => command.processes().join("\n"),
    () => command.processes().length === 0,
    END_MS,
  );

describe("distmis run", () => {
  it("hears the warning of a time limit that came before it listened", () => {
    const module = path.join(repositoryRoot, "src/cli/signals.ts");
    const program = `import { listenForStop } from ${JSON.stringify(module)};
      process.kill(process.pid, "SIGUSR1");
      setTimeout(() => { const { timeIsUp, release } = listenForStop(console.log); console.log(timeIsUp()); release(); }, 100);`;
    const args = ["--import", "tsx", "--input-type=module", "-e", program];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: repositoryRoot, encoding: "utf8" });
    assert.equal(stdout, "SIGUSR1\ntrue\n", stderr);
    assert.equal(stderr, "");
  });

  it("goes on after SIGHUP without a terminal, as under nohup, and ends with 143 after SIGTERM", async () => {
    const command = startCommand(distmisCommand(await endless("term")), folder);
    await reaches(command, "term", 3);
    command.child.kill("SIGHUP");
    const before = await epochs("term");
    await reaches(command, "term", before + 10);
    command.child.kill("SIGTERM");
    assert.deepEqual(await command.exit, { code: 143, signal: null }, command.stderr());
    assert.match(
      command.stderr(),
      /^\S+Z stopping: running trials end after their step; press Ctrl-C again to kill them$/m,
    );
    assert.match(command.stdout(), /stopped; the same command continues it/);
    await assertClosed("term");
    assert.deepEqual(command.processes(), []);
  });

  it("ends so, too, if every process gets the signal, as from SLURM", async () => {
    const command = startCommand(distmisCommand(await endless("job")), folder);
    await reaches(command, "job", 3);
    for (const line of command.processes()) process.kill(Number(line.split(" ")[0]), "SIGTERM");
    assert.deepEqual(await command.exit, { code: 143, signal: null }, command.stderr());
    await assertClosed("job");
    assert.deepEqual(command.processes(), []);
  });

  it("waits for a trial that doesn't end, but not after the second signal", async () => {
    const name = "twice";
    const args = await runArguments(name, "replicas", "epochs: 4, fault: { rank: 0, epoch: 3, kind: hang }");
    const command = startCommand(distmisCommand(args), folder);
    await reaches(command, name, 2);
    command.child.kill("SIGINT");
    await until("the first signal", () => command.stderr().includes("stopping: "));
    const first = performance.now();
    // What comes within 0.3 s is the same press of a key.
    await until("another press", () => performance.now() - first > 400);
    assert.deepEqual((await journal(name)).at(-1)?.type, "epoch", "the trial has not ended");
    command.child.kill("SIGINT");
    await until("the end of the run", async () => (await journal(name)).at(-1)?.type === "run_ended");
    assert.ok(performance.now() - first < 8_000, "it did not wait until the grace was over");
    assert.deepEqual(await command.exit, { code: 130, signal: null }, command.stderr());
    await assertClosed(name);
    assert.deepEqual(command.processes(), []);
  });

  it("ends while Ray starts", async () => {
    const command = startCommand(distmisCommand(await endless("early")), folder);
    await until(
      () => command.stderr(),
      () => command.processes().some((line) => line.includes("/gcs/gcs_server ")),
      START_MS,
    );
    command.child.kill("SIGTERM");
    assert.deepEqual(await command.exit, { code: 143, signal: null }, command.stderr());
    assert.deepEqual((await journal("early")).at(-1)?.state, "interrupted");
    assert.deepEqual(command.processes(), []);
  });

  it("closes its journal when the terminal has gone", async () => {
    // `script` gives it a terminal that goes when `script` dies, as sshd's does with the connection.
    const words = distmisCommand(await endless("hangup")).map((word) => `'${word}'`);
    const terminal = startCommand(["script", "-qec", `exec ${words.join(" ")}`, "/dev/null"], folder);
    await reaches(terminal, "hangup", 5);
    assert.match(terminal.stdout(), /1 running, 0 waiting of 1 trial/);
    terminal.child.kill("SIGKILL");
    await gone(terminal);
    await assertClosed("hangup");
  });

  it("stops when nobody reads its events any more", async () => {
    const command = startCommand(distmisCommand([...(await endless("pipe")), "--json"]), folder);
    await reaches(command, "pipe", 3);
    command.child.stdout?.destroy();
    assert.deepEqual(await command.exit, { code: 141, signal: null }, command.stderr());
    assert.equal(command.stderr(), "");
    await assertClosed("pipe");
    assert.deepEqual(command.processes(), []);
  });

  it("says when its events can't be written", async () => {
    const words = distmisCommand([...(await endless("full")), "--json"]).map((word) => `'${word}'`);
    const command = startCommand(["sh", "-c", `exec ${words.join(" ")} > /dev/full`], folder);
    assert.deepEqual(await command.exit, { code: 141, signal: null }, command.stderr());
    assert.match(command.stderr(), /^distmis: standard output can't be written: ENOSPC.*\n$/);
    assert.deepEqual((await journal("full")).at(-1)?.state, "interrupted");
    assert.deepEqual(command.processes(), []);
  });
});
