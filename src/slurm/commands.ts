/** SLURM's own programs, run without a shell. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** A controller that is busy answers after its own time-outs (MessageTimeout, 10 s by default), and clients try again. */
const DEADLINE_MILLISECONDS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export type SlurmProgram = "sbatch" | "squeue" | "scontrol" | "scancel" | "sinfo" | "sacct";

/**
 * Runs one of SLURM's programs and returns what it printed.
 * @throws DistmisError SLURM_FAILED with what it said, SETUP_INCOMPLETE if this machine has no SLURM
 */
export async function slurm(program: SlurmProgram, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      timeout: DEADLINE_MILLISECONDS,
      maxBuffer: MAX_OUTPUT_BYTES,
      // Times are read; a person may have another format for them. A job would inherit it.
      env: program === "sbatch" ? process.env : { ...process.env, SLURM_TIME_FORMAT: "standard" },
    });
    return stdout;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      throw new DistmisError(
        "SETUP_INCOMPLETE",
        `${program} is not on this machine: use a login node of the cluster, or load SLURM's module`,
        { cause: error },
      );
    }
    const said = (error as { stderr?: string }).stderr?.trim();
    throw new DistmisError("SLURM_FAILED", `${program}: ${said || messageOf(error)}`, { cause: error });
  }
}
