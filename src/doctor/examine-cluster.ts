/** Every node of a cluster, by a doctor that runs there. */
import { z } from "zod";
import type { Cluster, RunOnNodesResponse } from "../cluster/index.ts";
import { messageOf } from "../errors/index.ts";
import { entryCommand, moduleUrl } from "../paths/index.ts";
import { type ClusterFindings, compareNodes, type NodeFindings, type SilentNode } from "./compare-nodes.ts";
import { type Finding, finding, findingSchema } from "./finding.ts";

/** So much do logs, certificates and file times of nodes bear. */
const CLOCK_SECONDS = 2;

/**
 * Starts a doctor on each node, with the program and at the path of this one.
 * @param runs where runs are to lie, absolute
 * @param hosts names of those that are to be nodes; one that is not is told as a silent node
 * @throws DistmisError CLUSTER_UNAVAILABLE
 */
export async function examineCluster(
  cluster: Cluster,
  runs: string,
  deadlineSeconds: number,
  hosts: readonly string[] = [],
): Promise<ClusterFindings> {
  const command = [...entryCommand(moduleUrl("cli/main")), "doctor", "--json", "--runs", runs];
  const results = await cluster.runOnNodes({ command, environment: {}, workingDirectory: "" }, deadlineSeconds);
  const answers: NodeFindings[] = [];
  const silent: SilentNode[] = [];
  for (const [node, result] of named(results)) {
    const said = findingsOf(result);
    if (typeof said === "string") silent.push({ node, problem: said });
    else answers.push({ node, findings: [...said, ...clock(result)] });
  }
  const absent = absentHosts(hosts, results).map((node) => ({ node, problem: "it has not joined the cluster" }));
  return compareNodes(answers, [...silent, ...absent]);
}

/** A host may call itself by its whole name, and its manager by a short one. */
function absentHosts(hosts: readonly string[], nodes: readonly RunOnNodesResponse[]): string[] {
  const short = (name: string): string => name.split(".")[0] ?? name;
  const there = new Set(nodes.map(({ name }) => short(name)));
  if (nodes.length >= hosts.length) return [];
  const absent = hosts.filter((host) => !there.has(short(host)));
  // Names that have nothing in common tell no more than their number.
  return absent.length < hosts.length ? absent : [`one of ${hosts.join(", ")}`];
}

/** With names that tell the nodes apart, sorted by them as a person would. */
function named(results: readonly RunOnNodesResponse[]): [string, RunOnNodesResponse][] {
  const sharing = (name: string) => results.filter((other) => other.name === name).length;
  return results
    .map((result): [string, RunOnNodesResponse] => {
      const { name, nodeId } = result;
      return [sharing(name) > 1 ? `${name} (${nodeId.slice(0, 8)})` : name, result];
    })
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
}

/** What its doctor found, or why there is no such thing. */
function findingsOf({ problem, stdout, stderr, exitCode, signal }: RunOnNodesResponse): Finding[] | string {
  if (problem !== "") return `${problem}: is distmis set up there, at the same path as here?`;
  try {
    return z.array(findingSchema).parse(JSON.parse(stdout.toString()));
  } catch (error) {
    const how = signal === undefined ? `with exit code ${exitCode}` : `by signal ${signal}`;
    const last = stderr.toString().trim().split("\n").at(-1) || messageOf(error);
    return `its doctor ended ${how}: ${last}`;
  }
}

function clock({ clockOffsetSeconds: offset, clockErrorSeconds: error }: RunOnNodesResponse): Finding[] {
  if (offset === undefined) return [];
  const late = Math.abs(offset) - error > CLOCK_SECONDS;
  const found = `${Math.abs(offset).toFixed(2)} s ${offset < 0 ? "behind" : "ahead of"} this machine's`;
  return [
    finding("Clock", found, {
      likeness: late ? found : `within ${CLOCK_SECONDS} s of this machine's`,
      remedy: late ? "set it by a time server (chrony, ntpd): file times and logs mislead else" : null,
    }),
  ];
}
