/** The last word of a command that failed. */
import { DistmisError, exitCode } from "../errors/index.ts";
import { stoppedExitCode } from "./signals.ts";

/** Prints the error to stderr (one line if a person can act on it, else with its stack) and sets the exit code. */
export function failWith(error: unknown): void {
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
