import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type Command, distmisCommand, startCommand } from "../support/command.ts";
import { until } from "../support/until.ts";

const root = path.join(import.meta.dirname, "../..");
let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-cli-"));
});
after(() => rm(folder, { recursive: true, force: true }));

function distmis(args: string[]): Command {
  return startCommand(distmisCommand(args), folder);
}

async function experimentFile(task: string, more = "", parameters = "epochs: 2000"): Promise<string> {
  const file = path.join(folder, `${task}.yaml`);
  const module = path.join(root, "test/fixtures/tasks", `${task}.mjs`);
  await writeFile(file, `name: ${task}\ntrainer: { module: ${module}, parameters: { ${parameters} } }\n${more}`);
  return file;
}

const SPACE = "search: { space: { trainer.parameters.score: { grid: [0.1, 0.7] } } }\n";
const LOCAL = ["--gpus", "2", "--cpus", "2"];

describe("distmis", () => {
  it("says in one line what is wrong with the command line or the file, and exits with 2", async () => {
    const cases: [string[], RegExp][] = [
      [["rum"], /^distmis: Did you mean run\?$/m],
      [["frobnicate"], /^distmis: Unknown command or option: frobnicate$/m],
      [
        ["tfrecord", "--source-dir", "a", "--target-dir", "b", "--target-source", "c"],
        /^distmis: --target-dir: given 2 times/,
      ],
      [["phantom", "--target-dir", "a", "--count", "many"], /^distmis: --count: expected a number$/m],
      [
        ["tfrecord", "--source-dir", "a", "--target-dir", "b", "--labels", "c"],
        /^distmis: --labels c: expected binary or multiclass$/m,
      ],
      [["run"], /^distmis: name one experiment file/],
      [["run", "x.yaml", "--gpu", "2"], /^distmis: Unknown argument: gpu; did you mean --gpus\?$/m],
      [["run", "none.yaml"], /^distmis: none\.yaml: there is no such file\n$/],
      [["exp-parallel"], /^distmis: Missing required argument: config$/m],
      [
        ["data-parallel", "--config", path.join(root, "configs/distmis-exp-parallel.json"), "--dataset-dir", "d"],
        /distmis-exp-parallel\.json: num_replicas: expected a whole number from 1 to 1024, found nothing\n$/,
      ],
      [
        ["exp-parallel", "--config", path.join(root, "configs/distmis-data-parallel.json"), "--dataset-dir", "d"],
        /num_replicas: expected 1, or the command data-parallel, found 4\n$/,
      ],
    ];
    await Promise.all(
      cases.map(async ([args, expected]) => {
        const command = distmis(args);
        assert.equal((await command.exit).code, 2);
        assert.match(command.stderr(), expected);
        assert.equal(command.stdout(), "");
      }),
    );
  });

  it("explains every command", async () => {
    const commands = [
      "demo",
      "phantom",
      "inspect",
      "tfrecord",
      "run",
      "exp-parallel",
      "data-parallel",
      "logs",
      "results",
      "gc",
      "submit",
      "cluster",
      "serve",
      "status",
      "attach",
      "cancel",
      "certificate",
      "predict",
      "visualize",
      "evaluate",
      "export",
      "setup",
      "doctor",
    ];
    const help = distmis(["--help"]);
    assert.equal((await help.exit).code, 0);
    for (const name of commands) {
      assert.match(help.stdout(), new RegExp(`^ {2}distmis ${name} `, "m"));
    }
  });
});

