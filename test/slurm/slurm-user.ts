/** A user on the login node of a test cluster. */
import fs from "node:fs";
import path from "node:path";
import { distmisCommand, startCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import type { SlurmCluster } from "./slurm-cluster.ts";

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What `distmis status --json` prints, as far as tests read it. */
interface Status {
  run: { state: string; counts: Record<string, number>; best: { parameters: Record<string, unknown> } };
  job: { job: string; by: string; script: string; log: string };
  jobState: { state: string; reason: string | null; exitCode: number | null; nodes: number | null; restarts: number };
  jobs: number;
}

export interface SlurmUser {
  distmis(...args: string[]): Promise<Ran>;
  status(runDir: string): Promise<Status>;
  /** Empty where there is no file yet. */
  read(file: string): string;
}

/** @param folder where the user works */
export function slurmUser(cluster: SlurmCluster, folder: string): SlurmUser {
  const distmis = (...args: string[]): Promise<Ran> => ranIn(folder, cluster.command(distmisCommand(args)));
  return {
    distmis,
    status: async (runDir) => JSON.parse((await distmis("status", runDir, "--json")).stdout),
    read: (file) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : ""),
  };
}

export async function ranIn(folder: string, command: [string, ...string[]]): Promise<Ran> {
  const started = startCommand(command, folder);
  const { code } = await started.exit;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

/** Writes the file of a search of four trials, which has its name. */
export function experimentFile(folder: string, name: string, more = ""): string {
  const file = path.join(folder, `${name}.yaml`);
  const module = path.join(repositoryRoot, "test/fixtures/tasks/bowl.mjs");
  fs.writeFileSync(
    file,
    `name: ${name.replaceAll(/[^a-z]/g, "")}\ntrainer: { module: ${module}, parameters: { epochs: 4, dies: false } }\n` +
      `search: { space: { trainer.parameters.x: { grid: [0.1, 0.2, 0.3, 0.4] } } }\n${more}`,
  );
  return file;
}
