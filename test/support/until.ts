import { setTimeout as delay } from "node:timers/promises";

/** Waits until `condition` gives something other than false, null or undefined, and returns it. */
export async function until<T>(
  what: string | (() => string),
  condition: () => T | Promise<T>,
  deadlineMs = 10_000,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== null && value !== undefined) {
      return value as Exclude<T, false | null | undefined>;
    }
    if (performance.now() > end)
      throw new Error(`not within ${deadlineMs} ms: ${typeof what === "string" ? what : what()}`);
    await delay(20);
  }
}

/** Waits until `value` has been the same for half a second, and returns it. */
export async function untilSteady<T>(what: string, value: () => T, deadlineMs = 10_000): Promise<T> {
  let last = value();
  let since = performance.now();
  await until(
    what,
    () => {
      const now = value();
      if (now !== last) since = performance.now();
      last = now;
      return performance.now() - since > 500 || null;
    },
    deadlineMs,
  );
  return last;
}
