/** Experiment files of the tests, in a folder of their own. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { type LoadOptions, loadExperiment } from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";

export interface ExperimentFiles {
  readonly folder: string;
  write(text: string, name?: string): Promise<string>;
  /** The message of the refusal, with the file's folder taken out. */
  refusal(text: string, options?: LoadOptions, name?: string): Promise<string>;
}

/** The least that is an experiment. */
export const valid = "name: x\ndata: { dir: records }\n";

/** To be called at the top of a test file. */
export function experimentFiles(): ExperimentFiles {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "distmis-config-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  const write = async (text: string, name = "exp.yaml"): Promise<string> => {
    const file = path.join(folder, name);
    await writeFile(file, text);
    return file;
  };
  return {
    get folder() {
      return folder;
    },
    write,
    async refusal(text, options = {}, name = "exp.yaml") {
      const file = await write(text, name);
      let message = "";
      await assert.rejects(loadExperiment(file, options), (error) => {
        assert.ok(error instanceof DistmisError, String(error));
        message = error.message.replaceAll(`${folder}/`, "");
        return true;
      });
      return message;
    },
  };
}
