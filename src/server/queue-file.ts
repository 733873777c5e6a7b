/** What a server must not forget: its experiments and how they stand, in one file that is replaced as a whole. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { experimentSchema } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";

/** No run's name starts with a dot. */
export const SERVER_FOLDER = ".server";

const VERSION = 1;

const failureSchema = z.object({ code: z.string(), message: z.string() });
export type Failure = z.output<typeof failureSchema>;

const recordSchema = z.object({
  run: z.string(),
  experiment: experimentSchema,
  /** `running`, as long as the server lives; then it waits again. */
  state: z.enum(["queued", "running", "finished", "cancelled", "failed"]),
  /** Since when: ISO 8601, UTC. */
  since: z.iso.datetime(),
  /** What `run` was told: to extend the run, to run failed trials again. Done with once the run has started. */
  extend: z.boolean(),
  retryFailed: z.boolean(),
  diskCheck: z.boolean(),
  failure: failureSchema.nullable(),
  standing: z.object({
    ended: z.int(),
    total: z.int().nullable(),
    running: z.int(),
    best: z.number().nullable(),
  }),
});
export type ExperimentRecord = z.output<typeof recordSchema>;

const fileSchema = z.object({ version: z.literal(VERSION), experiments: z.array(recordSchema) });

export interface QueueFile {
  /** Resolves when the file holds these. Errors: FILE_UNUSABLE, DISK_FULL. */
  write(experiments: readonly ExperimentRecord[]): Promise<void>;
}

/**
 * Opens the file of the server in `runsDir`, whose folder exists.
 * @param confirm rejects, before a write, if another server works there by now
 * @throws DistmisError FILE_UNUSABLE if it can't be read, or is of another version of distmis
 */
export async function openQueueFile(
  runsDir: string,
  confirm: () => Promise<void>,
): Promise<{ file: QueueFile; experiments: ExperimentRecord[]; path: string }> {
  const name = path.join(runsDir, SERVER_FOLDER, "experiments.json");
  const experiments = await readExperiments(name);
  let writing: Promise<void> = Promise.resolve();
  const file: QueueFile = {
    write(records) {
      const text = JSON.stringify({ version: VERSION, experiments: records });
      writing = writing
        .catch(() => {})
        .then(confirm)
        .then(() => replaceFile(name, `${text}\n`));
      return writing;
    },
  };
  return { file, experiments, path: name };
}

async function readExperiments(name: string): Promise<ExperimentRecord[]> {
  let text: string;
  try {
    text = await readFile(name, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${name}: can't be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    return fileSchema.parse(JSON.parse(text)).experiments;
  } catch (error) {
    const what = `expected the experiments of a server of this version, found something else (${messageOf(error).split("\n")[0]})`;
    throw new DistmisError("FILE_UNUSABLE", `${name}: ${what}; move it away: the runs can be submitted again`, {
      cause: error,
    });
  }
}
