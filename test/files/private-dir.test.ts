import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { createPrivateDir } from "../../src/files/private-dir.ts";
import { moduleUrl } from "../../src/paths/index.ts";

it("the private folder is short, private, and removed", async () => {
  const dir = await createPrivateDir();
  assert.match(dir.path, /^\/tmp\/distmis-.{6}$/);
  assert.equal(fs.statSync(dir.path).mode & 0o777, 0o700);
  fs.mkdirSync(path.join(dir.path, "a/b"), { recursive: true });
  await dir.remove();
  await dir.remove();
  assert.equal(fs.existsSync(dir.path), false);
});

it("what killed processes left is removed by the next start, what living ones use is not", async () => {
  const living = await createPrivateDir();
  const script = `const { createPrivateDir } = await import(${JSON.stringify(moduleUrl("files/private-dir").href)});
    const own = await createPrivateDir(); const others = await createPrivateDir(); await others.addOwner(${process.pid});
    console.log(JSON.stringify([own.path, others.path])); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
  const [printed] = await once(child.stdout, "data");
  const [own, others] = JSON.parse(String(printed));
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(fs.existsSync(own));
  const next = await createPrivateDir();
  assert.equal(fs.existsSync(own), false);
  // One of two owners lives: a killed orchestrator's shim may still be at its end.
  assert.ok(fs.existsSync(others));
  assert.ok(fs.existsSync(living.path));

  // A process id that is used again is another process; a reboot ends all.
  for (const change of [{ processes: [{ pid: process.pid, startTime: "1" }] }, { bootId: "another" }]) {
    const file = path.join(living.path, "owner.json");
    const owner = JSON.parse(fs.readFileSync(file, "utf8"));
    fs.writeFileSync(file, JSON.stringify({ ...owner, ...change }));
    const another = await createPrivateDir();
    assert.equal(fs.existsSync(living.path), false);
    await another.remove();
    fs.mkdirSync(living.path);
    fs.writeFileSync(file, JSON.stringify(owner));
  }

  // Its last owner ends while the next one is in use, which then removes it.
  const file = path.join(others, "owner.json");
  const owner = JSON.parse(fs.readFileSync(file, "utf8"));
  fs.writeFileSync(file, JSON.stringify({ ...owner, processes: owner.processes.slice(0, 1) }));
  await next.remove();
  assert.equal(fs.existsSync(others), false);
  await living.remove();
});
