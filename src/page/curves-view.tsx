/** Metrics by epoch. */
import { useMemo, useState } from "preact/hooks";
import { type CurveLine, count, curvesOption, metric as formatMetric, parameters, ranked } from "../charts/index.ts";
import type { CurveView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { Chart } from "./chart.tsx";
import { linkTo, useAnswer, useColours, usePageState, useSource } from "./hooks.ts";
import { useSelection } from "./selection.ts";
import type { RunData } from "./source.ts";

const SHOWN_UNASKED = 10;
const MOST_SHOWN = 60;

interface Line extends CurveLine {
  run: string;
  words: string;
}

export function CurvesView({ data, place: { run } }: ViewProperties) {
  const { runs } = usePageState();
  const colours = useColours();
  const [others, setOthers] = useState<readonly string[]>([]);
  const [metric, setMetric] = useState(data.view.metric);
  const [smoothing, setSmoothing] = useState(0);
  const [logY, setLogY] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  /** Whose values stand in the legend; null: the last one, also when there is a newer one. */
  const [at, setAt] = useState<number | null>(null);
  const selection = useSelection(run);
  const shown = [run, ...others].flatMap((id) => {
    const each = runs.get(id);
    return each === undefined ? [] : [{ id, data: each, trials: wanted(each, id === run ? selection.trials : []) }];
  });
  const source = useSource();
  const news = shown
    .map(
      ({ id, data: { trials: all }, trials }) => `${id}:${trials.map((trial) => `${trial}@${all.get(trial)?.epoch}`)}`,
    )
    .join(" ");
  const answer = useAnswer(
    () => Promise.all(shown.map(async ({ id, trials }) => ({ id, curves: await source.curves(id, trials) }))),
    [source, news],
  );
  const lines = useMemo(() => {
    const found = (answer.value ?? []).flatMap(({ id, curves }) => curves.map((curve) => ({ id, curve })));
    return found.map(({ id, curve }, index): Line => {
      const of = runs.get(id);
      const prefix = others.length > 0 ? `${of?.view.dir.split("/").at(-1)} ` : "";
      const colour = colours.series[index % colours.series.length] ?? colours.accent;
      const words = parameters(of?.trials.get(curve.trial)?.parameters ?? {});
      const dashed = index >= colours.series.length;
      return { key: `${id}/${curve.trial}`, name: `${prefix}${curve.trial}`, run: id, curve, words, colour, dashed };
    });
  }, [answer.value, colours, others]);
  const names = [...new Set(shown.flatMap(({ data: each }) => each.view.metrics))];
  const option = useMemo(
    () =>
      curvesOption(
        lines.filter(({ key }) => !hidden.has(key)),
        { metric, smoothing, logY, colours },
      ),
    [lines, hidden, metric, smoothing, logY, colours],
  );
  const last = lines.reduce((most, { curve }) => Math.max(most, curve.epochs.at(-1) ?? 0), 0);
  const epoch = Math.min(at ?? last, last);
  const toggle = (key: string): void => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    setHidden(next);
  };
  return (
    <>
      <div class="tools">
        <label>
          Metric{" "}
          <select value={metric} onChange={(event) => setMetric(event.currentTarget.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          Smoothing{" "}
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing}
            onInput={(event) => setSmoothing(Number(event.currentTarget.value))}
          />{" "}
          <output>{smoothing.toFixed(2)}</output>
        </label>
        <label>
          <input type="checkbox" checked={logY} onChange={(event) => setLogY(event.currentTarget.checked)} /> Log axis
        </label>
        {[...runs].map(
          ([id, each]) =>
            id !== run && (
              <label key={id}>
                <input
                  type="checkbox"
                  checked={others.includes(id)}
                  onChange={(event) =>
                    setOthers(event.currentTarget.checked ? [...others, id] : others.filter((other) => other !== id))
                  }
                />{" "}
                with {each.view.dir.split("/").at(-1)}
              </label>
            ),
        )}
      </div>
      {answer.error !== null && <p class="trouble">{answer.error}</p>}
      <div class="with-legend">
        <Chart option={option} height={480} label={`${metric} by epoch of ${count(lines.length, "trial")}`} zoom />
        <div class="legend">
          <p class="faint">
            {selection.trials.length === 0
              ? `The best ${SHOWN_UNASKED} and those that run`
              : selection.trials.length > MOST_SHOWN
                ? `The first ${MOST_SHOWN} of ${selection.trials.length} chosen`
                : `${selection.trials.length} chosen`}
            ; <a href={linkTo({ run, view: "trials" })}>choose others</a>
          </p>
          <div>
            <button type="button" onClick={() => setHidden(new Set())}>
              Show all
            </button>{" "}
            <button type="button" onClick={() => setHidden(new Set(lines.map(({ key }) => key)))}>
              Hide all
            </button>
          </div>
          {last > 1 && (
            <label>
              Values of epoch{" "}
              <input
                type="range"
                min="1"
                max={last}
                value={epoch}
                onInput={({ currentTarget: { valueAsNumber } }) => setAt(valueAsNumber === last ? null : valueAsNumber)}
              />{" "}
              <output>{epoch}</output>
            </label>
          )}
          <ul>
            {lines.map(({ key, name, words, colour, curve }) => (
              <li key={key}>
                <button type="button" aria-pressed={!hidden.has(key)} onClick={() => toggle(key)} title={words}>
                  <i style={{ background: colour }} /> {name} <b>{formatMetric(valueAt(curve, metric, epoch))}</b>{" "}
                  <span class="faint">{words}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      </div>
    </>
  );
}

/** What it was in that epoch, or had been before; null where it was not reported. */
function valueAt({ epochs, metrics }: CurveView, metric: string, epoch: number): number | null {
  return metrics[metric]?.findLast((value, at) => value !== null && (epochs[at] ?? 0) <= epoch) ?? null;
}

/** The chosen trials, or the best ones and those that run. */
function wanted(data: RunData, chosen: readonly string[]): string[] {
  if (chosen.length > 0) return chosen.slice(0, MOST_SHOWN);
  const best = ranked(data)
    .filter((trial) => trial.best !== null)
    .slice(0, SHOWN_UNASKED);
  const running = [...data.trials.values()].filter(({ state, epoch }) => state === "running" && epoch > 0);
  return [...new Set([...best, ...running].map(({ id }) => id))].slice(0, MOST_SHOWN);
}
