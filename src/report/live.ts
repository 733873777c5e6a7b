/** A few lines at the bottom of the terminal that show the run as it is now; news that stay scroll by above them. */
import type { RunEvent } from "../experiment/index.ts";
import { cut, formatMetric, formatParameters, formatSeconds, printable } from "./format.ts";
import { formatMetrics, plainLine } from "./plain.ts";
import type { Reporter, ReportStream } from "./reporter.ts";

/** Often enough to look live, seldom enough for a slow ssh. */
const REDRAW_MILLISECONDS = 250;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

interface RunningTrial {
  parameters: string;
  where: string;
  progress: string;
}

/** A live view on a terminal. */
export function createLiveView(stream: ReportStream): Reporter {
  const running = new Map<string, RunningTrial>();
  const begin = Date.now();
  let name = "";
  let metric = "";
  let mode: "max" | "min" = "max";
  let total: number | null = null;
  let done = 0;
  let pruned = 0;
  let failed = 0;
  let best: { trial: string; value: number } | null = null;
  let drawn = 0;
  let timer: NodeJS.Timeout | null = null;

  /** Cursor up to the first line of the view, then clear to the end of the screen. */
  const erase = (): void => {
    if (drawn === 0) return;
    stream.write(`\x1b[${drawn}A\r\x1b[J`);
    drawn = 0;
  };

  const summary = (): string => {
    const trials = `${done}${total === null ? "" : `/${total}`} trials ended, ${running.size} running`;
    const early = pruned === 0 ? "" : `, ${pruned} pruned`;
    const failures = failed === 0 ? "" : `, ${failed} failed`;
    const top = best === null ? "" : `, best ${metric} ${formatMetric(best.value)} (${best.trial})`;
    return `${name}: ${trials}${early}${failures}${top}, ${formatSeconds((Date.now() - begin) / 1000)}`;
  };

  const draw = (): void => {
    erase();
    // A terminal that nobody has given a size says 0.
    const columns = stream.columns || DEFAULT_COLUMNS;
    // The summary, the count of what is left out, and the cursor's own line.
    const room = Math.max(1, (stream.rows || DEFAULT_ROWS) - 3);
    const lines = [...running]
      .slice(0, room)
      .map(([trial, { progress, parameters, where }]) =>
        [trial, progress, parameters, where].filter((part) => part !== "").join("  "),
      );
    if (running.size > room) lines.push(`and ${running.size - room} more`);
    lines.push(summary());
    // The last column stays free: some terminals wrap when it is written to, and the count of lines would be wrong.
    stream.write(lines.map((line) => `${cut(printable(line), columns - 1)}\n`).join(""));
    drawn = lines.length;
  };

  const say = (text: string): void => {
    erase();
    stream.write(`${text}\n`);
  };

  const redrawSoon = (): void => {
    timer ??= setInterval(draw, REDRAW_MILLISECONDS);
    timer.unref();
  };

  const isBetter = (value: number): boolean =>
    best === null || (mode === "max" ? value > best.value : value < best.value);

  return {
    event(event) {
      note(event);
      const stays = event.type === "epoch" || event.type === "trial_started" ? null : plainLine(event);
      if (stays !== null) {
        say(stays);
        draw();
      }
      redrawSoon();
    },
    close() {
      if (timer !== null) clearInterval(timer);
      erase();
    },
  };

  function note(event: RunEvent): void {
    switch (event.type) {
      case "run_started":
        // Again where a server was lost and found: it tells everything anew.
        ({ name, metric, mode, trials: total, endedBefore: done } = event);
        running.clear();
        pruned = 0;
        failed = 0;
        break;
      case "trial_started": {
        const where = `${event.nodes.join(", ")} ${event.gpus.map((gpu) => `GPU ${gpu}`).join(", ")}`.trim();
        running.set(event.trial, { parameters: formatParameters(event.parameters), where, progress: "starting" });
        break;
      }
      case "epoch": {
        const trial = running.get(event.trial);
        const value = event.metrics[metric];
        const shown = value === undefined ? event.metrics : { [metric]: value };
        if (trial !== undefined) trial.progress = `epoch ${event.epoch}/${event.epochs}  ${formatMetrics(shown)}`;
        if (value !== undefined && isBetter(value)) best = { trial: event.trial, value };
        break;
      }
      case "trial_retried":
        running.delete(event.trial);
        break;
      case "trial_ended":
        running.delete(event.trial);
        if (event.state !== "interrupted") done++;
        if (event.state === "pruned") pruned++;
        if (event.state === "failed") failed++;
        if (event.best !== null && isBetter(event.best.value)) best = { trial: event.trial, value: event.best.value };
        break;
    }
  }
}
