/** A search as a user starts it, in a terminal. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { distmisCommand } from "../../test/support/command.ts";
import { startInTerminal } from "../../test/support/terminal.ts";
import { until } from "../../test/support/until.ts";

const EXPERIMENT = `
name: phantom
data: { dir: tfrecords }
model: { depth: 2 }
train: { epochs: 8, batch_size_per_replica: 2, seed: 1 }
search:
  sampler: random
  seed: 3
  limits: { trials: 18 }
  space:
    train.learning_rate: { log_uniform: [1e-4, 3e-2] }
    model.norm: { choice: [batch, group] }
    model.filters: { choice: [4, 8] }
`;
const SIZE = { columns: 100, rows: 20 };
const START_MS = 180_000;
const END_MS = 1_200_000;

/** The run's folder, and what the terminal showed while two trials ran and some had ended. */
export async function searchInTerminal(cwd: string): Promise<{ run: string; screen: string[] }> {
  const prepare = async (...args: string[]): Promise<void> => {
    const [program, ...all] = distmisCommand(args);
    await promisify(execFile)(program, all, { cwd });
  };
  const shape = ["--count", "16", "--shape", "40,40,32", "--modalities", "2"];
  await prepare("phantom", "--target-dir", "msd", ...shape);
  await prepare("tfrecord", "--source-dir", "msd", "--target-dir", "tfrecords", "--reshape", "auto");
  await writeFile(path.join(cwd, "phantom.yaml"), EXPERIMENT);
  const command = distmisCommand(["run", "phantom.yaml", "--gpus", "2", "--cpus", "2"]);
  const terminal = startInTerminal(command, { ...SIZE, cwd });
  try {
    const screen = await until(
      () => terminal.written().slice(-2000),
      async () => {
        const lines = await terminal.screen();
        const reported = lines.filter((line) => / [1-7]\/8 .* running$/.test(line)).length;
        return reported === 2 && lines.some((line) => /^[5-8] done, 2 running/.test(line)) ? lines : null;
      },
      START_MS,
    );
    const code = await Promise.race([
      terminal.exit,
      new Promise((_, reject) => setTimeout(reject, END_MS, new Error("the search takes too long")).unref()),
    ]);
    if (code !== 0) throw new Error(`the search ended with ${code}: ${terminal.written().slice(-2000)}`);
    return { run: path.join(cwd, "runs", "phantom"), screen };
  } finally {
    await terminal.kill();
  }
}
