import type { ViewProperties } from "./app.tsx";

export function TrialView(_: ViewProperties) {
  return <p>soon</p>;
}
