import { DistmisError } from "../errors/index.ts";

/** Errors: USAGE unless the option's value is a whole number of at least 0, or not given. */
export function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0)) return;
  throw new DistmisError("USAGE", `--${name}: expected a whole number of at least 0, found ${value}`);
}
