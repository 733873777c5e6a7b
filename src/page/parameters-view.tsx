import type { ViewProperties } from "./app.tsx";

export function ParametersView(_: ViewProperties) {
  return <p>soon</p>;
}
