/** Following a run on a server: `attach`, and `run` with `--server`. */
import type { RemoteServer } from "../index.ts";
import { say } from "./say.ts";
import { type ServerArguments, serverWords } from "./server-options.ts";
import { finish, show } from "./show-run.ts";
import { listenForStop, stoppedExitCode } from "./signals.ts";

/**
 * Shows a run on a server as a run of this machine, and sets the exit code. Ctrl-C leaves it; it goes on.
 * @param trialOutput shows what the trials print, too
 */
export async function followToEnd(
  server: RemoteServer,
  run: string,
  { json, trialOutput, args }: { json: boolean; trialOutput: boolean; args: ServerArguments },
): Promise<void> {
  const where = serverWords(args);
  const again = (command: string): string => `\`distmis ${command} ${run}${where === "" ? "" : ` ${where}`}\``;
  const signals = listenForStop(() => {
    say(`run ${run} goes on; ${again("attach")} shows it again, ${again("cancel")} stops it`);
  });
  try {
    const remote = server.attach(run, {
      signal: signals.stop,
      onWaiting: (before) =>
        say(
          before === 0
            ? `run ${run} is next`
            : `run ${run} waits for ${before} other ${before === 1 ? "experiment" : "experiments"}`,
        ),
      onLost: say,
    });
    finish(await show(remote, json, trialOutput), json);
  } catch (error) {
    if (!signals.stop.aborted) throw error;
    process.exitCode = stoppedExitCode();
  } finally {
    signals.release();
  }
}
