/** The run as it is now, at the bottom of the terminal; news that stay scroll by above it. */

import { liveLines } from "./live-lines.ts";
import { plainLine } from "./plain.ts";
import type { Reporter, ReportStream } from "./reporter.ts";
import { createRunView } from "./run-view.ts";
import { createScreen } from "./screen.ts";

/** Often enough to look live, seldom enough for a slow ssh. */
const REDRAW_MILLISECONDS = 250;
/** What is older than the view when it is told is in the table alone. */
const NEWS_MILLISECONDS = 10_000;

/** A live view on a terminal. */
export function createLiveView(stream: ReportStream): Reporter {
  const view = createRunView();
  const screen = createScreen(stream);
  const begin = Date.now();
  let timer: NodeJS.Timeout | null = null;

  const draw = (): void => screen.draw(liveLines(view, screen, Date.now()));
  const redrawSoon = (): void => {
    if (timer !== null) return;
    timer = setInterval(draw, REDRAW_MILLISECONDS);
    timer.unref();
    process.on("SIGCONT", screen.leave);
  };

  return {
    event(event) {
      view.event(event);
      redrawSoon();
      if (event.type === "epoch" || event.type === "trial_started") return;
      const isNews = event.type === "log" || begin - Date.parse(event.time) < NEWS_MILLISECONDS;
      const line = isNews ? plainLine(event) : null;
      if (line !== null) screen.say(line);
    },
    say: screen.say,
    close() {
      if (timer !== null) clearInterval(timer);
      process.off("SIGCONT", screen.leave);
      screen.erase();
    },
  };
}
