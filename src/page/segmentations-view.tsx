/** What the networks see: validation cases with their truth, and what a trial made of them from epoch to epoch. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { metric, ranked } from "../charts/index.ts";
import type { PreviewsView } from "../page-data/index.ts";
import type { ViewProperties } from "./app.tsx";
import { linkTo, useAnswer, useSource } from "./hooks.ts";
import type { ShowAs, Viewer } from "./niivue.ts";
import type { Volume } from "./source.ts";

const SHOW_AS: ShowAs[] = ["planes", "axial", "coronal", "sagittal", "render"];
const MOST_LISTED = 200;
const MOVES: Record<string, [number, number, number]> = {
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
  ArrowDown: [0, -1, 0],
  ArrowUp: [0, 1, 0],
  PageDown: [0, 0, -1],
  PageUp: [0, 0, 1],
};

export function SegmentationsView({ data, place: { run, trial: asked } }: ViewProperties) {
  const source = useSource();
  const order = ranked(data);
  // The best one of now: who looks at it is not to look at another one of a sudden.
  const best = useRef("");
  best.current ||= order[0]?.id ?? "";
  const id = asked || source.onlyPreviewed || best.current;
  const trial = data.trials.get(id);
  const { value: view, error } = useAnswer(() => source.previews(run, id), [source, run, id, trial?.epoch]);
  if (trial === undefined)
    return <p class="faint">{asked === "" ? "No trial yet." : `This run has no trial ${asked}.`}</p>;
  return (
    <>
      <div class="tools">
        <label>
          Trial{" "}
          <select
            value={id}
            onChange={(event) => {
              location.hash = linkTo({ run, view: "segmentations", trial: event.currentTarget.value });
            }}
          >
            {order.slice(0, MOST_LISTED).map((each) => (
              <option key={each.id} value={each.id}>
                {each.id} ({metric(each.best?.value)})
              </option>
            ))}
            {!order.slice(0, MOST_LISTED).includes(trial) && <option value={id}>{id}</option>}
          </select>
        </label>
        <a href={linkTo({ run, view: "trial", trial: id })}>About this trial</a>
      </div>
      {error !== null && <p class="trouble">{error}</p>}
      {view?.missing != null && <p class={view.epochs.length === 0 ? "faint" : "trouble"}>{view.missing}</p>}
      {view !== null && view.epochs.length > 0 && <Cases run={run} trial={id} view={view} />}
    </>
  );
}

function Cases({ run, trial, view }: { run: string; trial: string; view: PreviewsView }) {
  const source = useSource();
  const [index, setIndex] = useState(view.cases[0]?.index ?? 0);
  const [channel, setChannel] = useState(0);
  /** Null: the newest, also when there is a newer one. */
  const [at, setAt] = useState<number | null>(null);
  const [how, setHow] = useState<ShowAs>("planes");
  const [opacity, setOpacity] = useState({ truth: 0.6, prediction: 0.6 });
  const epochs = view.epochs.filter(({ cases }) => cases.includes(index));
  const epoch = epochs[Math.min(at ?? epochs.length - 1, epochs.length - 1)];
  const grounded = view.missing === null;
  // What of this case has been fetched: the slider goes back and forth.
  const { generation } = source.state;
  const fetched = useMemo(() => new Map<string, Promise<Volume>>(), [run, trial, index, generation]);
  const once = (key: string, get: () => Promise<Volume>): Promise<Volume> => {
    const known = fetched.get(key) ?? get();
    fetched.set(key, known);
    known.catch(() => fetched.delete(key));
    return known;
  };
  const { value: layers, error } = useAnswer(async () => {
    const number = epoch?.epoch;
    const [image, truth, prediction] = await Promise.all([
      grounded ? once(`image ${channel}`, () => source.image(run, trial, index, channel)) : null,
      grounded ? once("truth", () => source.truth(run, trial, index)) : null,
      number === undefined ? null : once(`epoch ${number}`, () => source.prediction(run, trial, index, number)),
    ]);
    return { image, truth, prediction, epoch: number ?? 0, index };
  }, [run, trial, index, channel, epoch?.epoch, grounded]);

  const canvas = useRef<HTMLCanvasElement>(null);
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  /** Of what was to be drawn last. */
  const [undrawn, setUndrawn] = useState<string | null>(null);
  const [drawn, setDrawn] = useState("");
  useEffect(() => {
    let closed = false;
    let opened: Viewer | null = null;
    void (async () => {
      const { openViewer } = await import("./niivue.ts");
      if (closed || canvas.current === null) return;
      opened = await openViewer(canvas.current);
      if (closed) opened.close();
      else setViewer(opened);
    })().catch((problem: unknown) =>
      setFailure(`the viewer needs WebGL 2, which this browser doesn't give it: ${problem}`),
    );
    return () => {
      closed = true;
      opened?.close();
    };
  }, []);
  useEffect(() => {
    if (viewer === null || layers === null) return;
    viewer.show(layers).then(
      (isShown) => {
        if (!isShown) return;
        setDrawn(`case ${layers.index} epoch ${layers.epoch}`);
        setUndrawn(null);
      },
      (problem: unknown) => setUndrawn(`case ${layers.index} epoch ${layers.epoch} can't be drawn: ${problem}`),
    );
  }, [viewer, layers]);
  useEffect(() => viewer?.showAs(how), [viewer, how]);
  useEffect(() => {
    viewer?.opacity("truth", opacity.truth);
    viewer?.opacity("prediction", opacity.prediction);
  }, [viewer, opacity]);

  // NiiVue's own keys ask for the mouse above the picture.
  const onKey = (event: KeyboardEvent): void => {
    const move = MOVES[event.key];
    if (move === undefined || viewer === null) return;
    viewer.move(...move);
    event.preventDefault();
  };
  const last = epochs.length - 1;
  return (
    <>
      <div class="tools">
        <label>
          Case{" "}
          <select value={index} onChange={(event) => setIndex(Number(event.currentTarget.value))}>
            {view.cases.map((each) => (
              <option key={each.index} value={each.index}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
        {view.channels.length > 1 && (
          <label>
            Channel{" "}
            <select value={channel} onChange={(event) => setChannel(Number(event.currentTarget.value))}>
              {view.channels.map((name, number) => (
                <option key={name} value={number}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          Epoch{" "}
          <input
            type="range"
            min="0"
            max={last}
            value={at ?? last}
            disabled={last < 1}
            onInput={(event) =>
              setAt(Number(event.currentTarget.value) === last ? null : Number(event.currentTarget.value))
            }
          />{" "}
          <output>
            {epoch?.epoch} (Dice {metric(epoch?.dice[index])})
          </output>
        </label>
        <Opacity name="Truth" layer="truth" value={opacity.truth} set={(truth) => setOpacity({ ...opacity, truth })} />
        <Opacity
          name="Prediction"
          layer="prediction"
          value={opacity.prediction}
          set={(prediction) => setOpacity({ ...opacity, prediction })}
        />
        <label>
          Show{" "}
          <select value={how} onChange={(event) => setHow(event.currentTarget.value as ShowAs)}>
            {SHOW_AS.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      </div>
      {(error ?? failure ?? undrawn) !== null && <p class="trouble">{error ?? failure ?? undrawn}</p>}
      <div class="with-legend">
        <div class="viewer">
          <canvas
            ref={canvas}
            tabIndex={0}
            data-drawn={drawn}
            aria-label={`Segmentation of ${drawn}`}
            onKeyDown={onKey}
          />
        </div>
        <div class="legend">
          <table class="plain">
            <caption>Dice of each validation case, epoch {epoch?.epoch}</caption>
            <tbody>
              {epoch?.dice.map((dice, number) => {
                const kept = view.cases.find((each) => each.index === number);
                return (
                  <tr key={number}>
                    <th scope="row">
                      {kept === undefined ? (
                        `case ${number}`
                      ) : (
                        <button type="button" aria-pressed={number === index} onClick={() => setIndex(number)}>
                          {kept.name}
                        </button>
                      )}
                    </th>
                    <td>{metric(dice)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </div>
      <p class="faint">
        {Object.entries(view.classes)
          .filter(([value]) => value !== "0")
          .map(([value, name]) => `${value}: ${name}`)
          .join(", ")}
        . Kept whenever the trial reached its best value so far. Drag to move, the wheel changes the slice; by keyboard:
        arrow keys, Page Up and Page Down.
      </p>
    </>
  );
}

function Opacity({
  name,
  layer,
  value,
  set,
}: {
  name: string;
  layer: string;
  value: number;
  set: (value: number) => void;
}) {
  return (
    <label>
      <i class={`layer ${layer}`} /> {name}{" "}
      <input
        type="range"
        min="0"
        max="1"
        step="0.05"
        value={value}
        onInput={(event) => set(Number(event.currentTarget.value))}
      />
    </label>
  );
}
