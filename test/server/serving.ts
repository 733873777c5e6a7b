/** A real `distmis serve` for tests, and experiments to hand to it. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type Command, distmisCommand, startCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";

/** On a quiet machine 8 s. */
export const START_MS = 180_000;
export const END_MS = 120_000;

export interface Serving extends Command {
  /** As clients say it. */
  address: string;
}

/** Starts a server in `folder` with a Ray of `gpus` logical GPUs, and waits until it serves. */
export async function startServing(folder: string, gpus: number, args: readonly string[]): Promise<Serving> {
  const ray = ["--gpus", String(gpus), "--cpus", String(gpus)];
  const command = startCommand(distmisCommand(["serve", ...ray, ...args]), folder);
  const address = await until(
    () => `served: ${command.stderr()}`,
    () => {
      if (command.child.exitCode !== null) throw new Error(command.stderr());
      return /serving experiments at (\S+);[\s\S]*see them:/.exec(command.stdout())?.[1];
    },
    START_MS,
  );
  return { ...command, address };
}

/** Ends a server as a person would, and waits until nothing of it is left. */
export async function endServing(serving: Serving | undefined): Promise<void> {
  if (serving === undefined) return;
  if (serving.child.exitCode === null && serving.child.signalCode === null) serving.child.kill("SIGTERM");
  await serving.exit;
  await until(
    () => serving.processes().join("\n"),
    () => serving.processes().length === 0,
    15_000,
  );
}

/** Writes an experiment of the test's own task and returns its file. */
export function experimentFile(folder: string, name: string, task: string, parameters: string, more = ""): string {
  const file = path.join(folder, `${name}.yaml`);
  const module = path.join(repositoryRoot, "test/fixtures/tasks", `${task}.mjs`);
  writeFileSync(file, `name: ${name}\ntrainer: { module: ${module}, parameters: { ${parameters} } }\n${more}`);
  return file;
}
