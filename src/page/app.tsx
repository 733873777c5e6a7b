/** The frame: which run, which view, and what is wrong. */
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { moment } from "../charts/index.ts";
import type { RunView } from "../page-data/index.ts";
import { CurvesView } from "./curves-view.tsx";
import { ExperimentView } from "./experiment-view.tsx";
import { linkTo, type Place, usePageState, usePlace, useSource, VIEWS, type View } from "./hooks.ts";
import { OverviewView } from "./overview-view.tsx";
import { ParametersView } from "./parameters-view.tsx";
import { SegmentationsView } from "./segmentations-view.tsx";
import type { Connection, RunData } from "./source.ts";
import { TimelineView } from "./timeline-view.tsx";
import { TrialView } from "./trial-view.tsx";
import { TrialsView } from "./trials-view.tsx";

export interface ViewProperties {
  data: RunData;
  place: Place;
}

const COMPONENTS: Record<View, ComponentType<ViewProperties>> = {
  overview: OverviewView,
  trials: TrialsView,
  curves: CurvesView,
  parameters: ParametersView,
  timeline: TimelineView,
  segmentations: SegmentationsView,
  experiment: ExperimentView,
  trial: TrialView,
};

const TITLES: Record<View, string> = {
  overview: "Overview",
  trials: "Trials",
  curves: "Curves",
  parameters: "Parameters",
  timeline: "Timeline",
  segmentations: "Segmentations",
  experiment: "Experiment",
  trial: "Trial",
};

/** Several runs may be of one name. */
function titleOf({ name, dir }: RunView): string {
  const folder = dir.split("/").at(-1) ?? dir;
  return folder === name ? name : `${name} (${folder})`;
}

/** Under which of the views one is that has no link of its own. */
const parentOf = (view: View): View | null => (view === "trial" ? "trials" : null);

const CONNECTIONS: Record<Connection, string> = {
  opening: "connecting",
  connected: "connected",
  lost: "The server does not answer; what is shown is as of before. It is asked again.",
  refused:
    "The server has been started again and does not know this page: open the address that it printed. Or keep its token with --token-file.",
  report: "report",
};

export function App() {
  const { connection, runs, version } = usePageState();
  const { made } = useSource();
  const asked = usePlace();
  const [first] = runs.keys();
  const place: Place = runs.has(asked.run)
    ? asked
    : { ...asked, run: first ?? "", view: asked.run === "" ? asked.view : "overview" };
  const data = runs.get(place.run);
  const Shown = COMPONENTS[place.view];
  const title = data === undefined ? "distmis" : `${data.view.name} – distmis`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  // Of what had the focus nothing may be left: the keyboard goes on where the new view begins.
  const shownBefore = useRef("");
  const shownNow = `${place.run}/${place.view}/${place.trial}`;
  useEffect(() => {
    const isLost = document.activeElement === null || document.activeElement === document.body;
    if (shownBefore.current !== "" && isLost) document.getElementById("view")?.focus({ preventScroll: true });
    if (place.run !== "") shownBefore.current = shownNow;
  }, [shownNow]);
  const isDown = connection === "lost" || connection === "refused";
  return (
    <>
      <button class="skip" type="button" onClick={() => document.getElementById("view")?.focus()}>
        Skip to the view
      </button>
      <header>
        <h1>distmis</h1>
        {runs.size > 1 ? (
          <label>
            Run{" "}
            <select
              value={place.run}
              onChange={(event) => {
                location.hash = linkTo({
                  run: event.currentTarget.value,
                  view: place.view === "trial" ? "trials" : place.view,
                });
              }}
            >
              {[...runs].map(([id, { view }]) => (
                <option key={id} value={id}>
                  {titleOf(view)}
                </option>
              ))}
            </select>
          </label>
        ) : (
          data !== undefined && <b class="run">{data.view.name}</b>
        )}
        {data !== undefined && <span class={`badge state ${data.view.state}`}>{data.view.state}</span>}
        <nav aria-label="Views">
          {VIEWS.map((view) => (
            <a
              key={view}
              href={linkTo({ run: place.run, view })}
              aria-current={view === place.view ? "page" : view === parentOf(place.view) ? "true" : undefined}
            >
              {TITLES[view]}
            </a>
          ))}
        </nav>
        <small class={`connection ${connection}`} role="status">
          {made === null
            ? isDown
              ? "offline"
              : CONNECTIONS[connection]
            : `report of ${moment(made.at)}, distmis ${made.version}`}
        </small>
      </header>
      {isDown && (
        <p class="trouble" role="alert">
          {CONNECTIONS[connection]}
        </p>
      )}
      {made !== null && made.remarks.length > 0 && (
        <p class="remarks">This report does not hold everything: {made.remarks.join("; ")}.</p>
      )}
      {data?.view.trouble != null && (
        <p class="trouble" role="alert">
          The journal can't be read to its end, what is shown is as of before: {data.view.trouble}
        </p>
      )}
      <main id="view" tabIndex={-1} data-version={version}>
        {data === undefined ? (
          <p class="faint">No run yet.</p>
        ) : (
          <Shown data={data} place={place} key={`${place.run}/${place.trial}`} />
        )}
      </main>
      <Licences />
    </>
  );
}

/** What others have written of this page, and its terms. */
function Licences() {
  const source = useSource();
  const [text, setText] = useState("");
  const show = (): void => {
    source.licences().then(setText, (error: unknown) => setText(String(error)));
  };
  return (
    <footer>
      <details onToggle={show}>
        <summary>Licences of what this page contains</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
        <pre class="licences" tabIndex={0}>
          {text}
        </pre>
      </details>
    </footer>
  );
}