describe("distmis run", () => {
  it("prints the results, shows a finished run again without a cluster, and streams events with --json", async () => {
    const file = await experimentFile("report", SPACE);
    const first = distmis(["run", file, ...LOCAL]);
    assert.equal((await first.exit).code, 0, first.stderr());
    assert.match(
      first.stdout(),
      /best trial 0002: val_dice 0\.7000 at epoch 2 \(score=0\.7\)\nrun folder: .*\/runs\/report\n$/,
    );
    assert.match(first.stderr(), /^\S+Z trial 0002 completed after [\d.]+ s, best 0\.7000 at epoch 2$/m);
    assert.deepEqual(first.processes(), []);

    const again = distmis(["run", file, "--json"]);
    assert.equal((await again.exit).code, 0, again.stderr());
    const events = again
      .stdout()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map(({ type }) => type),
      ["run_started", "run_ended"],
    );
    assert.equal(again.stderr(), "");

    const changed = distmis(["run", file, "--set", "train.epochs=3"]);
    assert.equal((await changed.exit).code, 2);
    assert.match(changed.stderr(), /\n {2}train\.epochs: 20 before, 3 now\n$/);

    const cases: [string[], number, RegExp][] = [
      [["logs", "runs/report", "best"], 0, /^trial 0002 scored 0\.7\n$/m],
      [["logs", "runs/report"], 0, /^0002 {2}completed {2}epoch 3\/3 +\/.*\/trials\/0002\/trainer\.log$/m],
      [["logs", "runs/report", "3"], 2, /^distmis: .*no trial 3: expected `best` or one of 0001 to 0002$/m],
      [["logs", "runs/reprot"], 2, /there is no such run folder; did you mean .*\/runs\/report\?$/m],
      [["gc", "runs/report"], 0, /^nothing to free; checkpoints that are needed take 0 bytes\n$/],
      [
        ["gc", "runs/report", "--keep-best", "0"],
        2,
        /^distmis: --keep-best 0: expected a whole number of at least 1$/m,
      ],
      [["run", file, "--extend", "--fresh"], 2, /^distmis: Arguments extend and fresh are mutually exclusive$/m],
    ];
    await Promise.all(
      cases.map(async ([args, code, expected]) => {
        const command = distmis(args);
        assert.equal((await command.exit).code, code, command.stderr());
        assert.match(code === 0 ? command.stdout() : command.stderr(), expected);
      }),
    );
  });

  it("only looks ahead with --dry-run", async () => {
    const file = await experimentFile("report", SPACE.replace("search: { ", "search: { limits: { trials: 5 }, "));
    const runDir = path.join(folder, "runs/looked-at");
    const text = distmis(["run", file, "--dry-run", "--run-dir", runDir]);
    assert.equal((await text.exit).code, 0, text.stderr());
    assert.match(text.stdout(), /^run report: 2 trials by sampler grid; .*\n {2}0002 {2}score=0\.7 {2}1 replica\n/s);
    const json = distmis(["run", file, "--dry-run", "--run-dir", runDir, "--json", "--gpus", "2"]);
    assert.equal((await json.exit).code, 0, json.stderr());
    assert.equal(JSON.parse(json.stdout()).trials.length, 2);
    assert.equal(existsSync(runDir), false);
    assert.equal(text.stderr() + json.stderr(), "");
  });

  it("exits with 1 if every trial failed, in the new folder of --fresh", async () => {
    const file = await experimentFile("always-fails");
    await mkdir(path.join(folder, "runs/always-fails"), { recursive: true });
    const fresh = distmis(["run", file, ...LOCAL, "--fresh"]);
    assert.equal((await fresh.exit).code, 1);
    assert.match(fresh.stdout(), /^trial 0001 failed: .*no such modality: T9.*; log: .*trainer\.log$/m);
    assert.ok((await readdir(path.join(folder, "runs"))).includes("always-fails-2"));
  });

  it("stops at Ctrl-C with nothing left behind, and continues", async () => {
    const file = await experimentFile("until-stopped");
    const first = distmis(["run", file, ...LOCAL]);
    await until(
      () => first.stderr(),
      () => /epoch 3\//.test(first.stderr()),
      60_000,
    );
    // The terminal sends it to the whole process group.
    process.kill(-Number(first.child.pid), "SIGINT");
    assert.equal((await first.exit).code, 130, first.stderr());
    assert.match(first.stdout(), /stopped; the same command continues it/);
    assert.deepEqual(first.processes(), []);

    const second = distmis(["run", file, ...LOCAL, "--json"]);
    await until(
      () => second.stderr(),
      () => /"type":"epoch"/.test(second.stdout()),
      60_000,
    );
    const other = distmis(["run", file, ...LOCAL]);
    assert.equal((await other.exit).code, 2);
    assert.match(
      other.stderr(),
      new RegExp(
        `this run is worked on by process ${second.child.pid} on host ${hostname()} since .*, or use another run folder`,
      ),
    );
    const epoch = /"epoch":(\d+)/.exec(second.stdout())?.[1];
    assert.ok(Number(epoch) > 3, `continued at epoch ${epoch}`);

    // All that is below a killed orchestrator goes by itself.
    assert.ok(second.processes().length > 3);
    second.child.kill("SIGKILL");
    await second.exit;
    await until(
      () => second.processes().join("\n"),
      () => second.processes().length === 0,
      15_000,
    );
  });
});

describe("distmis data-parallel", () => {
  it("says how many replicas a trial has, and stops with all of them at Ctrl-C", async () => {
    const file = await experimentFile(
      "replicas",
      "resources: { replicas: 2 }\nsearch: { space: { trainer.parameters.n: { grid: [1, 2] } } }\n",
      "epochs: 4, fault: { rank: 1, epoch: 3, kind: waits-for-stop }",
    );
    const command = distmis(["data-parallel", "--config", file, ...LOCAL]);
    await until(
      () => command.stderr(),
      () => /epoch 2\//.test(command.stderr()),
      60_000,
    );
    process.kill(-Number(command.child.pid), "SIGINT");
    assert.equal((await command.exit).code, 130, command.stderr());
    assert.match(command.stderr(), /Z 2 trials x 2 replicas, 1 at once, each replica with 1 GPU and 1 CPU$/m);
    assert.match(command.stderr(), /Z trial 0001 started with 2 replicas on .* GPU 0, 1: n=1$/m);
    assert.match(command.stderr(), /Z trial 0001 epoch 3\/4 /);
    assert.deepEqual(command.processes(), []);
  });
});
