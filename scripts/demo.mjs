#!/usr/bin/env node
// `npm run demo`: sets everything up, then `distmis demo` with the same arguments.
import { spawn } from "node:child_process";
import path from "node:path";
import { main, root, setup } from "./setup.mjs";

main(() => setup());

// The terminal sends Ctrl-C to both; the command decides when it has ended, and with which code.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
const child = spawn(process.execPath, [path.join(root, "bin", "distmis"), "demo", ...process.argv.slice(2)], {
  cwd: process.env.INIT_CWD ?? root,
  stdio: "inherit",
});
child.on("exit", (code) => process.exit(code ?? 1));
