/** Events as single lines. */
import type { RunEvent } from "../experiment/index.ts";
import { formatMetric, formatParameters, formatSeconds, printable } from "./format.ts";

/** The event in one line without its time; null if it is not worth one (what a trainer prints is in its log). */
export function plainLine(event: RunEvent): string | null {
  switch (event.type) {
    case "run_started": {
      const trials = event.trials === null ? "trials" : event.trials === 1 ? "1 trial" : `${event.trials} trials`;
      const before = event.continued ? `, continued: ${event.endedBefore} ended before` : "";
      return printable(`run ${event.name}: ${trials}${before}; ${event.runDir}`);
    }
    case "run_placed":
      return placedLine(event);
    case "trial_started": {
      const again = event.attempt > 1 ? ` attempt ${event.attempt}` : "";
      const replicas = event.replicas > 1 ? ` with ${event.replicas} replicas` : "";
      const where = `on ${event.nodes.join(", ")}${event.gpus.length === 0 ? "" : ` GPU ${event.gpus.join(", ")}`}`;
      const parameters = formatParameters(event.parameters);
      return printable(
        `trial ${event.trial}${again} started${replicas} ${where}${parameters === "" ? "" : `: ${parameters}`}`,
      );
    }
    case "epoch":
      return printable(`trial ${event.trial} epoch ${event.epoch}/${event.epochs} ${formatMetrics(event.metrics)}`);
    case "trial_retried": {
      const when = event.delaySeconds === 0 ? "" : ` in ${formatSeconds(event.delaySeconds)}`;
      const many = `${event.failures} of ${event.maxFailures} retries`;
      return printable(`trial ${event.trial} starts again${when} (${many}): ${event.error}`);
    }
    case "trial_ended": {
      if (event.state === "failed") return printable(`trial ${event.trial} failed: ${event.error ?? ""}`);
      const best = event.best === null ? "" : `, best ${formatMetric(event.best.value)} at epoch ${event.best.epoch}`;
      return `trial ${event.trial} ${event.state} after ${formatSeconds(event.seconds)}${best}`;
    }
    case "log":
      return event.stream === "distmis" ? printable(event.text) : null;
    case "run_ended": {
      const pruned = event.pruned === 0 ? "" : `, ${event.pruned} pruned`;
      const failed = event.failed === 0 ? "" : `, ${event.failed} failed`;
      const trials = `${event.completed} completed${pruned}${failed}`;
      const limit = event.limit === null ? "" : `; ${event.limit}`;
      return printable(`run ${event.state} after ${formatSeconds(event.seconds)}: ${trials}${limit}`);
    }
  }
}

/** `32 trials x 4 replicas, 2 at once, each replica with 1 GPU and 8 CPU` */
function placedLine({ trials, sizes, gpus, cpus, change }: Extract<RunEvent, { type: "run_placed" }>): string {
  const many = sizes.map(({ replicas }) => replicas).join(" or ");
  const atOnce =
    sizes.length === 1
      ? `${sizes[0]?.concurrency}`
      : sizes.map(({ replicas, concurrency }) => `${concurrency} of ${replicas}`).join(" or ");
  const what = `${trials === null ? "trials" : trials === 1 ? "1 trial" : `${trials} trials`} x ${many} ${many === "1" ? "replica" : "replicas"}`;
  const why = change === "" ? "" : printable(`${change}: `);
  return `${why}${what}, ${atOnce} at once, each replica with ${gpus} GPU and ${cpus} CPU`;
}

/** `loss 0.4123, val_dice 0.7010` */
export function formatMetrics(metrics: Readonly<Record<string, number>>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${formatMetric(value)}`)
    .join(", ");
}
