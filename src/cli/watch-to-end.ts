/** What `watch` does. */
import { watchRun } from "../index.ts";
import { say } from "./say.ts";
import { finish, show } from "./show-run.ts";
import { listenForStop, stoppedExitCode } from "./signals.ts";

/** Shows the run in `dir` until it ends, and sets the exit code: 1 also for a run that has stopped before its end. */
export async function watchToEnd(dir: string, { json, wait }: { json: boolean; wait: boolean }): Promise<void> {
  const signals = listenForStop(() => {});
  try {
    const results = await show(watchRun(dir, { wait, signal: signals.stop, onWaiting: say }), json);
    finish(results, json, "the command that started it");
    if (results.state === "interrupted") process.exitCode = 1;
  } catch (error) {
    if (!signals.stop.aborted) throw error;
    process.exitCode = stoppedExitCode();
  } finally {
    signals.release();
  }
}
