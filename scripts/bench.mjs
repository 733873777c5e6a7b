#!/usr/bin/env node
// `npm run bench -- NAME [--json]`: one benchmark of bench/, ours and its peer in turn on this machine.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { main, root, setup } from "./setup.mjs";

const names = fs
  .readdirSync(path.join(root, "bench"))
  .filter((name) => name.endsWith(".bench.ts"))
  .map((name) => name.replace(".bench.ts", ""));
const [name, ...rest] = process.argv.slice(2);
if (!names.includes(name)) {
  process.stderr.write(`usage: npm run bench -- NAME [--json], with NAME one of: ${names.join(", ")}\n`);
  process.exit(2);
}
main(() => setup({ dev: true }));
const file = path.join(root, "bench", `${name}.bench.ts`);
process.exit(
  spawnSync(process.execPath, ["--import", "tsx", file, ...rest], { cwd: root, stdio: "inherit" }).status ?? 1,
);
