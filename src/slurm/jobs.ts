/** The jobs of a run: RUN/slurm/jobs.jsonl, a line for each, in the order in which they were submitted. */
import { appendFile, readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import path from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf, unwritable } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";
import { runFiles } from "../run-folder/index.ts";
import { SCRIPT } from "./script.ts";

const VERSION = 1;

const jobSchema = z.object({
  version: z.literal(VERSION),
  /** As SLURM counts them: a number, or that of an array and its task's, `12_3`. */
  job: z.string().regex(/^\d+(_\d+)?$/),
  /** Of several under one SLURM; null for the one here. */
  cluster: z.string().nullable(),
  /** ISO 8601. */
  submittedAt: z.string(),
  user: z.string(),
  /** `submit` by `distmis submit`, `hand` by a script or shell of the user's own, `successor` by a job whose time was over. */
  by: z.enum(["submit", "hand", "successor"]),
  /** The batch script, absolute; null if that is not known. Job numbers begin again some day: it tells ours from another's. */
  script: z.string().nullable(),
  /** What it prints, absolute; null if that is no file. */
  log: z.string().nullable(),
});

/** A job that works, worked or will work on a run. */
export type Job = Omit<z.output<typeof jobSchema>, "version">;

export const jobFiles = {
  jobs: (runDir: string): string => path.join(runFiles.slurm(runDir), "jobs.jsonl"),
  script: (runDir: string): string => path.join(runFiles.slurm(runDir), SCRIPT),
  /** What the job runs: resolved, so that later changes to the user's file do not matter. */
  experiment: (runDir: string): string => path.join(runFiles.slurm(runDir), "experiment.yaml"),
};

/**
 * The jobs of a run, the last one last; none for a run without.
 * @throws DistmisError FILE_UNUSABLE, RUN_REFUSED if the file is not ours
 */
export async function readJobs(runDir: string): Promise<Job[]> {
  const file = jobFiles.jobs(path.resolve(runDir));
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT") || hasErrno(error, "ENOTDIR")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${file}: can't be read: ${messageOf(error)}`, { cause: error });
  }
  return text.split("\n").flatMap((line, index) => {
    if (line === "") return [];
    try {
      const { version: _, ...job } = jobSchema.parse(JSON.parse(line));
      return [job];
    } catch (error) {
      throw new DistmisError(
        "RUN_REFUSED",
        `${file}:${index + 1}: expected a job of version ${VERSION}, found ${line.slice(0, 80)}; a newer distmis may have written it`,
        { cause: error },
      );
    }
  });
}

/**
 * Adds a job to its run's, unless it is there.
 * @throws DistmisError FILE_UNUSABLE, DISK_FULL
 */
export async function recordJob(
  runDir: string,
  job: Pick<Job, "job" | "by" | "script" | "log"> & { cluster?: string | null },
): Promise<void> {
  const known = await readJobs(runDir);
  const isKnown = known.some((each) => each.job === job.job && (job.script === null || each.script === job.script));
  if (isKnown) return;
  const file = jobFiles.jobs(path.resolve(runDir));
  await makeFolder(path.dirname(file));
  const record: z.output<typeof jobSchema> = {
    version: VERSION,
    job: job.job,
    cluster: job.cluster ?? null,
    submittedAt: new Date().toISOString(),
    user: userInfo().username,
    by: job.by,
    script: job.script,
    log: job.log,
  };
  try {
    await appendFile(file, `${JSON.stringify(record)}\n`);
  } catch (error) {
    throw unwritable(file, error);
  }
}
