/**
 * The one error class of distmis. Everything that a person can act on is thrown as one of these; anything else that
 * reaches the top is a defect and is shown with its stack.
 */

/** What went wrong, for programs. The exit code of the command line follows from it, see {@link exitCode}. */
const ERROR_CODES = [
  /** The command line was used wrongly. */
  "USAGE",
  /** An experiment, a configuration or a parameter is not legal. */
  "CONFIG_INVALID",
  /** A data file does not hold what it should. */
  "DATA_INVALID",
  /** A file or folder that was named does not exist or can't be read or written. */
  "FILE_UNUSABLE",
  /** There is no room for what is to be written: on the disk, or in the user's share of it. */
  "DISK_FULL",
  /** `npm run setup` has not been run, or the machine lacks something. */
  "SETUP_INCOMPLETE",
  /** Ray or the shim could not be started or reached, or went away. */
  "CLUSTER_UNAVAILABLE",
  /** The cluster can never hold what was asked for, or had no room until the deadline. */
  "PLACEMENT_REFUSED",
  /** The port that a replica should listen on is in use: its gang can start again with others. */
  "PORT_TAKEN",
  /** The trainer process failed, was killed, or said something that its protocol does not allow. */
  "TRAINER_FAILED",
  /** The trial itself failed: its loss is not a number, its task threw. */
  "TRIAL_FAILED",
  /** A sampler or pruner could not go on. */
  "SEARCH_FAILED",
  /** The run folder is in use by another orchestrator, or does not belong to this experiment. */
  "RUN_REFUSED",
  /** One of SLURM's programs refused, or a job of ours is not what it should be. */
  "SLURM_FAILED",
  /** The server of `distmis serve` can't be reached, is stopping, or is asked for too much at once. */
  "SERVER_UNAVAILABLE",
  /** The server does not know the client's token, or the client the server's certificate. */
  "ACCESS_DENIED",
  /** The user asked to stop. */
  "INTERRUPTED",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** An error whose message names the file, field, trial or node, what was expected, what was found and what to do. */
export class DistmisError extends Error {
  override readonly name = "DistmisError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Exit code of a command that ends with `error`: 2 for what the user can correct in the input, 130 for an interrupt (the command line says which signal it was), else 1. */
export function exitCode(error: unknown): number {
  if (!(error instanceof DistmisError)) return 1;
  switch (error.code) {
    case "USAGE":
    case "CONFIG_INVALID":
    case "DATA_INVALID":
    case "FILE_UNUSABLE":
    case "DISK_FULL":
    case "RUN_REFUSED":
    case "ACCESS_DENIED":
      return 2;
    case "INTERRUPTED":
      return 130;
    default:
      return 1;
  }
}

/** What a write fails with where there is no room: on the disk, in the user's share of it, in a file's legal size. */
const NO_ROOM = ["ENOSPC", "EDQUOT", "EFBIG"];

/** A failed write to `file` as an error that a person can act on: DISK_FULL or FILE_UNUSABLE; one that is that already stays. */
export function unwritable(file: string, error: unknown): DistmisError {
  if (error instanceof DistmisError) return error;
  const full = NO_ROOM.some((code) => hasErrno(error, code));
  const why = full
    ? "the disk is full, or a limit is reached; make room"
    : hasErrno(error, "ENOENT")
      ? "its folder does not exist; make it first"
      : "can't be written";
  return new DistmisError(full ? "DISK_FULL" : "FILE_UNUSABLE", `${file}: ${why} (${messageOf(error)})`, {
    cause: error,
  });
}

/** Whether `code`, which came from elsewhere, is one of ours. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return ERROR_CODES.some((known) => known === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether `error` is a system error with this code, for example "ENOENT". */
export function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
