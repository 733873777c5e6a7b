import type { ViewProperties } from "./app.tsx";

export function SegmentationsView(_: ViewProperties) {
  return <p>soon</p>;
}
