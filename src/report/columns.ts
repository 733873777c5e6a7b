/** Tables that fit a terminal: columns are left out, then cut. */
import Table from "cli-table3";
import { cut, widthOf } from "./format.ts";

export interface Column {
  head: string;
  cells: string[];
  right: boolean;
  /** Left out in this order where the terminal is too narrow; null: never. */
  dropped: number | null;
  /** Left out where cutting is not enough, the last one first. */
  last?: boolean;
}

/** A column is not made narrower than this: five characters and the mark of the cut. */
const MIN_CELL = 6;
/** Border and padding of a cell. */
const CELL_FRAME = 3;
/** Between two columns of a table without borders. */
const GAP = "  ";

/** @param width columns of the terminal; Infinity when the output is not one  @returns no newline at the end */
export function columnTable(columns: readonly Column[], width: number): string {
  const shown = fit(columns, width, (cells) => 1 + cells.reduce((sum, cell) => sum + cell + CELL_FRAME, 0));
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
  return cells.reduce((most, cell) => Math.max(most, widthOf(cell)), widthOf(head));
}

/** The same without borders, for a view that is drawn again and again; the first line has the heads. */
export function columnLines(columns: readonly Column[], width: number): string[] {
  const frame = (cells: readonly number[]): number => cells.reduce((sum, cell) => sum + cell + GAP.length, -GAP.length);
  const shown = fit(columns, width, frame).map((column) => ({ ...column, width: cellWidth(column) }));
  const rows = Math.max(0, ...shown.map(({ cells }) => cells.length));
  return Array.from({ length: rows + 1 }, (_, row) =>
    shown
      .map(({ head, cells, right, width: size }) => {
        const text = row === 0 ? head : (cells[row - 1] ?? "");
        const space = " ".repeat(size - widthOf(text));
        return right ? space + text : text + space;
      })
      .join(GAP)
      .trimEnd(),
  );
}

/** Leaves columns out and cuts the widest until the table, by the widths of its cells, is no wider than `width`. */
function fit(columns: readonly Column[], width: number, tableWidth: (cells: readonly number[]) => number): Column[] {
  let kept = columns.map((column) => ({ ...column }));
  while (tableWidth(kept.map(cellWidth)) > width) {
    const droppable = kept
      .filter(({ dropped }) => dropped !== null)
      .toSorted((a, b) => Number(a.dropped) - Number(b.dropped));
    if (droppable.length > 0) {
      kept = kept.filter((column) => column !== droppable[0]);
      continue;
    }
    const widest = kept.toSorted((a, b) => cellWidth(b) - cellWidth(a))[0];
    if (widest === undefined || cellWidth(widest) <= MIN_CELL) {
      const least = kept.findLast(({ last }) => last === true);
      if (least === undefined) break;
      kept = kept.filter((column) => column !== least);
      continue;
    }
    const size = cellWidth(widest) - 1;
    widest.head = cut(widest.head, size);
    widest.cells = widest.cells.map((cell) => cut(cell, size));
  }
  return kept;
}
