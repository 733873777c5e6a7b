/** `doctor --cluster` on a real Ray of three nodes that are not alike. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { z } from "zod";
import { type ClusterFindings, compareNodes, type Finding, needsDoing } from "../../src/doctor/index.ts";
import { clusterFindingsText } from "../../src/report/index.ts";
import { distmisCommand, startCommand } from "../support/command.ts";
import { type RayNodes, startRayNodes } from "../support/ray-nodes.ts";

let dir = "";
let nodes: RayNodes;

/** Adds a node whose processes have this environment too. */
async function addNode(environment: Record<string, string>): Promise<void> {
  Object.assign(process.env, environment);
  await nodes.add(1);
  for (const name of Object.keys(environment)) delete process.env[name];
}

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "doctor-test-"));
  nodes = await startRayNodes([1]);
  Object.assign(process.env, nodes.environment);
});
after(async () => {
  await nodes?.close();
  fs.rmSync(dir, { recursive: true });
});

const answer = z.object({
  nodes: z.array(z.string()),
  silent: z.array(z.object({ node: z.string(), problem: z.string() })),
  subjects: z.array(
    z.object({
      subject: z.string(),
      remedy: z.string().nullable(),
      variants: z.array(z.object({ nodes: z.array(z.string()), found: z.string(), remedy: z.string().nullable() })),
    }),
  ),
});

async function doctor(...args: string[]) {
  const command = startCommand(
    distmisCommand(["doctor", "--cluster", "--json", "--ray-address", nodes.address, ...args]),
    dir,
  );
  const { code } = await command.exit;
  assert.deepEqual(command.processes(), []);
  const found = answer.parse(JSON.parse(command.stdout()));
  const by = (subject: string) => found.subjects.find((one) => one.subject === subject);
  return { ...found, code, by };
}

test("nodes in another state are named, and what all have in common is said once", async () => {
  await addNode({ TF_ENABLE_ONEDNN_OPTS: "0" });
  const { code, nodes: names, silent, by } = await doctor();
  assert.equal(code, 1);
  assert.equal(new Set(names).size, 2, String(names));
  assert.deepEqual(silent, []);
  for (const subject of ["distmis", "Ray", "Node", "TensorFlow", "CPU", "glibc", "Limits", "Clock", "Disk for runs"]) {
    assert.equal(by(subject)?.variants.length, 1, subject);
    assert.equal(by(subject)?.remedy, null, subject);
  }
  assert.match(by("Disk for runs")?.variants[0]?.found ?? "", new RegExp(dir));
  assert.deepEqual(
    by("oneDNN")
      ?.variants.map(({ found, nodes: which }) => [found, which.length])
      .sort(),
    [
      ["TF_ENABLE_ONEDNN_OPTS is 0", 1],
      ["on", 1],
    ],
  );
});

test("a node whose doctor can't start, or hangs, is named", async () => {
  const hang = path.join(dir, "hang.cjs");
  fs.writeFileSync(hang, "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);");
  await addNode({ NODE_OPTIONS: `--require ${hang}` });
  const late = await doctor("--deadline", "30");
  assert.equal(late.code, 1);
  assert.equal(late.nodes.length, 2);
  assert.match(late.silent.map(({ problem }) => problem).join(), /^no answer within 30 s: is distmis set up there/);

  fs.writeFileSync(hang, "throw new Error('no module of this kind');");
  const broken = await doctor();
  assert.equal(broken.nodes.length, 2);
  assert.match(broken.silent.map(({ problem }) => problem).join(), /^its doctor ended with exit code 1: /);
});

const found = (subject: string, text: string, more: Partial<Finding> = {}): Finding => ({
  ...{ subject, found: text, remedy: null, likeness: text, differs: null },
  ...more,
});

test("what differs harmlessly is no problem; what must not differ, or is missing, is", () => {
  const compare = (a: Finding[], b: Finding[]): ClusterFindings =>
    compareNodes(
      [
        { node: "a", findings: a },
        { node: "b", findings: b },
      ],
      [],
    );
  assert.equal(needsDoing(compare([found("CPU", "old")], [found("CPU", "new")])), false);
  const ray = { differs: "install the same" };
  assert.equal(needsDoing(compare([found("Ray", "1", ray)], [found("Ray", "1", ray)])), false);
  assert.equal(needsDoing(compare([found("Ray", "1", ray)], [found("Ray", "2", ray)])), true);
  assert.equal(needsDoing(compare([found("Ray", "1", ray)], [])), true);
  assert.equal(needsDoing(compareNodes([], [{ node: "a", problem: "gone" }])), true);

  const text = clusterFindingsText({
    ...compare(
      [found("Ray", "1", ray), found("Disk", "1 GB", { likeness: "/tmp", remedy: "free some" })],
      [found("Ray", "2", ray), found("Disk", "9 GB", { likeness: "/tmp" })],
    ),
    silent: [{ node: "c", problem: "no answer" }],
  });
  assert.equal(
    text,
    `nodes: a, b

different
!! Ray   a: 1
         b: 2
         -> install the same
!! Disk  a: 1 GB
         -> free some
         b: 9 GB

not examined
!! c: no answer
`,
  );
});
