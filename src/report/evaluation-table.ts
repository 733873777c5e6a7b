/** The scores of segmentations for the terminal. */
import Table from "cli-table3";
import type { EvaluationResult, Scores } from "../metrics/index.ts";
import { cut, printable } from "./format.ts";

const MOST_CASES = 40;
const MOST_NAME = 40;
const MOST_CLASS_NAME = 24;
const HEAD = ["case", "class", "Dice", "IoU", "sensitivity", "precision", "volume +/- ml", "HD95 mm"];

/** The mean of each case's foreground, then the means over the cases by class; no newline at the end. */
export function evaluationTable({ cases, names, mean }: EvaluationResult): string {
  const table = new Table({
    head: HEAD,
    colAligns: HEAD.map((_, column) => (column < 2 ? "left" : "right")),
    // The library's colours would end up in files.
    style: { head: [], border: [], "padding-left": 1, "padding-right": 1, compact: true },
  });
  for (const each of cases.slice(0, MOST_CASES))
    table.push([cut(printable(each.case), MOST_NAME), "foreground", ...cells(each.foreground)]);
  for (const [value, scores] of Object.entries(mean.classes)) {
    const name = cut(printable(names[value] ?? ""), MOST_CLASS_NAME);
    table.push(["mean", `${value} ${name}`.trimEnd(), ...cells(scores)]);
  }
  table.push(["mean", "foreground", ...cells(mean.foreground)]);
  const left = cases.length - MOST_CASES;
  return left > 0 ? `${table.toString()}\nand ${left} more cases with --json or --csv` : table.toString();
}

function cells({ dice, iou, sensitivity, precision, volume_difference_ml, hd95_mm }: Scores): string[] {
  const fixed = (value: number | null, digits: number): string => value?.toFixed(digits) ?? "-";
  const ratios = [dice, iou, sensitivity, precision].map((value) => fixed(value, 4));
  return [...ratios, fixed(volume_difference_ml, 3), fixed(hd95_mm, 2)];
}
