/** Whether what a trial is told fits into one message to its trainer. */
import { axisValues } from "./axis.ts";
import { isPlainObject, type Problem } from "./problems.ts";
import type { Experiment } from "./schema.ts";
import { fieldKeys } from "./space.ts";

/** Bytes of JSON. A message has 16 MiB at most (src/wire), in which there is also what only the run knows: paths, addresses. */
const MAX_BYTES = 15 * 2 ** 20;

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? "");
const inMegabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** Names the field that is the largest, if the largest configuration that a trial can have is too large. */
export function checkBytes(experiment: Experiment): Problem[] {
  const { search, failure: _failure, ...config } = experiment;
  const searched = Object.entries(search.space).map(([path, axis]) => {
    const values = axisValues(axis);
    const named = values !== undefined && "values" in values ? values.values : [];
    return { path: ["search", "space", path], keys: fieldKeys(path), bytes: Math.max(0, ...named.map(bytesOf)) };
  });
  const total = searched.reduce((sum, { bytes }) => sum + bytes, bytesOf(config));
  if (total <= MAX_BYTES) return [];
  const { path, bytes } = [...searched, ...leaves(config, [])].reduce((a, b) => (b.bytes > a.bytes ? b : a));
  return [
    {
      path,
      message: `expected configurations of at most ${inMegabytes(MAX_BYTES)} as JSON, found ${inMegabytes(total)}, of which this has ${inMegabytes(bytes)}; put it in a file that all nodes see, and its path here`,
    },
  ];
}

function leaves(value: unknown, path: string[]): { path: string[]; bytes: number }[] {
  if (!isPlainObject(value)) return [{ path, bytes: bytesOf(value) }];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, [...path, key]));
}
