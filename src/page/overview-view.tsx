/** A run at a glance, and all runs beside each other. */
import { count, duration, metric, moment, parameters, ranked } from "../charts/index.ts";
import type { RunView, TrialStateName } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { linkTo, usePageState } from "./hooks.ts";

const ORDER: TrialStateName[] = ["completed", "pruned", "failed", "running", "waiting"];
const MOST_SHOWN = 8;

export function OverviewView({ data, place: { run } }: ViewProperties) {
  const { runs } = usePageState();
  const { view } = data;
  const { best } = view;
  const top = ranked(data)
    .filter((trial) => trial.best !== null)
    .slice(0, MOST_SHOWN);
  const running = [...data.trials.values()].filter(({ state }) => state === "running");
  const failed = [...data.trials.values()].filter(({ state }) => state === "failed");
  return (
    <>
      {runs.size > 1 && <AllRuns runs={[...runs.values()].map((each) => each.view)} />}
      <h2>{view.name}</h2>
      <dl class="tiles">
        <Tile name="State" value={view.state}>
          {view.limit !== null
            ? `ended by ${view.limit}`
            : view.owner
              ? `process ${view.owner.pid} on ${view.owner.host}`
              : ""}
        </Tile>
        <Tile name={`Best ${view.metric}`} value={metric(best?.value)}>
          {best && (
            <>
              <a href={linkTo({ run, view: "trial", trial: best.trial })}>trial {best.trial}</a>, epoch {best.epoch}
            </>
          )}
        </Tile>
        <Tile
          name="Trials ended"
          value={`${ended(view)}${view.expected === null ? "" : ` of ${view.expected.toLocaleString("en")}`}`}
        >
          {count(view.counts.running, "trial")} running
        </Tile>
        <Tile name="Time remaining" value={view.state === "finished" ? "none" : duration(view.secondsLeft)}>
          {view.secondsLeft === null
            ? view.state === "interrupted"
              ? "nobody works on it"
              : "not known yet"
            : view.state === "finished"
              ? ""
              : "by the pace of its trials and the room that it has"}
        </Tile>
        <Tile name="Time taken" value={duration(view.wallSeconds)}>
          {duration(view.gpuSeconds)} of GPU time
        </Tile>
        <Tile name="Started" value={moment(view.startedAt)}>
          last news {moment(view.lastAt)}
        </Tile>
      </dl>
      <Progress view={view} />
      <div class="columns">
        <section>
          <h3>Best trials</h3>
          <ol class="list">
            {top.map((trial) => (
              <li key={trial.id}>
                <a href={linkTo({ run, view: "trial", trial: trial.id })}>{trial.id}</a>{" "}
                <b>{metric(trial.best?.value)}</b> <span class="faint">{parameters(trial.parameters)}</span>
              </li>
            ))}
          </ol>
          {top.length === 0 && <p class="faint">No trial has reported {view.metric} yet.</p>}
        </section>
        <section>
          <h3>Running now</h3>
          <ul class="list">
            {running.slice(0, MOST_SHOWN).map((trial) => (
              <li key={trial.id}>
                <a href={linkTo({ run, view: "trial", trial: trial.id })}>{trial.id}</a> epoch {trial.epoch}
                {trial.epochs > 0 && ` of ${trial.epochs}`}{" "}
                <span class="faint">
                  {trial.nodes.join(", ")} {trial.gpus.length > 0 && `GPU ${trial.gpus.join(", ")}`}
                </span>
              </li>
            ))}
          </ul>
          {running.length === 0 && <p class="faint">Nothing.</p>}
          {running.length > MOST_SHOWN && <p class="faint">and {running.length - MOST_SHOWN} more</p>}
        </section>
        {failed.length > 0 && (
          <section>
            <h3>Failed</h3>
            <ul class="list">
              {failed.slice(0, MOST_SHOWN).map((trial) => (
                <li key={trial.id}>
                  <a href={linkTo({ run, view: "trial", trial: trial.id })}>{trial.id}</a>{" "}
                  <span class="faint">{trial.error}</span>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
      <p class="faint path">{view.dir}</p>
    </>
  );
}

function ended({ counts }: RunView): string {
  return (counts.completed + counts.pruned + counts.failed).toLocaleString("en");
}

function Tile({ name, value, children }: { name: string; value: string; children?: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <b>{value}</b>
        <small>{children as string}</small>
      </dd>
    </div>
  );
}

function Progress({ view: { counts, expected } }: { view: RunView }) {
  const known = ORDER.reduce((sum, state) => sum + counts[state], 0);
  const total = Math.max(1, known, expected ?? 0);
  const words = ORDER.filter((state) => counts[state] > 0).map(
    (state) => `${counts[state].toLocaleString("en")} ${state}`,
  );
  return (
    <div class="progress">
      <div class="bar" role="img" aria-label={words.join(", ") || "no trials"}>
        {ORDER.map((state) => (
          <span key={state} class={`state-${state}`} style={{ width: `${(100 * counts[state]) / total}%` }} />
        ))}
      </div>
      <p>
        {ORDER.filter((state) => counts[state] > 0).map((state) => (
          <span key={state} class="key">
            <i class={`state-${state}`} /> {counts[state].toLocaleString("en")} {state}
          </span>
        ))}
      </p>
    </div>
  );
}

function AllRuns({ runs }: { runs: RunView[] }) {
  return (
    <table class="plain">
      <caption>Runs</caption>
      <thead>
        <tr>
          <th>Run</th>
          <th>State</th>
          <th>Ended</th>
          <th>Running</th>
          <th>Best</th>
          <th>Remaining</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((view) => (
          <tr key={view.id}>
            <th scope="row">
              <a href={linkTo({ run: view.id, view: "overview" })}>{view.name}</a>{" "}
              <small class="faint">{view.dir}</small>
            </th>
            <td>{view.trouble === null ? view.state : "journal broken"}</td>
            <td>
              {ended(view)}
              {view.expected !== null && ` of ${view.expected.toLocaleString("en")}`}
            </td>
            <td>{view.counts.running}</td>
            <td>
              {metric(view.best?.value)} <small class="faint">{view.metric}</small>
            </td>
            <td>{view.state === "finished" ? "none" : duration(view.secondsLeft)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
