/** One trial: what it is, how it went, what it printed. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { duration, metric, moment, ranked, value } from "../charts/index.ts";
import type { LogView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { linkTo, useSource } from "./hooks.ts";
import { useSelection } from "./selection.ts";

export function TrialView({ data, place: { run, trial: id } }: ViewProperties) {
  const trial = data.trials.get(id);
  const selection = useSelection(run);
  if (trial === undefined) return <p class="faint">This run has no trial {id}.</p>;
  const order = ranked(data);
  const place = order.findIndex((each) => each.id === id);
  const attempts = data.attempts.filter((attempt) => attempt.trial === id);
  const neighbour = (step: number) => {
    const other = order[place + step];
    return other === undefined ? null : (
      <a href={linkTo({ run, view: "trial", trial: other.id })}>
        {step < 0 ? "← better" : "worse →"} ({other.id})
      </a>
    );
  };
  return (
    <>
      <h2>
        Trial {id} <span class={`state ${trial.state}`}>{trial.state}</span>
      </h2>
      <p class="tools">
        <span>
          Place {place + 1} of {order.length}
        </span>
        {neighbour(-1)}
        {neighbour(1)}
        <button type="button" aria-pressed={selection.has(id)} onClick={() => selection.toggle(id)}>
          {selection.has(id) ? "Chosen for the curves" : "Choose for the curves"}
        </button>
        <a href={linkTo({ run, view: "segmentations", trial: id })}>Segmentations</a>
      </p>
      {trial.error !== null && <p class="trouble">{trial.error}</p>}
      <div class="columns">
        <Facts title="Parameters" facts={Object.entries(trial.parameters).map(([name, each]) => [name, value(each)])} />
        <Facts
          title="Metrics"
          facts={[
            [
              `best ${data.view.metric}`,
              `${metric(trial.best?.value)}${trial.best ? ` in epoch ${trial.best.epoch}` : ""}`,
            ],
            ["epochs", trial.epochs > 0 ? `${trial.epoch} of ${trial.epochs}` : String(trial.epoch)],
            // Trials of distmis hand the best value back themselves.
            ...Object.entries(trial.metrics)
              .filter(([name]) => name !== `best_${data.view.metric}`)
              .map(([name, each]) => [name, metric(each)] as [string, string]),
            ["time", duration(trial.seconds)],
          ]}
        />
      </div>
      <h3>Attempts</h3>
      <table class="plain">
        <thead>
          <tr>
            <th>No.</th>
            <th>Where</th>
            <th>Start</th>
            <th>Time</th>
            <th>End</th>
          </tr>
        </thead>
        <tbody>
          {attempts.map((attempt) => (
            <tr key={attempt.start}>
              <th scope="row">{attempt.attempt}</th>
              <td>{attempt.places.map(({ node, gpu }) => (gpu === null ? node : `${node} GPU ${gpu}`)).join(", ")}</td>
              <td>{moment(attempt.start)}</td>
              <td>{duration(((attempt.end ?? data.view.lastAt) - attempt.start) / 1000)}</td>
              <td>
                {attempt.outcome} <small>{attempt.error}</small>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Log run={run} trial={id} running={trial.state === "running"} />
    </>
  );
}

function Facts({ title, facts }: { title: string; facts: [string, string][] }) {
  return (
    <section>
      <h3>{title}</h3>
      <table class="plain">
        <tbody>
          {facts.map(([name, text]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const LOG_MILLISECONDS = 1_000;
/** The page keeps so many characters; the file has them all. */
const MOST_CHARACTERS = 2_000_000;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

function Log({ run, trial, running }: { run: string; trial: string; running: boolean }) {
  const { log, state } = useSource();
  const { generation } = state;
  const [rank, setRank] = useState(0);
  const [seen, setSeen] = useState<(LogView & { all: string }) | null>(null);
  const [error, setError] = useState<string | null>(null);
  const box = useRef<HTMLPreElement>(null);
  /** What was read of each replica's log: it is read on from there. */
  const read = useRef(new Map<number, LogView & { all: string }>());
  useEffect(() => {
    if (log === null) return;
    let current = true;
    let timer = 0;
    const readOn = async (): Promise<void> => {
      try {
        const known = read.current.get(rank);
        const piece = await log(run, trial, rank, known?.to ?? null);
        if (!current) return;
        // A log that is shorter than it was is another one.
        if (known !== undefined && piece.size < known.to) {
          read.current.delete(rank);
          return readOn();
        }
        const before = known ?? { from: piece.from, all: "" };
        const whole: string = before.all + piece.text;
        const cut = Math.max(0, whole.length - MOST_CHARACTERS);
        const now = { ...piece, from: before.from + bytesOf(whole.slice(0, cut)), all: whole.slice(cut) };
        read.current.set(rank, now);
        setSeen(now);
        setError(null);
        if (piece.to < piece.size) return readOn();
      } catch (failure) {
        if (current) setError(failure instanceof Error ? failure.message : String(failure));
      }
      if (current && running) timer = window.setTimeout(readOn, LOG_MILLISECONDS);
    };
    void readOn();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [log, run, trial, rank, running, generation]);
  /** Who reads further up is left there. */
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current !== null && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [seen]);
  const onScroll = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }: { currentTarget: HTMLElement }) => {
    atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
  };
  if (log === null) return null;
  return (
    <>
      <h3>
        Log{" "}
        {(seen?.ranks.length ?? 0) > 1 && (
          <label>
            of replica{" "}
            <select value={rank} onChange={(event) => setRank(Number(event.currentTarget.value))}>
              {seen?.ranks.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
        )}
      </h3>
      {error !== null && <p class="trouble">{error}</p>}
      {seen?.all === "" && <p class="faint">This trial has printed nothing.</p>}
      {seen !== null && seen.all !== "" && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
        <pre class="log" ref={box} tabIndex={0} onScroll={onScroll}>
          {seen.from > 0 && `(${seen.from} bytes before this are in the file)\n`}
          {seen.all}
        </pre>
      )}
    </>
  );
}
