/** The program of agent.ts, started by `srun` on a node; ends with its input, or by a signal. */
import { createInterface } from "node:readline";
import { deferred } from "../async/index.ts";
import { messageOf } from "../errors/index.ts";
import { runNode } from "./agent.ts";
import { type AgentSaid, BEAT_MILLISECONDS, joinSchema, MISSED_BEATS, startSchema } from "./messages.ts";

const end = new AbortController();
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => end.abort());
// Nobody hears any more; the end of the input follows.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

const say = (said: AgentSaid): void => {
  process.stdout.write(`${JSON.stringify(said)}\n`);
};
const lines = createInterface({ input: process.stdin });
lines.once("close", () => end.abort());
const head = deferred<string>();
let started = false;
let missed = 0;
setInterval(() => {
  missed++;
  if (missed === MISSED_BEATS) end.abort();
}, BEAT_MILLISECONDS).unref();
lines.on("line", (line) => {
  missed = 0;
  if (line === "") return;
  const said: unknown = JSON.parse(line);
  if (started) return head.resolve(joinSchema.parse(said).address);
  started = true;
  runNode(startSchema.parse(said), head.promise, say, end.signal)
    .catch((error: unknown) => {
      say({ type: "lost", reason: messageOf(error) });
      process.exitCode = 1;
    })
    .finally(() => process.stdin.destroy());
});
// Nothing was started yet.
end.signal.addEventListener("abort", () => started || process.stdin.destroy());
