/** The configuration reference, docs/configuration.md, from the schema itself: `npm run docs` writes it. */
import { expectation, isRecord, type SchemaNode, schemaNode } from "./describe.ts";
import { experimentSchema } from "./schema.ts";

interface Row {
  path: string;
  expected: string;
  fallback: string;
  description: string;
}

const INTRODUCTION = `# Configuration

An experiment file, YAML or JSON. Unknown keys are refused, and every message names the place in the file. Fields of \`data\`,
\`model\`, \`train\` and \`trainer.parameters\` can be searched, and \`resources.replicas\`: name them in \`search.space\`.
\`--set PATH=VALUE\` overrides one.

This page is made from the schema (\`src/config/schema.ts\`) by \`npm run docs\`.
`;

/** Cells of a Markdown table must not hold its separator. */
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function rowsOf(node: SchemaNode, path: string, required: boolean): Row[] {
  const inner = Object.entries(node.properties ?? {});
  if (inner.length > 0 && !isRecord(node)) {
    const own = node.description === undefined ? [] : [rowOf(node, path, required)];
    return [
      ...own,
      ...inner.flatMap(([key, child]) => rowsOf(child, `${path}.${key}`, node.required?.includes(key) ?? false)),
    ];
  }
  return [rowOf(node, path, required)];
}

function rowOf(node: SchemaNode, path: string, required: boolean): Row {
  const isSection = node.properties !== undefined && !isRecord(node);
  return {
    path,
    expected: isSection ? "a section" : expectation(node),
    fallback: node.default === undefined ? (required ? "required" : "none") : `\`${JSON.stringify(node.default)}\``,
    description: node.description ?? "",
  };
}

const table = (rows: readonly Row[]): string =>
  [
    "| field | expected | default | what it is |",
    "| --- | --- | --- | --- |",
    ...rows.map(
      ({ path, expected, fallback, description }) =>
        `| \`${path}\` | ${cell(expected)} | ${cell(fallback)} | ${cell(description)} |`,
    ),
  ].join("\n");

/** The page as Markdown. */
export function configurationReference(): string {
  const root = schemaNode(experimentSchema);
  const sections = Object.entries(root.properties ?? {}).map(([key, node]) => {
    const rows = rowsOf(node, key, root.required?.includes(key) ?? false);
    return `## \`${key}\`\n\n${table(rows)}\n`;
  });
  return [INTRODUCTION, ...sections].join("\n");
}
