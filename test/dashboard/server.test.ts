/** The server of the page, without a browser: who may come in, what it tells, and what it refuses. */
import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { laneName } from "../../src/charts/index.ts";
import { type Dashboard, serveDashboard } from "../../src/dashboard/index.ts";
import type { ChangeMessage, LogView } from "../../src/page-data/index.ts";
import { runFiles } from "../../src/run-folder/index.ts";
import type { RecordBody } from "../../src/run-folder/record.ts";
import { distmisCommand, startCommand } from "../support/command.ts";
import { until } from "../support/until.ts";
import { gridExperiment, journalText, madeSearch, START, writeRun } from "./made-run.ts";

let folder = "";
let dashboard: Dashboard;
let cookie = "";
const run = () => path.join(folder, "run");
const growing = () => path.join(folder, "growing");
const whole = madeSearch(gridExperiment(), 20, 4);
/** Records of the growing run that are there from the start. */
const KNOWN = whole.length - 6;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-dashboard-"));
  await writeRun(run(), gridExperiment(), whole);
  await writeRun(growing(), gridExperiment("growing"), whole.slice(0, KNOWN));
  dashboard = await serveDashboard([run(), growing()]);
  cookie = await cookieOf(dashboard);
});
after(async () => {
  await dashboard?.close();
  await rm(folder, { recursive: true, force: true });
});

async function cookieOf({ url }: Dashboard): Promise<string> {
  const answer = await fetch(url, { redirect: "manual" });
  assert.deepEqual([answer.status, answer.headers.get("location")], [303, "/"]);
  const set = answer.headers.get("set-cookie") ?? "";
  assert.match(set, /; Path=\/; HttpOnly; SameSite=Strict$/);
  return set.split(";")[0] ?? "";
}

const urlOf = (place: string, of = dashboard) => new URL(place, of.url);
const get = (place: string) => fetch(urlOf(place), { headers: { cookie } });
const json = async (place: string): Promise<unknown> => (await get(place)).json();

/** The next messages of the stream, until `enough`. */
async function messages(
  enough: (all: ChangeMessage[]) => boolean,
  meanwhile?: () => Promise<void>,
  of = dashboard,
): Promise<ChangeMessage[]> {
  const leave = new AbortController();
  const headers = { cookie: of === dashboard ? cookie : await cookieOf(of) };
  const answer = await fetch(urlOf("/api/events", of), { headers, signal: leave.signal });
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  const all: ChangeMessage[] = [];
  let text = "";
  for await (const piece of answer.body ?? []) {
    text += Buffer.from(piece).toString("utf8");
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) if (part.startsWith("data: ")) all.push(JSON.parse(part.slice(6)));
    if (all.length > 0) await meanwhile?.();
    meanwhile = undefined;
    if (enough(all)) break;
  }
  leave.abort();
  return all;
}

