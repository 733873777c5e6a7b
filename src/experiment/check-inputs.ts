/** The files that an experiment names. */
import { access } from "node:fs/promises";
import path from "node:path";
import type { Experiment } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";

/** What every trial would fail for, found before the first one starts. */
export async function checkInputs({ data, trainer }: Experiment): Promise<void> {
  const check = async (field: string, file: string, hint: string): Promise<void> => {
    try {
      await access(file);
    } catch (error) {
      throw new DistmisError("FILE_UNUSABLE", `${field}: ${file} can't be read: ${messageOf(error)}; ${hint}`, {
        cause: error,
      });
    }
  };
  if (trainer.module !== undefined)
    await check("trainer.module", trainer.module, "expected a module that exports a task");
  else if (data !== undefined) {
    await check("data.dir", path.join(data.dir, "info.json"), "make the TFRecords with `distmis tfrecord`");
  }
}

/**
 * Opens a run. Where it is refused and a file is missing, that is thrown as the nearer cause: with a path that was mistyped, the
 * experiment is another one.
 */
export async function orMissing<T>(experiment: Experiment, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof DistmisError && error.code === "RUN_REFUSED") await checkInputs(experiment);
    throw error;
  }
}
