/** The data of a report, which lie in the page itself. */
import type { ReportData } from "../page-data/index.ts";
import type { RunData, Source, Volume } from "./source.ts";

export const REPORT_ELEMENT = "distmis-report";

export function reportSource(data: ReportData): Source {
  const { run, trials, attempts, previews } = data;
  const only: RunData = { view: run, trials: new Map(trials.map((trial) => [trial.id, trial])), attempts };
  const curves = new Map(data.curves.map((curve) => [curve.trial, curve]));
  const volume = async (name: string): Promise<Volume> => {
    const text = previews?.volumes[name];
    if (text === undefined) throw new Error("this report has no such volume");
    return { name: `${name}.nii.gz`, bytes: Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer };
  };
  return {
    state: { version: 1, generation: 1, connection: "report", runs: new Map([[run.id, only]]) },
    onlyPreviewed: previews?.trial ?? null,
    made: { at: data.madeAt, version: data.version, remarks: data.remarks },
    subscribe: () => () => {},
    curves: async (_run, wanted) => wanted.flatMap((trial) => curves.get(trial) ?? []),
    importance: async () => data.importance,
    experiment: async () => data.experiment,
    licences: async () => document.getElementById("distmis-licences")?.textContent ?? "",
    log: null,
    previews: async (_run, trial) => {
      if (previews === null || previews.trial !== trial) {
        const missing = "this report holds the segmentations of the best trial alone";
        return { classes: {}, channels: [], cases: [], epochs: [], missing };
      }
      return previews.view;
    },
    image: () => volume("image"),
    truth: () => volume("truth"),
    prediction: (_run, _trial, _index, epoch) => volume(`epoch-${epoch}`),
  };
}
