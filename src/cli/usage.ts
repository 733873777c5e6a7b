/** Wrong use of the command line, in one line. */
import { closest, distance } from "fastest-levenshtein";
import { DistmisError } from "../errors/index.ts";

/** The error for what yargs complains about. `help` is the help text of the command: its options are the known ones. */
export function usageError(message: string, help: string): DistmisError {
  const unknown = /^Unknown arguments?: (.*)$/m.exec(message)?.[1];
  if (unknown !== undefined) return new DistmisError("USAGE", describeUnknown(unknown.split(", "), help));
  const [, option, given, choices] = /Argument: (\S+), Given: "(.*)", Choices: (.*)$/m.exec(message) ?? [];
  if (option !== undefined)
    return new DistmisError(
      "USAGE",
      `--${option} ${given}: expected ${choices?.replaceAll('"', "").replaceAll(", ", " or ")}`,
    );
  const [, without, needed] = /^Implications failed:\s+(\S+) -> (\S+)$/.exec(message) ?? [];
  if (without !== undefined) return new DistmisError("USAGE", `--${without}: needs --${needed} as well`);
  // The first line of a command's help is its usage: "distmis inspect <files..>".
  const few = /^Not enough non-option arguments/.test(message);
  const text = few ? `too few arguments; usage: ${help.split("\n", 1)[0]}` : message.split("\n").join("; ");
  return new DistmisError("USAGE", text);
}

/**
 * Refuses what yargs takes: an option given twice that is no list would come as one, and NaN for what is no number.
 * `options` are those of yargs for the command. Errors: USAGE.
 */
export function checkArguments(argv: Readonly<Record<string, unknown>>, options: unknown): true {
  const lists = typeof options === "object" && options !== null && "array" in options ? options.array : [];
  const isList = (name: string): boolean => name === "_" || (Array.isArray(lists) && lists.includes(name));
  for (const [key, value] of Object.entries(argv)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (Number.isNaN(value)) throw new DistmisError("USAGE", `--${name}: expected a number`);
    if (Array.isArray(value) && !isList(name))
      throw new DistmisError("USAGE", `--${name}: given ${value.length} times, expected once`);
  }
  return true;
}

function describeUnknown(names: string[], help: string): string {
  const what = /^\S+ <command>$/m.test(help) ? "command or option" : "argument";
  const known = [...help.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].flatMap(([, name]) => name ?? []);
  // Yargs complains of --data-dir a second time as dataDir.
  const given = names.filter((name) => !names.some((other) => other !== name && camelCase(other) === name));
  return given
    .map((name) => {
      const best = known.length === 0 ? undefined : closest(name, known);
      const near = best !== undefined && distance(name, best) <= Math.max(2, Math.floor(name.length / 2));
      return `Unknown ${what}: ${name}${near ? `; did you mean --${best}?` : ""}`;
    })
    .join("; ");
}

function camelCase(name: string): string {
  return name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
