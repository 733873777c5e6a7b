/** What is wrong with an experiment, collected so that one run of the command shows all of it. */
import type { z } from "zod";
import { DistmisError } from "../errors/index.ts";
import { expectation, type FieldPath, isRecord, nearest, nodeAt, type SchemaNode, shown } from "./describe.ts";

export interface Problem {
  /** Where, from the root of the file; empty for the whole. */
  path: FieldPath;
  /** What is expected and what was found. */
  message: string;
}

/** Zod's issues in our words. `raw` is the data that was validated, `root` the JSON schema of the same schema. */
export function problemsOf(error: z.ZodError, raw: unknown, root: SchemaNode): Problem[] {
  const problems: Problem[] = [];
  // Keys that are missing because they are misspelt.
  const suggested = new Set<string>();
  for (const issue of error.issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const path = fieldPath(issue.path);
    for (const key of issue.keys) {
      const known = Object.keys(nodeAt(root, path)?.properties ?? {});
      const guess = nearest(key, known);
      if (guess !== undefined) suggested.add([...path, guess].join("."));
      problems.push({
        path: [...path, key],
        message: `unknown key; ${guess === undefined ? `expected one of ${known.join(", ")}` : `did you mean ${guess}?`}`,
      });
    }
  }
  for (const issue of error.issues) {
    if (issue.code === "unrecognized_keys") continue;
    const path = fieldPath(issue.path);
    const found = valueAt(raw, path);
    // A misspelt key is already told; that the right one is missing follows from it.
    if (found === undefined && suggested.has(path.join("."))) continue;
    const node = nodeAt(root, path);
    const expected = node === undefined ? issue.message : `expected ${expectation(node)}`;
    problems.push({ path, message: `${expected}, found ${shown(found)}` });
  }
  return problems;
}

function fieldPath(path: readonly PropertyKey[]): FieldPath {
  return path.map((key) => (typeof key === "symbol" ? String(key) : key));
}

/** The value at `path` of plain data, or undefined. */
export function valueAt(data: unknown, path: FieldPath): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

/** Sets the value at `path`, making sections on the way; replaces what is not a section. */
export function setValue(data: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let section = data;
  for (const key of path.slice(0, -1)) {
    const next = Object.hasOwn(section, key) ? section[key] : undefined;
    const child: Record<string, unknown> = isPlainObject(next) ? next : {};
    section[key] = child;
    section = child;
  }
  const last = path.at(-1);
  if (last !== undefined) section[last] = value;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The keys that a path with dots means: keys of records (search.space, resources.custom, ...) may hold dots themselves.
 * Undefined if the schema has no such field.
 */
export function splitPath(root: SchemaNode, path: string): string[] | undefined {
  const parts = path.split(".");
  if (parts.some((part) => part === "")) return undefined;
  const keys: string[] = [];
  let node: SchemaNode | undefined = root;
  while (parts.length > 0) {
    if (isRecord(node)) {
      const child: SchemaNode = typeof node.additionalProperties === "object" ? node.additionalProperties : {};
      // Values without a schema (trainer.parameters) may be sections; all others are one value under one key.
      if (Object.keys(child).length === 0) return [...keys, ...parts];
      if (child.properties === undefined) return [...keys, parts.join(".")];
      const last = parts.at(-1) ?? "";
      return Object.hasOwn(child.properties, last) && parts.length > 1
        ? [...keys, parts.slice(0, -1).join("."), last]
        : [...keys, parts.join(".")];
    }
    const key = parts.shift() ?? "";
    if (node.properties === undefined || !Object.hasOwn(node.properties, key)) return undefined;
    keys.push(key);
    node = node.properties[key];
    if (node === undefined) return undefined;
  }
  return keys;
}

/** Throws CONFIG_INVALID with all problems, one a line, if there are any. `where` is the prefix of each line. */
export function throwProblems(problems: readonly Problem[], where: (path: FieldPath) => string): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ path, message }) => {
    const field = path
      .map((key, index) => (typeof key === "number" ? `[${key}]` : index === 0 ? key : `.${key}`))
      .join("");
    return `${where(path)}: ${field === "" ? "" : `${field}: `}${message}`;
  });
  throw new DistmisError("CONFIG_INVALID", lines.join("\n"));
}
