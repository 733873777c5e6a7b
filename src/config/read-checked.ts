/** Configuration files other than experiments: read, and checked against their schema. */
import type { z } from "zod";
import { DistmisError } from "../errors/index.ts";
import { schemaNode } from "./describe.ts";
import { readDocument } from "./document.ts";
import { problemsOf, throwProblems } from "./problems.ts";

/**
 * Reads a YAML or JSON file that `schema` describes.
 * @throws DistmisError FILE_UNUSABLE, or CONFIG_INVALID with every problem on a line of its own: file, line, field, what was
 * expected, what was found
 */
export async function readChecked<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const document = await readDocument(file);
  // An empty file is an empty section.
  const data = document.data ?? {};
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throwProblems(problemsOf(parsed.error, data, schemaNode(schema)), (path) => {
    const line = document.lineOf(path);
    return line === undefined ? file : `${file}:${line}`;
  });
  throw parsed.error;
}

/**
 * Checks what came from the command line.
 * @param data only what was given
 * @param option how a field is called there
 * @throws DistmisError USAGE with every problem on a line of its own
 */
export function checkGiven<T>(
  data: Record<string, unknown>,
  schema: z.ZodType<T>,
  option: (field: string) => string,
): T {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const problems = problemsOf(parsed.error, data, schemaNode(schema));
  throw new DistmisError(
    "USAGE",
    problems.map(({ path: [field], message }) => `${option(String(field))}: ${message}`).join("\n"),
  );
}
