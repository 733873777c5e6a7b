import type { DatasetInfo } from "./info.ts";

/** How many outputs a network needs for a data set: 1 where its labels are binary, else one a class with the background. */
export function outputsOf({ distmis }: Pick<DatasetInfo, "distmis">): number {
  const labels = distmis?.preprocessing.labels;
  return labels?.mode === "multiclass" ? Object.keys(labels.classes).length : 1;
}
