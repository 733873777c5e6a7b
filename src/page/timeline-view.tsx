import type { ViewProperties } from "./app.tsx";

export function TimelineView(_: ViewProperties) {
  return <p>soon</p>;
}
