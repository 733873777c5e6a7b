/** Numbers, times and names as people read them. */

export function metric(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : value.toFixed(size >= 100 ? 1 : 4);
}

/** `45 s`, `3 min 05 s`, `2 h 03 min`, `4 d 02 h`. */
export function duration(seconds: number | null): string {
  if (seconds === null) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const two = (part: number): string => String(Math.floor(part)).padStart(2, "0");
  if (whole < 60) return `${seconds < 10 ? seconds.toFixed(1) : whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${two((whole % 86400) / 3600)} h`;
}

/** `2026-11-20 08:00:00` by the reader's clock. */
export function moment(time: number): string {
  return time === 0 ? "–" : new Date(time).toLocaleString("sv-SE");
}

export function value(given: unknown): string {
  if (given === undefined || given === null) return "–";
  const text = String(given);
  return typeof given === "number" && text.length > 8 ? String(Number(given.toPrecision(5))) : text;
}

/** The last part of each path, or the whole path where that would be ambiguous. */
export function shortNames(paths: readonly string[]): Map<string, string> {
  const last = (path: string): string => path.slice(path.lastIndexOf(".") + 1);
  return new Map(
    paths.map((path) => [
      path,
      paths.some((other) => other !== path && last(other) === last(path)) ? path : last(path),
    ]),
  );
}

export function parameters(given: Record<string, unknown>): string {
  const names = shortNames(Object.keys(given));
  return Object.entries(given)
    .map(([path, each]) => `${names.get(path)}=${value(each)}`)
    .join(" ");
}

export function count(number: number, what: string): string {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}
