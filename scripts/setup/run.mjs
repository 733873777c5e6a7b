// Other programs, and the one error of the set-up.
import { spawnSync } from "node:child_process";
import { root } from "./places.mjs";

/** What the machine lacks, or a step that failed; its message is all that a person needs. */
export class SetupError extends Error {}

/** The message of a command that failed: the start and the end of what it printed. */
export function failure(command, args, printed, why = "") {
  const lines = printed.trimEnd().split("\n");
  const output = lines.length > 40 ? [...lines.slice(0, 15), "...", ...lines.slice(-25)].join("\n") : lines.join("\n");
  return new SetupError(`${[command, ...args].join(" ").slice(0, 300)} failed${why && `: ${why}`}\n${output}`);
}

/** Runs a command to its end. `hint` is added to the message of its failure. */
export function run(command, args, { env = process.env, hint = "" } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env,
    encoding: "utf8",
    maxBuffer: 64 * 2 ** 20,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (!result.error && result.status === 0) return;
  const error = failure(command, args, `${result.stdout ?? ""}${result.stderr ?? ""}`, result.error?.message);
  if (hint) error.message += `\n${hint}`;
  throw error;
}

/** What a command prints, or null where it is missing or fails. */
export function answer(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  return !result.error && result.status === 0 ? result.stdout.trim() : null;
}

/** The npm that started this, where another one may be first on the PATH: a program and its first arguments. */
export function npmCommand() {
  const npm = process.env.npm_execpath;
  if (npm) return [process.execPath, npm];
  if (answer("npm", ["--version"]) === null) throw new SetupError("npm is missing: sudo apt-get install npm");
  return ["npm"];
}