describe("the page's server", () => {
  it("listens on this machine alone and lets nobody in without the token", async () => {
    assert.match(dashboard.url, /^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
    assert.equal(dashboard.open, false);
    const name = cookie.split("=")[0];
    for (const [place, headers] of [
      ["/", {}],
      ["/api/events", {}],
      ["/assets/main.js", {}],
      ["/?token=wrong", {}],
      ["/?token=a&token=b", {}],
      ["/api/runs/0/experiment", { cookie: `${name}=wrong` }],
    ] as const) {
      const answer = await fetch(urlOf(place), { headers, redirect: "manual" });
      assert.equal(answer.status, 401, place);
      assert.match(await answer.text(), /needs its address with the token/);
      assert.equal(answer.headers.get("set-cookie"), null);
    }
  });

  it("lets the page load nothing but its own files", async () => {
    const answer = await get("/");
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    const html = await answer.text();
    assert.doesNotMatch(html, /https?:|<script(?![^>]*src="\/assets\/)|style=/);
    assert.equal((await get("/assets/main.js")).status, 200);
  });

  it("tells the whole run, then what is new", async () => {
    const all = await messages(
      (got) => got.some(({ runs }) => runs.some(({ run: view }) => view.id === "1" && view.counts.completed === 18)),
      () => appendFile(runFiles.journal(growing()), journalText(whole).split("\n").slice(KNOWN).join("\n")),
    );
    const first = all[0]?.runs[0];
    assert.deepEqual([first?.reset, first?.trials.length, first?.run.name], [true, 20, "hippocampus"]);
    const last = all.at(-1)?.runs[0];
    assert.equal(last?.run.id, "1", "the other run has not changed");
    assert.equal(last?.reset, false);
    assert.ok((last?.trials.length ?? 0) < 10, "only trials that have changed");
    assert.deepEqual(last?.run.metrics, ["loss", "dice", "val_loss", "val_dice"]);
  });

  it("tells which GPU of which node an attempt had, and where it was tried again", async () => {
    const dir = path.join(folder, "gang");
    const experiment = gridExperiment("gang");
    const at = (attempt: number, workers: { node: string; gpus: string[] }[], more = {}): RecordBody => ({
      type: "attempt_started",
      trial: "0001",
      attempt,
      replicas: workers.length,
      nodes: [...new Set(workers.map(({ node }) => node))],
      gpus: workers.flatMap(({ gpus }) => gpus),
      workers,
      ...more,
    });
    const left = { change: "1 node left (n2)", trials: 1, concurrency: 1, room: 3, cpus: 1, gpus: 1 };
    await writeRun(dir, experiment, [
      [0, { type: "run_started", version: 2, experiment, host: "login1", pid: 1 }],
      [0, { type: "trial_created", trial: "0001", parameters: {} }],
      [
        1,
        at(
          1,
          [1, 2, 3, 4].map((gpu) => ({ node: gpu === 4 ? "n2" : "n1", gpus: [String(gpu)] })),
        ),
      ],
      [9, { type: "attempt_ended", trial: "0001", attempt: 1, cause: "lost", error: "node n2 is gone" }],
      [
        10,
        at(
          2,
          [
            { node: "n1", gpus: [] },
            { node: "n1", gpus: [] },
          ],
          { placed: { ...left, sizes: [] } },
        ),
      ],
    ]);
    const other = await serveDashboard([dir]);
    const [first] = await messages((all) => all.length > 0, undefined, other);
    await other.close();
    const { attempts = [], run: view } = first?.runs[0] ?? {};
    assert.deepEqual(
      attempts.map(({ attempt: { places, start } }) => [(start - START) / 1000, ...places.map(laneName)]),
      [
        [1, "n1 GPU 1", "n1 GPU 2", "n1 GPU 3", "n2 GPU 4"],
        [10, "n1", "n1"],
      ],
    );
    assert.deepEqual(view?.changes, [{ at: START + 10_000, text: "1 node left (n2)" }]);
    assert.deepEqual(view?.room, { replicas: 3, gpus: 1 });
  });

  it("answers for curves, logs and the experiment", async () => {
    const curves = await json("/api/runs/0/curves?trials=0001,0002,nobody");
    assert.ok(Array.isArray(curves));
    assert.deepEqual(
      curves.map(({ trial, epochs }) => [trial, epochs]),
      [
        ["0001", [1, 2, 3, 4]],
        ["0002", [1, 2, 3, 4]],
      ],
    );
    assert.match(await (await get("/api/runs/0/experiment")).text(), /name: hippocampus/);
    const log = runFiles.trialLog(run(), "0001");
    await mkdir(path.dirname(log), { recursive: true });
    await writeFile(log, `${"é".repeat(200_000)}end\n`);
    const tail = (await json("/api/runs/0/trials/0001/log")) as LogView;
    assert.match(tail.text, /^é+end\n$/, "no half character");
    assert.deepEqual([tail.to, tail.size], [400_004, 400_004]);
    await appendFile(log, "more\n");
    const more = (await json(`/api/runs/0/trials/0001/log?from=${tail.to}`)) as LogView;
    assert.equal(more.text, "more\n");
  });

  it("gives nothing beside the runs", async () => {
    for (const place of [
      "/api/runs/2/curves",
      "/api/runs/0/trials/..%2F..%2F0001/log",
      "/api/runs/0/trials/9999/log",
      "/assets/..%2Fpackage.json",
      "/assets/%2Fetc%2Fpasswd",
      "/nothing",
    ]) {
      assert.equal((await get(place)).status, 404, place);
    }
    assert.equal((await get("/api/runs/0/trials/0001/log?rank=-1")).status, 400);
    assert.equal((await get("/api/runs/0/trials/0001/previews/0/%2Fetc")).status, 400);
  });

  it("keeps a token in a file of its user alone, for pages that outlive a restart", async () => {
    const tokenFile = path.join(folder, "token");
    const first = await serveDashboard([run()], { tokenFile });
    await first.close();
    assert.equal((await stat(tokenFile)).mode & 0o777, 0o600);
    assert.equal(new URL(first.url).searchParams.get("token"), (await readFile(tokenFile, "utf8")).trim());
    const second = await serveDashboard([run()], { tokenFile });
    await second.close();
    assert.equal(new URL(second.url).search, new URL(first.url).search);
  });

  it("says what is wrong with its arguments", async () => {
    await assert.rejects(serveDashboard([path.join(folder, "ru")]), /no such run folder; did you mean .*run\?/);
    const port = Number(urlOf("/").port);
    await assert.rejects(serveDashboard([run()], { port }), { code: "SERVER_UNAVAILABLE", message: /EADDRINUSE/ });
    const open = await serveDashboard([run()], { host: "0.0.0.0" });
    assert.equal(open.open, true);
    await open.close();
  });

  it("is a command that prints its address and ends at Ctrl-C, and so is the report", { timeout: 60_000 }, async () => {
    const command = startCommand(distmisCommand(["dashboard", run()]), folder);
    const url = await until("the address", () => /open (http:\S+)/.exec(command.stdout())?.[1], 30_000);
    assert.equal((await fetch(url, { redirect: "manual" })).status, 303);
    command.child.kill("SIGINT");
    assert.deepEqual(await command.exit, { code: 0, signal: null });
    assert.deepEqual(command.processes(), []);
    const report = startCommand(distmisCommand(["report", run(), "-o", "run.html"]), folder);
    assert.deepEqual(await report.exit, { code: 0, signal: null });
    assert.match(report.stdout(), /^report: run\.html \(1\.\d MB\)\n$/);
    const html = await readFile(path.join(folder, "run.html"), "utf8");
    assert.match(html, /script-src 'sha256-/);
    // What is handed on has the words of its licences with it, and so has the page.
    assert.match(
      html,
      /^<!-- .* Contains [^\n]*@niivue\/niivue [\d.]+ \(BSD-2-Clause\), [^\n]*echarts [\d.]+ \(Apache-2\.0\)/m,
    );
    const licences = await (await get("/assets/licences.txt")).text();
    for (const words of [html, licences])
      for (const [holder, terms] of [
        ["Copyright (c) 2021, Niivue", "2. Redistributions in binary form must reproduce the above copyright notice"],
        [
          "Copyright 2017-2026 The Apache Software Foundation",
          "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
        ],
        ["Bitstream, Inc. All Rights Reserved", "FONT SOFTWARE"],
      ])
        assert.ok(words.includes(holder ?? "") && words.includes(terms ?? ""), holder);
  });
});
