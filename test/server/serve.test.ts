/** A server, its clients and its experiments, with a real Ray, as people use them. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import {
  connectServer,
  type Experiment,
  loadExperiment,
  type RemoteServer,
  type RunEvent,
  type RunResults,
} from "../../src/index.ts";
import { type Command, distmisCommand, startCommand } from "../support/command.ts";
import { until } from "../support/until.ts";
import { END_MS, endServing, experimentFile, type Serving, startServing } from "./serving.ts";

let folder = "";
let serving: Serving | undefined;
let socket = "";
let server: RemoteServer;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "distmis-serve-"));
  socket = path.join(folder, "server.sock");
  serving = await startServing(folder, 2, ["--listen", socket]);
  server = await connectServer({ address: socket });
});
after(async () => {
  server?.close();
  await endServing(serving);
  rmSync(folder, { recursive: true, force: true });
});

const SPACE = "search: { space: { trainer.parameters.n: { grid: [1, 2, 3] } } }\n";
/** Half of the server's GPUs. */
const HALF = "resources: { max_concurrent_trials: 1 }\n";

/** An experiment of three trials that end when the file `go-NAME` is there. */
function waiting(name: string): string {
  return experimentFile(folder, name, "until-file", `file: ${path.join(folder, `go-${name}`)}`, SPACE + HALF);
}

const letGo = (name: string): void => writeFileSync(path.join(folder, `go-${name}`), "");

const load = (name: string, set: string[] = []): Promise<Experiment> =>
  loadExperiment(path.join(folder, `${name}.yaml`), { set });

function distmis(...args: string[]): Command {
  return startCommand(distmisCommand([...args, "--server", socket]), folder);
}

async function ends(command: Command, code: number): Promise<string> {
  const { code: found } = await command.exit;
  assert.equal(found, code, `${command.stdout()}${command.stderr()}`);
  return command.stdout();
}

async function follow(run: string): Promise<{ events: RunEvent[]; results: RunResults }> {
  const remote = server.attach(run);
  const events: RunEvent[] = [];
  for await (const event of remote) events.push(event);
  return { events, results: await remote.results };
}

async function states(): Promise<Record<string, string>> {
  return Object.fromEntries((await server.list()).experiments.map(({ run, state }) => [run, state]));
}

function hasEpoch(run: string, count: number): Promise<unknown> {
  return until(
    `${count} epochs of ${run}`,
    () => {
      const file = path.join(folder, "runs", run, "journal.jsonl");
      return existsSync(file) && readFileSync(file, "utf8").split('"type":"epoch"').length > count;
    },
    END_MS,
  );
}

/** The table of a run, without what differs from run to run. */
function table({ trials }: RunResults): unknown[] {
  return trials.map(({ trial, state, parameters, epoch, best, metrics }) => ({
    trial,
    state,
    n: parameters["trainer.parameters.n"],
    epoch,
    best,
    metrics,
  }));
}

const TABLE = [1, 2, 3].map((n) => ({
  trial: `000${n}`,
  state: "completed",
  n,
  epoch: 3,
  best: { value: 1, epoch: 3, checkpoint: "epoch.txt" },
  metrics: { val_dice: 1 },
}));

