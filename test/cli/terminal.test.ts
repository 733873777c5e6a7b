/** `distmis run` in a real terminal, on a real Ray. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { distmisCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import { startInTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-terminal-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const START_MS = 90_000;

async function runIn(columns: number, rows: number, name: string, text: string) {
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(file, `name: ${name}\n${text}`);
  const command = distmisCommand(["run", file, "--gpus", "2", "--cpus", "2"]);
  const terminal = startInTerminal(command, { columns, rows, cwd: folder });
  const shows = (what: RegExp): Promise<string> =>
    until(
      () => `${what} in ${JSON.stringify(terminal.written().slice(-3000))}`,
      async () => {
        const screen = (await terminal.screen()).join("\n");
        return what.test(screen) ? screen : null;
      },
      START_MS,
    );
  return { ...terminal, shows };
}

const task = (name: string): string => path.join(repositoryRoot, "test/fixtures/tasks", `${name}.mjs`);

describe("distmis run in a terminal", () => {
  it("shows its trials while they run, follows the size, and leaves the terminal whole when it is stopped", async () => {
    const searched = "search: { space: { trainer.parameters.rate: { grid: [1, 2, 3] } } }\n";
    const endless = `trainer: { module: ${task("until-stopped")}, parameters: { epochs: 100000 } }\n${searched}`;
    const run = await runIn(80, 24, "endless", endless);
    try {
      const screen = await run.shows(/^0001 .* running\n0002 .* running$/m);
      assert.match(
        screen,
        /^endless {2}\d+ s {2}about [\d:]+ left\nbest val_dice \d\.\S+ by trial 000[12] at epoch \d+ {2}rate=[12]$/m,
      );
      assert.match(screen, /^0 done, 2 running, 1 waiting of 3 trials {2}GPUs 2 of 2 busy$/m);
      assert.match(screen, /^trial +rate +epoch +val_dice +best +time +GPU +node +state$/m);
      await run.resize({ columns: 200, rows: 50 });
      await run.resize({ columns: 70, rows: 20 });
      // Where the terminal is when the view hears of its size is not known: what counts is what is there then.
      await until("one view", async () => {
        const lines = await run.screen();
        return lines.filter((line) => /^trial .* state$/.test(line)).length === 1 && lines.length < 20;
      });
      await run.resize({ columns: 100, rows: 20 });
      run.signal("SIGTERM");
      assert.equal(await run.exit, 143, run.written());
      const all = (await run.all()).join("\n");
      assert.match(all, /^stopping: running trials end after their step; press Ctrl-C again to kill them$/m);
      assert.match(all, /stopped; the same command continues it$/);
      assert.ok(!/^endless {2}/m.test(all), all);
      assert.ok(await run.isWhole());
    } finally {
      await run.kill();
    }
  });

  it("goes on to its end while the terminal takes nothing more", async () => {
    const many =
      "search: { space: { trainer.parameters.rate: { uniform: [0, 1] } }, sampler: random, limits: { trials: 300 } }\n";
    const run = await runIn(
      200,
      50,
      "many",
      `trainer: { module: ${task("report")}, parameters: { epochs: 3 } }\n${many}`,
    );
    try {
      await run.shows(/^0001 /m);
      run.hold();
      await until(
        "the end of the run",
        async () =>
          /"type":"run_ended","state":"finished"/.test(
            await readFile(path.join(folder, "runs/many/journal.jsonl"), "utf8"),
          ),
        START_MS,
      );
      run.goOn();
      assert.equal(await run.exit, 0, run.written());
      assert.match((await run.all()).join("\n"), /^run folder: \S+many$/m);
    } finally {
      await run.kill();
    }
  });
});
