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
      return `${event.concurrency} at once, each with ${event.gpus} GPU and ${event.cpus} CPU`;
    case "trial_started": {
      const again = event.attempt > 1 ? ` attempt ${event.attempt}` : "";
      const where = `on ${event.nodes.join(", ")}${event.gpus.length === 0 ? "" : ` GPU ${event.gpus.join(", ")}`}`;
      return printable(`trial ${event.trial}${again} started ${where}: ${formatParameters(event.parameters)}`);
    }
    case "epoch":
      return printable(`trial ${event.trial} epoch ${event.epoch}/${event.epochs} ${formatMetrics(event.metrics)}`);
    case "trial_retried":
      return printable(
        `trial ${event.trial} lost its worker (${event.failures} of ${event.maxFailures} retries): ${event.error}`,
      );
    case "trial_ended": {
      if (event.state === "failed") return printable(`trial ${event.trial} failed: ${event.error ?? ""}`);
      const best = event.best === null ? "" : `, best ${formatMetric(event.best.value)} at epoch ${event.best.epoch}`;
      return `trial ${event.trial} ${event.state} after ${formatSeconds(event.seconds)}${best}`;
    }
    case "log":
      return event.stream === "distmis" ? printable(event.text) : null;
    case "run_ended": {
      const failed = event.failed === 0 ? "" : `, ${event.failed} failed`;
      return `run ${event.state} after ${formatSeconds(event.seconds)}: ${event.completed} completed${failed}`;
    }
  }
}

/** `loss 0.4123, val_dice 0.7010` */
export function formatMetrics(metrics: Readonly<Record<string, number>>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${formatMetric(value)}`)
    .join(", ");
}
