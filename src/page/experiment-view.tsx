/** The experiment file, with every default. */
import type { ViewProperties } from "./app.tsx";
import { useAnswer, useSource } from "./hooks.ts";

export function ExperimentView({ data, place: { run } }: ViewProperties) {
  const source = useSource();
  const { value, error } = useAnswer(() => source.experiment(run), [source, run, data.view.startedAt, data.view.parts]);
  return (
    <>
      <h2>experiment.yaml</h2>
      {error !== null && <p class="trouble">{error}</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <pre tabIndex={0}>{value ?? ""}</pre>
    </>
  );
}
