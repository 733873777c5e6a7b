/** Several processes at once that form one TensorFlow cluster on this machine, for tests and the benchmark of the all-reduce. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { freePort } from "../../src/ray-node/index.ts";

export { freePort };

export interface Ended {
  stdout: string;
  stderr: string;
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Member {
  command: readonly string[];
  environment?: Readonly<Record<string, string>>;
}

/**
 * Starts the processes of a gang, waits until all have ended and returns how.
 * @param describe how the process with this rank is started; `addresses` are those of all
 * @throws after `deadlineMs`, when the rest of them has been killed
 */
export async function runGang(
  size: number,
  describe: (rank: number, addresses: readonly string[]) => Member,
  deadlineMs: number,
): Promise<Ended[]> {
  const addresses: string[] = [];
  while (addresses.length < size) {
    const address = `127.0.0.1:${await freePort()}`;
    if (!addresses.includes(address)) addresses.push(address);
  }
  const children = addresses.map((_, rank) => {
    const { command, environment } = describe(rank, addresses);
    const [program = "", ...args] = command;
    return spawn(program, args, { env: { ...process.env, ...environment }, stdio: ["pipe", "pipe", "pipe"] });
  });
  // The end of their input tells those that wait for it (gang-member.ts) that each has said what it found, or has ended.
  const said = children.map((child) => Promise.race([once(child.stdout, "data"), once(child, "close")]));
  Promise.all(said).finally(() => {
    for (const child of children) child.stdin.end();
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    for (const child of children) child.kill("SIGKILL");
  }, deadlineMs);
  const ended = await Promise.all(
    children.map(async (child): Promise<Ended> => {
      const [stdout, stderr, [code, signal]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, "close"),
      ]);
      return { stdout, stderr, code, signal };
    }),
  );
  clearTimeout(timer);
  if (late) {
    const heard = ended
      .map(({ stdout, stderr }, rank) => `replica ${rank}: ${stdout}${stderr.slice(-2000)}`)
      .join("\n");
    throw new Error(`the gang did not end within ${deadlineMs} ms\n${heard}`);
  }
  return ended;
}
