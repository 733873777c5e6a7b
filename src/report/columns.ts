/** Tables that fit a terminal: columns are left out, then cut. */
import Table from "cli-table3";
import { cut } from "./format.ts";

export interface Column {
  head: string;
  cells: string[];
  right: boolean;
  /** Left out in this order where the terminal is too narrow; null: never. */
  dropped: number | null;
}

/** A column is not made narrower than this: five characters and the mark of the cut. */
const MIN_CELL = 6;
/** Border and padding of a cell. */
const CELL_FRAME = 3;

/** @param width columns of the terminal; Infinity when the output is not one  @returns no newline at the end */
export function columnTable(columns: readonly Column[], width: number): string {
  const shown = fit(columns, width);
  const table = new Table({
    head: shown.map(({ head }) => head),
    colAligns: shown.map(({ right }) => (right ? "right" : "left")),
    // The library's colours would end up in files.
    style: { head: [], border: [], "padding-left": 1, "padding-right": 1, compact: true },
  });
  const rows = Math.max(0, ...shown.map(({ cells }) => cells.length));
  for (let row = 0; row < rows; row++) table.push(shown.map(({ cells }) => cells[row] ?? ""));
  return table.toString();
}

function cellWidth({ head, cells }: Column): number {
  return Math.max(head.length, ...cells.map((cell) => cell.length));
}

function tableWidth(columns: readonly Column[]): number {
  return 1 + columns.reduce((sum, column) => sum + cellWidth(column) + CELL_FRAME, 0);
}

/** Leaves columns out and cuts the widest until the table is no wider than `width`. */
function fit(columns: readonly Column[], width: number): Column[] {
  let kept = [...columns];
  while (tableWidth(kept) > width) {
    const droppable = kept
      .filter(({ dropped }) => dropped !== null)
      .toSorted((a, b) => Number(a.dropped) - Number(b.dropped));
    if (droppable.length > 0) {
      kept = kept.filter((column) => column !== droppable[0]);
      continue;
    }
    const widest = kept.toSorted((a, b) => cellWidth(b) - cellWidth(a))[0];
    if (widest === undefined || cellWidth(widest) <= MIN_CELL) break;
    const size = cellWidth(widest) - 1;
    widest.head = cut(widest.head, size);
    widest.cells = widest.cells.map((cell) => cut(cell, size));
  }
  return kept;
}
