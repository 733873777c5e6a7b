import path from "node:path";
import { stringify } from "csv-stringify/sync";
import { replaceFile } from "../files/index.ts";
import { makeFolder } from "../paths/index.ts";
import type { EvaluationResult, ScoreTable } from "./evaluate-folders.ts";
import { SCORES } from "./scores.ts";

/**
 * Writes a row for each case and class, one for the mean over its foreground classes, and at the end those of the case "mean";
 * what is not defined is left empty. The file's folder is made if need be. Errors: FILE_UNUSABLE, DISK_FULL.
 */
export async function writeEvaluationCsv(file: string, { cases, names, mean }: EvaluationResult): Promise<void> {
  const rows = [...cases, { case: "mean", ...mean }].flatMap((each) => tableRows(each.case, each, names));
  await makeFolder(path.dirname(file));
  await replaceFile(file, stringify(rows, { header: true, columns: ["case", "class", "class_name", ...SCORES] }));
}

function tableRows(name: string, { classes, foreground }: ScoreTable, names: Readonly<Record<string, string>>) {
  return [...Object.entries(classes), ["foreground", foreground] as const].map(([value, scores]) => ({
    case: name,
    class: value,
    class_name: names[value] ?? "",
    ...scores,
  }));
}
