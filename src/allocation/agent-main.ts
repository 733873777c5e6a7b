/** The program of agent.ts, started by `srun` on a node; ends with its input, or by a signal. */
import { createInterface } from "node:readline";
import { deferred } from "../async/index.ts";
import { messageOf } from "../errors/index.ts";
import { runNode } from "./agent.ts";
import { type AgentSaid, BEAT_MILLISECONDS, joinSchema, MISSED_BEATS, startSchema } from "./messages.ts";
import { endOrphan } from "./orphan.ts";

const end = new AbortController();
/** The job is over, or whoever started this is there to say so. */
const over = new AbortController();
over.signal.addEventListener("abort", () => end.abort());
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => over.abort());
// Nobody hears any more; the end of the input follows.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

const say = (said: AgentSaid): void => {
  process.stdout.write(`${JSON.stringify(said)}\n`);
};
const lines = createInterface({ input: process.stdin });
lines.once("close", () => over.abort());
const head = deferred<string>();
let started = false;
let missed = 0;
let isLeft = false;
setInterval(() => {
  missed++;
  if (missed !== MISSED_BEATS) return;
  isLeft = true;
  end.abort();
}, BEAT_MILLISECONDS).unref();
lines.on("line", (line) => {
  missed = 0;
  // It was late: another agent is started once this one has ended.
  if (isLeft) return over.abort();
  if (line === "") return;
  const said: unknown = JSON.parse(line);
  if (started) return head.resolve(joinSchema.parse(said).address);
  started = true;
  const start = startSchema.parse(said);
  runNode(start, head.promise, say, end.signal)
    .catch((error: unknown) => {
      say({ type: "lost", reason: messageOf(error) });
      process.exitCode = 1;
    })
    .then(() => (isLeft ? endOrphan(start.requeue, over.signal) : undefined))
    .finally(() => process.stdin.destroy());
});
// Nothing was started yet.
end.signal.addEventListener("abort", () => started || process.stdin.destroy());
