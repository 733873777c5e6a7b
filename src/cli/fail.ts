/** The last word of a command that failed. */
import { existsSync } from "node:fs";
import path from "node:path";
import { DistmisError, exitCode, messageOf } from "../errors/index.ts";
import { packageRoot } from "../paths/index.ts";
import { stoppedExitCode } from "./signals.ts";

/** Prints the error to stderr (one line if a person can act on it, else with its stack) and sets the exit code. */
export function failWith(thrown: unknown): void {
  const error = incompleteSetup(thrown) ?? thrown;
  if (error instanceof DistmisError) {
    process.stderr.write(`distmis: ${error.message}\n`);
    if (error.code === "USAGE") process.stderr.write("`distmis COMMAND --help` explains the options.\n");
  } else {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`distmis: this is a defect of distmis, please report it with these lines:\n${stack}\n`);
  }
  const stopped = error instanceof DistmisError && error.code === "INTERRUPTED";
  process.exitCode = stopped ? stoppedExitCode() : exitCode(error);
}

/** What Node says where a package is missing, or is another version than the one that distmis was written for. */
function incompleteSetup(error: unknown): DistmisError | null {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const missing =
    code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
  if (!missing && !(error instanceof SyntaxError && /does not provide an export named/.test(error.message)))
    return null;
  const root = packageRoot();
  const setup = existsSync(path.join(root, "package-lock.json")) ? `npm run setup\` in ${root}` : "distmis setup`";
  const [what] = messageOf(error).split("\n");
  return new DistmisError(
    "SETUP_INCOMPLETE",
    `packages are missing or not those of this version: run \`${setup} (${what})`,
  );
}
