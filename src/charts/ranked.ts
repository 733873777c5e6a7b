import type { RunView, TrialView } from "../page-data/index.ts";

/** Best first, as `distmis results`. */
export function ranked(run: { view: Pick<RunView, "mode">; trials: ReadonlyMap<string, TrialView> }): TrialView[] {
  const sign = run.view.mode === "max" ? -1 : 1;
  return [...run.trials.values()].sort(
    (a, b) =>
      Number(a.best === null) - Number(b.best === null) ||
      sign * ((a.best?.value ?? 0) - (b.best?.value ?? 0)) ||
      a.id.length - b.id.length ||
      (a.id < b.id ? -1 : 1),
  );
}
