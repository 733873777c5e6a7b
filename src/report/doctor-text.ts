/** What `distmis doctor` found, for the terminal. */
import type { ClusterFindings, Finding } from "../doctor/index.ts";
import { printable } from "./format.ts";

const mark = (remedies: readonly (string | null)[]): string => (remedies.every((one) => one === null) ? "ok " : "!! ");
const MARK_WIDTH = 3;

/** One machine; a line each, and one for what to do. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  return lines(findings.flatMap((one) => oneFinding(one.subject, width, one)));
}

function oneFinding(
  subject: string,
  width: number,
  { found, remedy }: { found: string; remedy: string | null },
): string[] {
  const line = `${mark([remedy])}${subject.padEnd(width)}  ${printable(found)}`;
  return remedy === null ? [line] : [line, `${" ".repeat(width + MARK_WIDTH + 2)}-> ${remedy}`];
}

/** All nodes: first what is alike on all of them, then each thing in which they differ, with the nodes. */
export function clusterFindingsText({ nodes, silent, subjects }: ClusterFindings): string {
  const alike = subjects.filter(({ variants }) => variants.length === 1);
  const differing = subjects.filter(({ variants }) => variants.length > 1);
  const width = Math.max(0, ...subjects.map(({ subject }) => subject.length));
  const indent = " ".repeat(width + MARK_WIDTH + 2);
  return lines([
    `nodes: ${nodes.join(", ") || "none answered"}`,
    ...(alike.length === 0 ? [] : ["", nodes.length === 1 ? "on it" : "alike on all of them"]),
    ...alike.flatMap(({ subject, variants }) => variants.flatMap((one) => oneFinding(subject, width, one))),
    ...(differing.length === 0 ? [] : ["", "different"]),
    ...differing.flatMap(({ subject, remedy, variants }) => [
      ...variants.flatMap((one, index) => {
        const title = index > 0 ? "" : subject;
        const first = index > 0 ? " ".repeat(MARK_WIDTH) : mark([remedy, ...variants.map((each) => each.remedy)]);
        const said = `${first}${title.padEnd(width)}  ${one.nodes.join(", ")}: ${printable(one.found)}`;
        return one.remedy === null ? [said] : [said, `${indent}-> ${one.remedy}`];
      }),
      ...(remedy === null ? [] : [`${indent}-> ${remedy}`]),
    ]),
    ...(silent.length === 0 ? [] : ["", "not examined"]),
    ...silent.map(({ node, problem }) => `!! ${node}: ${printable(problem)}`),
  ]);
}

const lines = (all: readonly string[]): string => `${all.join("\n")}\n`;
