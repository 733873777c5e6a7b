/** Collects what trials leave to V8 before it thinks of it: a process of gigabytes must not grow by garbage. */
import v8 from "node:v8";
import vm from "node:vm";

/** V8 alone would let a heap of 50 MB double before it collects; a collection takes about 20 ms. */
const GARBAGE_BYTES = 10e6;

v8.setFlagsFromString("--expose-gc");
const collect: () => void = vm.runInNewContext("gc");

let floor = 0;

/** Buffers that threads share are in the last number alone. */
function held(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

export function collectGarbage(): void {
  collect();
  floor = held();
}

/** To be called between two trials. */
export function collectGarbageIfMuch(): void {
  if (floor === 0 || held() - floor >= GARBAGE_BYTES) collectGarbage();
}
