/** SLURM's own programs, run without a shell. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** A controller that is busy answers after its own time-outs (MessageTimeout, 10 s by default), and clients try again. */
const DEADLINE_MILLISECONDS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export type SlurmProgram = "sbatch" | "squeue" | "scontrol" | "scancel" | "sinfo" | "sacct";

/** Of the job in which this process may run, and of no job that it submits. */
const OWN = /^(SLURM_RESTART_COUNT|SLURM_ARRAY_.*|DISTMIS_RESTARTS|DISTMIS_BATCH_ARGUMENTS)$/;

function environmentOf(program: SlurmProgram): NodeJS.ProcessEnv {
  if (program === "sbatch") return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OWN.test(name)));
  // Times are read; a person may have another format for them.
  return { ...process.env, SLURM_TIME_FORMAT: "standard" };
}

/**
 * Whether what `slurm` has thrown is of the way to the controller, or of a job between two states: nothing was decided, or it is not
 * known what.
 */
export function isPassing(error: unknown): boolean {
  return /contact|connect|communication|timed? ?out|try again|transition|Command failed/i.test(messageOf(error));
}

/**
 * Submits a script, and returns its job's number.
 * @param words options of sbatch, the script and its arguments
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function sbatch(words: readonly string[]): Promise<{ job: string; cluster: string | null }> {
  const said = await slurm("sbatch", ["--parsable", ...words]);
  // A site's wrapper may say more before it.
  const [job = "", cluster = null] = said.trim().split("\n").at(-1)?.split(";") ?? [];
  if (!/^\d+$/.test(job))
    throw new DistmisError(
      "SLURM_FAILED",
      `sbatch ${words.join(" ")}: expected a job's number, it said: ${said.trim()}`,
    );
  return { job, cluster };
}

/**
 * The names of a list in SLURM's short form, `node[1-4],login1`.
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function hostNames(list: string): Promise<string[]> {
  return (await slurm("scontrol", ["show", "hostnames", list])).split("\n").filter((name) => name !== "");
}

/**
 * Runs one of SLURM's programs and returns what it printed.
 * @throws DistmisError SLURM_FAILED with what it said, SETUP_INCOMPLETE if this machine has no SLURM
 */
export async function slurm(program: SlurmProgram, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      timeout: DEADLINE_MILLISECONDS,
      maxBuffer: MAX_OUTPUT_BYTES,
      env: environmentOf(program),
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
