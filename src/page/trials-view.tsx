/** All trials as a table of which only the rows in sight exist: ten thousand of them sort and scroll at once. */
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
  type VirtualizerOptions,
} from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, duration, metric, ranked, shortNames, value } from "../charts/index.ts";
import type { RunView, TrialView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { linkTo } from "./hooks.ts";
import { useSelection } from "./selection.ts";
import { type Column, filterOf, type Order, sorted } from "./trial-filter.ts";

const ROW_PIXELS = 30;
const OVERSCAN = 6;

export function columnsOf(view: RunView): Column[] {
  const names = shortNames(view.parameters);
  const others = view.metrics.filter((name) => name !== view.metric);
  return [
    { id: "trial", title: "trial", name: "Trial", of: ({ id }) => id },
    { id: "state", title: "state", name: "State", of: ({ state }) => state },
    { id: "best", title: view.metric, name: `Best ${view.metric}`, of: ({ best }) => best?.value },
    ...view.parameters.map((path) => ({
      id: path,
      title: names.get(path) ?? path,
      name: path,
      of: ({ parameters }: TrialView) => parameters[path],
    })),
    { id: "epoch", title: "epoch", name: "Epochs reported", of: ({ epoch }) => epoch },
    ...others.map((name) => ({
      id: `last ${name}`,
      title: name,
      name: `${name} of the last epoch`,
      of: ({ metrics }: TrialView) => metrics[name],
    })),
    { id: "seconds", title: "time", name: "Time", of: ({ seconds }) => seconds },
    { id: "attempts", title: "attempts", name: "Attempts", of: ({ attempts }) => attempts },
    { id: "node", title: "node", name: "Nodes", of: ({ nodes }) => nodes.join(" ") || null },
    { id: "gpu", title: "GPU", name: "GPUs", of: ({ gpus }) => gpus.join(" ") || null },
    { id: "error", title: "error", name: "Error", of: ({ error }) => error },
  ];
}

function cell(column: Column, trial: TrialView): string {
  const found = column.of(trial);
  if (column.id === "seconds") return duration(trial.seconds);
  if (column.id === "epoch") return trial.epochs > 0 ? `${trial.epoch}/${trial.epochs}` : String(trial.epoch);
  if (column.id === "best" || column.id.startsWith("last ")) return metric(typeof found === "number" ? found : null);
  return value(found);
}

/** How each run's table was left: who looks at a trial comes back to where it was. */
const left = new Map<string, { order: Order; filter: string; active: string | null }>();

export function TrialsView({ data, place: { run } }: ViewProperties) {
  const { view } = data;
  const [before] = useState(left.get(run));
  const [order, setOrder] = useState<Order>(before?.order ?? { column: "best", descending: view.mode === "max" });
  const [filter, setFilter] = useState(before?.filter ?? "");
  const [active, setActive] = useState<string | null>(before?.active ?? null);
  left.set(run, { order, filter, active });
  const selection = useSelection(run);
  const known = `${view.parameters} ${view.metrics} ${view.metric}`;
  const columns = useMemo(() => columnsOf(view), [known]);
  const all = useMemo(() => ranked(data), [data.view]);
  const passing = useMemo(() => all.filter(filterOf(filter, columns)), [all, filter, columns]);
  const rows = useMemo(() => sorted(passing, order, columns), [passing, order, columns]);

  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualRows(scroller, rows.length);
  const items = virtual.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const focusable = items.some(({ index }) => rows[index]?.id === active) ? active : rows[items[0]?.index ?? 0]?.id;

  /** Rows out of sight do not exist: the row comes into sight, and then gets the focus. */
  const moveTo = (index: number): void => {
    const trial = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (trial === undefined) return;
    setActive(trial.id);
    virtual.scrollToIndex(rows.indexOf(trial));
    requestAnimationFrame(() =>
      requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>('tr[tabindex="0"]')?.focus()),
    );
  };
  useEffect(() => {
    const place = rows.findIndex(({ id }) => id === before?.active);
    if (place < 0) return;
    // Who came by a link or a menu that is still there stays at that.
    const isFree = [document.body, document.getElementById("view")].includes(document.activeElement as HTMLElement);
    if (isFree) moveTo(place);
    else virtual.scrollToIndex(place);
  }, []);
  const onKey = (event: KeyboardEvent, index: number, trial: TrialView): void => {
    const page = Math.floor((scroller.current?.clientHeight ?? 300) / ROW_PIXELS) - 1;
    const moves: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: rows.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) moveTo(to);
    else if (event.key === "Enter") location.hash = linkTo({ run, view: "trial", trial: trial.id });
    else if (event.key === " ") selection.toggle(trial.id);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <div class="tools">
        <label>
          Filter{" "}
          <input
            type="search"
            value={filter}
            placeholder="state=completed val_dice>0.8 batch"
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        <span role="status">
          {filter.trim() === ""
            ? count(rows.length, "trial")
            : `${rows.length.toLocaleString("en")} of ${count(data.trials.size, "trial")}`}
        </span>
        <span>
          <a class="button" href={linkTo({ run, view: "curves" })}>
            Curves of {selection.trials.length === 0 ? "the best" : `${selection.trials.length} chosen`}
          </a>{" "}
          <button type="button" onClick={() => selection.replace([])} disabled={selection.trials.length === 0}>
            Choose none
          </button>
        </span>
        <small class="faint">Enter opens a trial, Space chooses it for the curves.</small>
      </div>
      <div class="scroller" ref={scroller}>
        <table class="trials" aria-rowcount={rows.length + 1} aria-label="Trials">
          <thead>
            <tr>
              <th aria-label="Chosen" />
              {columns.map((column) => (
                <th
                  key={column.id}
                  aria-sort={column.id !== order.column ? "none" : order.descending ? "descending" : "ascending"}
                >
                  <button
                    type="button"
                    title={column.name}
                    onClick={() =>
                      setOrder({
                        column: column.id,
                        descending:
                          order.column === column.id ? !order.descending : column.id === "best" && view.mode === "max",
                      })
                    }
                  >
                    {column.title}
                    {column.id === order.column && (order.descending ? " ▾" : " ▴")}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr class="space" style={{ height: `${above}px` }} />
            {items.map(({ index }) => {
              const trial = rows[index];
              if (trial === undefined) return null;
              return (
                <tr
                  key={trial.id}
                  aria-rowindex={index + 2}
                  aria-selected={selection.has(trial.id)}
                  tabIndex={trial.id === focusable ? 0 : -1}
                  onFocusIn={() => setActive(trial.id)}
                  onKeyDown={(event) => event.target === event.currentTarget && onKey(event, index, trial)}
                >
                  <td>
                    <input
                      type="checkbox"
                      tabIndex={-1}
                      aria-label={`Choose trial ${trial.id}`}
                      checked={selection.has(trial.id)}
                      onChange={() => selection.toggle(trial.id)}
                    />
                  </td>
                  {columns.map((column) => (
                    <td
                      key={column.id}
                      class={column.id === "state" ? `state ${trial.state}` : column.id === "error" ? "long" : ""}
                    >
                      {column.id === "trial" ? (
                        <a href={linkTo({ run, view: "trial", trial: trial.id })} tabIndex={-1}>
                          {trial.id}
                        </a>
                      ) : (
                        cell(column, trial)
                      )}
                    </td>
                  ))}
                </tr>
              );
            })}
            <tr class="space" style={{ height: `${Math.max(0, below)}px` }} />
          </tbody>
        </table>
        {rows.length === 0 && (
          <p class="faint">{data.trials.size === 0 ? "No trials yet." : "No trial passes the filter."}</p>
        )}
      </div>
    </>
  );
}

type Rows = Virtualizer<HTMLDivElement, HTMLTableRowElement>;

/** TanStack's virtualiser, drawn anew when what is in sight changes. */
function useVirtualRows(scroller: { current: HTMLDivElement | null }, rows: number): Rows {
  const [, redraw] = useState(0);
  const options: VirtualizerOptions<HTMLDivElement, HTMLTableRowElement> = {
    count: rows,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PIXELS,
    overscan: OVERSCAN,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    // The head of the table stays at the top.
    scrollPaddingStart: ROW_PIXELS,
    onChange: () => redraw((turn) => turn + 1),
  };
  const [virtual] = useState(() => new Virtualizer(options));
  virtual.setOptions(options);
  useEffect(() => virtual._didMount(), [virtual]);
  useLayoutEffect(() => virtual._willUpdate());
  return virtual;
}