describe("distmis serve", () => {
  it("listens at a socket for its user alone", () => {
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    assert.equal(serving?.address, `unix:${socket}`);
  });

  it("runs an experiment as `run` alone would, and shows it again when it has finished", async () => {
    const file = experimentFile(folder, "scores", "report", "score: 0.5", SPACE.replace(".n", ".score"));
    const first = distmis("run", file);
    const shown = await ends(first, 0);
    assert.match(shown, /best trial 0003: val_dice 3\.0000 at epoch 2 \(score=3\)\nrun folder: .*\/runs\/scores\n$/);
    assert.match(first.stderr(), /^run scores is (queued|running) at unix:/);
    assert.match(first.stderr(), /Z trial 0003 completed after [\d.]+ s, best 3\.0000 at epoch 2$/m);
    const failing = experimentFile(folder, "failing", "always-fails", "");
    const [again, failed] = [distmis("attach", "scores"), distmis("run", failing)];
    assert.equal(await ends(again, 0), shown);
    assert.match(await ends(failed, 1), /^trial 0001 failed: .*no such modality: T9/m);

    // Handed in again it is only shown; --fresh is another run. Without a search space it is one trial.
    assert.equal((await server.submit(await load("scores"))).state, "finished");
    experimentFile(folder, "one", "report", "score: 0.25");
    await server.submit(await load("one"));
    const fresh = await server.submit(await load("one"), { fresh: true });
    assert.equal(fresh.run, "one-2");
    const { results } = await follow("one-2");
    assert.equal(results.best?.best?.value, 0.25);
    assert.equal(results.runDir, path.join(folder, "runs", "one-2"));
    const longer = { search: { ...(await load("scores")).search, metric: "loss" } };
    await assert.rejects(server.submit({ ...(await load("scores")), ...longer }), {
      code: "RUN_REFUSED",
      message: /\n {2}search\.metric: "val_dice" before, "loss" now$/,
    });
    await assert.rejects(server.submit(await load("one"), { run: "new", extend: true }), { code: "RUN_REFUSED" });
  });

  it("refuses what can't run there, and says why", async () => {
    writeFileSync(path.join(folder, "data.yaml"), "name: data\ndata: { dir: /nowhere }\n");
    await assert.rejects(server.submit(await load("data")), {
      code: "FILE_UNUSABLE",
      message: /^on the server: data\.dir: \/nowhere\/info\.json can't be read/,
    });
    for (const run of ["..", "../x", "/tmp/x", ".server", "a/b", "a\0b", "a\n", "x".repeat(101)]) {
      await assert.rejects(
        server.submit(await load("one"), { run }),
        { code: "USAGE", message: /expected a name/ },
        run,
      );
      await assert.rejects(follow(run), { code: "USAGE" }, run);
      await assert.rejects(server.cancel(run), { code: "USAGE" }, run);
    }
    await assert.rejects(follow("score"), { code: "FILE_UNUSABLE", message: /did you mean .*\/runs\/scores\?$/ });
    await assert.rejects(server.cancel("zzzzzz"), { code: "FILE_UNUSABLE", message: /no such run folder$/ });
    await assert.rejects(server.cancel("scores"), { code: "RUN_REFUSED", message: /has finished at .*: nothing to/ });

    const elsewhere = (...args: string[]) => startCommand(distmisCommand(["serve", ...args]), folder);
    const cases: [Command, RegExp][] = [
      [distmis("run", "one.yaml", "--run-dir", "../x"), /^distmis: --run-dir \.\.\/x: expected a name with --server/],
      [distmis("run", "one.yaml", "--gpus", "1"), /^distmis: Arguments gpus and server are mutually exclusive$/m],
      [elsewhere("--listen", path.join(folder, "b.sock")), /server\.lock: this folder of runs is worked on by process/],
      [elsewhere("--listen", socket, "--runs-dir", "others"), /another server listens there/],
    ];
    for (const [command, expected] of cases) {
      await ends(command, 2);
      assert.match(command.stderr(), expected);
    }
  });

  it("runs on when its clients are killed or leave, queues what comes meanwhile, and cancels", async () => {
    const client = distmis("run", waiting("long"));
    await until(
      () => client.stderr(),
      () => /epoch 1\//.test(client.stderr()),
      END_MS,
    );
    client.child.kill("SIGKILL");
    await client.exit;

    const second = distmis("run", waiting("later"));
    await until(
      () => second.stderr(),
      () => /^\S+Z run later waits for 1 other experiment$/m.test(second.stderr()),
      END_MS,
    );
    const status = await ends(distmis("status"), 0);
    assert.match(status, /│ long +│ running +│.*\n│ later +│ queued /);
    assert.equal((await server.submit(await load("long"))).state, "running");
    await assert.rejects(server.submit(await load("later", ["trainer.parameters.more=1"])), { code: "RUN_REFUSED" });
    // How it is run may change until it begins.
    const failures = ["failure.max_failures=7"];
    await assert.rejects(server.submit(await load("long", failures)), {
      code: "RUN_REFUSED",
      message: /run long is at work with other settings: .*max_failures: 2 before, 7 now; cancel it/,
    });
    await server.submit(await load("later", failures));
    const queue = JSON.parse(readFileSync(path.join(folder, "runs/.server/experiments.json"), "utf8"));
    const later = queue.experiments.find(({ run }: { run: string }) => run === "later");
    assert.equal(later.experiment.failure.max_failures, 7);

    // Ctrl-C leaves the run alone.
    second.child.kill("SIGINT");
    await second.exit;
    assert.equal(second.child.exitCode, 130);
    assert.match(second.stderr(), /^\S+Z run later goes on; `distmis attach later --server \S+` shows it again/m);

    letGo("long");
    const { events, results } = await follow("long");
    assert.deepEqual([events[0]?.type, events.at(-1)?.type], ["run_started", "run_ended"]);
    const ended = events.flatMap((event) => (event.type === "trial_ended" ? event.trial : []));
    assert.deepEqual(ended.toSorted(), ["0001", "0002", "0003"]);
    // Who comes late has not heard of their starts.
    const facts = events.flatMap((event) => (event.type === "trial_ended" ? [event] : []));
    for (const { parameters, epochs, nodes } of facts)
      assert.deepEqual([Object.keys(parameters).length, epochs > 0, nodes.length], [1, true, 1]);
    assert.deepEqual(table(results), TABLE);

    const attached = follow("later");
    await until("later runs", async () => (await states()).later === "running", END_MS);
    await hasEpoch("later", 1);
    assert.match(await ends(distmis("cancel", "later"), 0), /^run later is cancelled; 0 of 3 trials had ended\n$/);
    assert.equal((await attached).results.state, "interrupted");
    letGo("later");
    await server.submit(await load("later"));
    assert.deepEqual(table((await follow("later")).results), TABLE);
  });

  it("goes on with what it had when it is started again, after a kill and after Ctrl-C", async () => {
    const client = distmis("run", waiting("first"));
    waiting("next");
    await until(
      () => client.stderr(),
      () => /epoch 1\//.test(client.stderr()),
      END_MS,
    );
    await server.submit(await load("next"));
    await server.submit(await load("next"), { run: "dropped" });
    assert.equal((await server.cancel("dropped")).state, "cancelled");

    serving?.child.kill("SIGKILL");
    await endServing(serving);
    serving = await startServing(folder, 2, ["--listen", socket]);
    assert.match(serving.stdout(), /^2 experiments of before go on$/m);
    // The client has waited for it.
    await until(
      () => client.stderr(),
      () => /attempt 2 started/.test(client.stderr()),
      END_MS,
    );
    assert.match(client.stderr(), /can't be reached: .*; trying again in 1 s$/m);

    serving.child.kill("SIGINT");
    await endServing(serving);
    assert.match(serving.stderr(), /Z first: queued$/m);
    await client.exit;
    assert.match(client.stdout(), /stopped; the same command continues it\n$/);

    serving = await startServing(folder, 2, ["--listen", socket, "--max-experiments", "2"]);
    // Both at once.
    await hasEpoch("next", 1);
    const now = await states();
    assert.deepEqual([now.first, now.next], ["running", "running"]);
    letGo("first");
    letGo("next");
    assert.deepEqual(table((await follow("first")).results), TABLE);
    assert.deepEqual(table((await follow("next")).results), TABLE);
    const { first, next, dropped } = await states();
    assert.deepEqual([first, next, dropped], ["finished", "finished", "cancelled"]);
  });
});
