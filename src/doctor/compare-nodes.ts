/** What nodes of a cluster have in common, and in what they differ. */
import type { Finding } from "./finding.ts";

export interface NodeFindings {
  /** Unlike that of any other node. */
  node: string;
  findings: readonly Finding[];
}

/** A node that could not be examined. */
export interface SilentNode {
  node: string;
  problem: string;
}

export interface ClusterFindings {
  /** Those that answered. */
  nodes: string[];
  silent: SilentNode[];
  subjects: {
    subject: string;
    /** What to do about nodes that differ; null if they don't, or if it is no harm. */
    remedy: string | null;
    /** One where all nodes are alike. */
    variants: { nodes: string[]; found: string; remedy: string | null }[];
  }[];
}

const NOTHING: Omit<Finding, "subject"> = { found: "not looked at", likeness: "", remedy: null, differs: null };

export function compareNodes(answers: readonly NodeFindings[], silent: readonly SilentNode[]): ClusterFindings {
  const subjects = [...new Set(answers.flatMap(({ findings }) => findings.map(({ subject }) => subject)))];
  return {
    nodes: answers.map(({ node }) => node),
    silent: [...silent],
    subjects: subjects.map((subject) => {
      const found = answers.map(({ node, findings }) => ({
        node,
        ...(findings.find((one) => one.subject === subject) ?? { subject, ...NOTHING }),
      }));
      const groups = new Map<string, typeof found>();
      for (const one of found) {
        const key = JSON.stringify([one.likeness, one.remedy]);
        groups.set(key, [...(groups.get(key) ?? []), one]);
      }
      const alike = new Set(found.map(({ likeness }) => likeness)).size === 1;
      return {
        subject,
        remedy: alike ? null : (found.find(({ differs }) => differs !== null)?.differs ?? null),
        variants: [...groups.values()].map((members) => ({
          nodes: members.map(({ node }) => node),
          found: inCommon(members),
          remedy: members[0]?.remedy ?? null,
        })),
      };
    }),
  };
}

function inCommon(members: readonly Finding[]): string {
  const [first] = members;
  if (first === undefined) return "";
  return members.every(({ found }) => found === first.found) ? first.found : first.likeness;
}

/** Whether a person has to do something. */
export function needsDoing({ silent, subjects }: ClusterFindings): boolean {
  return (
    silent.length > 0 ||
    subjects.some(({ remedy, variants }) => remedy !== null || variants.some((variant) => variant.remedy !== null))
  );
}
