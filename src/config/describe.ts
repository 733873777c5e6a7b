/**
 * The experiment schema in words: what a field expects, which keys exist, which known name is nearest to a wrong one.
 * Read off the JSON schema that zod derives from schema.ts, so that messages and schema cannot drift apart.
 */
import { closest, distance } from "fastest-levenshtein";
import { z } from "zod";

/** The part of JSON schema (draft 2020-12) that zod's output for our schemas uses. */
export interface SchemaNode {
  type?: string | string[];
  properties?: Record<string, SchemaNode>;
  required?: string[];
  default?: unknown;
  additionalProperties?: SchemaNode | boolean;
  items?: SchemaNode;
  prefixItems?: SchemaNode[];
  anyOf?: SchemaNode[];
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  minLength?: number;
  description?: string;
  /** Ours, by `.meta()`: the expectation in words, where it can't be derived. */
  expected?: string;
}

export type FieldPath = readonly (string | number)[];

/** The JSON schema of a zod schema, as plain data. */
export function schemaNode(schema: z.ZodType): SchemaNode {
  return JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io: "output" })));
}

/** The schema of the field at `path`, or undefined if there is no such field. */
export function nodeAt(root: SchemaNode, path: FieldPath): SchemaNode | undefined {
  let node: SchemaNode | undefined = root;
  for (const key of path) {
    if (node === undefined) return undefined;
    if (typeof key === "number") node = node.prefixItems?.[key] ?? node.items;
    else if (node.properties !== undefined && Object.hasOwn(node.properties, key)) node = node.properties[key];
    else node = typeof node.additionalProperties === "object" ? node.additionalProperties : undefined;
  }
  return node;
}

/** Whether the keys of this object are the user's own (a record) rather than ours. */
export function isRecord(node: SchemaNode): boolean {
  return typeof node.additionalProperties === "object";
}

/** What a field expects, for example `a number greater than 0` or `one of "max", "min"`. */
export function expectation(node: SchemaNode): string {
  if (node.expected !== undefined) return node.expected;
  if (node.anyOf !== undefined) return anyOf(node.anyOf.map(expectation));
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum !== undefined) {
    const values = node.enum.map((value) => JSON.stringify(value));
    return values.length === 1 ? String(values[0]) : `one of ${values.join(", ")}`;
  }
  if (Array.isArray(node.type)) return anyOf(node.type.map((type) => expectation({ type })));
  switch (node.type) {
    case "integer":
    case "number":
      return numberExpectation(node);
    case "boolean":
      return "true or false";
    case "string":
      return node.minLength === 1 ? "a text that is not empty" : "a text";
    case "array":
      return node.minItems === 1 ? "a list of at least one value" : "a list";
    case "object":
      return "a section of keys and values";
    default:
      return "a value";
  }
}

function anyOf(parts: string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} or ${parts.at(-1)}`;
}

function numberExpectation(node: SchemaNode): string {
  // Zod bounds every integer by the safe ones, which is not worth a word.
  const minimum = node.minimum === Number.MIN_SAFE_INTEGER ? undefined : node.minimum;
  const maximum = node.maximum === Number.MAX_SAFE_INTEGER ? undefined : node.maximum;
  const kind = node.type === "integer" ? "a whole number" : "a number";
  if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`;
  const bounds = [
    node.exclusiveMinimum === undefined ? "" : `greater than ${node.exclusiveMinimum}`,
    minimum === undefined ? "" : `of at least ${minimum}`,
    node.exclusiveMaximum === undefined ? "" : `less than ${node.exclusiveMaximum}`,
    maximum === undefined ? "" : `of at most ${maximum}`,
  ].filter((bound) => bound !== "");
  return bounds.length === 0 ? kind : `${kind} ${bounds.join(" and ")}`;
}

/** All paths of fields that hold a value rather than a section, with dots, for example `train.learning_rate`. */
export function leafPaths(root: SchemaNode, prefix = ""): string[] {
  return Object.entries(root.properties ?? {}).flatMap(([key, node]) =>
    node.properties === undefined ? [prefix + key] : leafPaths(node, `${prefix}${key}.`),
  );
}

/** The known name nearest to `name`, if it is near enough to be what was meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const best = closest(name, known);
  return distance(name, best) <= Math.max(2, Math.floor(name.length / 3)) ? best : undefined;
}

/** As {@link nearest} for a path with dots; a path whose last part equals a known one's is near, too. */
export function nearestPath(path: string, known: readonly string[]): string | undefined {
  const last = lastPart(path);
  return (
    known.find((candidate) => lastPart(candidate) === last) ?? nearest(path, known) ?? nearestByLastPart(last, known)
  );
}

function nearestByLastPart(last: string, known: readonly string[]): string | undefined {
  const part = nearest(last, known.map(lastPart));
  return part === undefined ? undefined : known.find((candidate) => lastPart(candidate) === part);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** A value as a message shows it: JSON, cut to 60 characters. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
