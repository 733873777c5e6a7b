/** Numbers, times and names as people read them in a terminal. */
import stringWidth from "string-width";

/** A metric with four significant decimals, `-` for none. */
export function formatMetric(value: number | null | undefined): string {
  if (value === null || value === undefined) return "-";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : value.toFixed(size >= 100 ? 1 : 4);
}

/** `45.1 s`, `3:05`, `2:03:05`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (part: number): string => String(part).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}:${two(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** `1.2 GB`, `34.0 MB`, `512 bytes`: decimal, as disks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e3) return `${bytes} bytes`;
  const [unit, size] =
    bytes < 1e6 ? ["kB", 1e3] : bytes < 1e9 ? ["MB", 1e6] : bytes < 1e12 ? ["GB", 1e9] : ["TB", 1e12];
  return `${(bytes / Number(size)).toFixed(1)} ${unit}`;
}

/** Characters up to which a number is shown as it is. */
const LONGEST_NUMBER = 8;

/** A parameter's value: of a drawn number five digits, the files have them all; `-` for none. */
export function formatValue(value: unknown): string {
  if (value === undefined) return "-";
  const text = String(value);
  const isDrawn = typeof value === "number" && !Number.isInteger(value) && text.length > LONGEST_NUMBER;
  return isDrawn ? String(Number(value.toPrecision(5))) : text;
}

/** `learning_rate=0.001 norm=batch`, in the order of the search space. */
export function formatParameters(parameters: Readonly<Record<string, unknown>>): string {
  const names = shortNames(Object.keys(parameters));
  return Object.entries(parameters)
    .map(([path, value]) => `${names.get(path)}=${formatValue(value)}`)
    .join(" ");
}

/** The last part of each path, or the whole path where that would be ambiguous. */
export function shortNames(paths: readonly string[]): Map<string, string> {
  const last = (path: string): string => path.slice(path.lastIndexOf(".") + 1);
  const counts = new Map<string, number>();
  for (const path of paths) counts.set(last(path), (counts.get(last(path)) ?? 0) + 1);
  return new Map(paths.map((path) => [path, counts.get(last(path)) === 1 ? last(path) : path]));
}

/** Text of others (trainers, hosts, parameters) without what could steer a terminal, or turn the reading direction around. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, " ");
}

/** Columns that the text takes in a terminal. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** At most `width` columns, cut ones marked. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += widthOf(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return width < 1 ? "" : `${kept}…`;
}
