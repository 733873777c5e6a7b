/** `distmis cluster start|status|stop` */
import type { Argv, CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import type { LocalCluster, LocalNode, NodeStatus } from "../index.ts";
import { listenForStop } from "./signals.ts";

const DEFAULT_NODES = 2;
/** Each node of Ray takes half a gigabyte; more than this on one machine is a slip. */
const MAX_NODES = 64;

interface StartArguments {
  nodes: number | undefined;
  "gpus-per-node": number | undefined;
  "cpus-per-node": number | undefined;
}

const startCommand: CommandModule<object, StartArguments> = {
  command: "start",
  describe: "Start it, add nodes to it, or start those of its nodes again that have died",
  builder: (yargs) =>
    yargs
      .option("nodes", {
        type: "number",
        requiresArg: true,
        describe: `How many; default: ${DEFAULT_NODES}, or as many as it has`,
      })
      .option("gpus-per-node", {
        type: "number",
        requiresArg: true,
        describe:
          "Real or logical GPUs of each node. Default: those of the machine, divided; 1 logical one if it has none",
      })
      .option("cpus-per-node", {
        type: "number",
        requiresArg: true,
        describe: "CPUs of each node. Default: those of the machine, divided",
      })
      .example(
        "$0 cluster start --nodes 2 --gpus-per-node 2",
        "Two nodes with two GPUs each, logical where there are none",
      ),
  handler: async (args) => {
    const { defaultNodes, findLocalCluster, startLocalCluster } = await import("../index.ts");
    const count = check("nodes", args.nodes, 1, MAX_NODES);
    const gpus = check("gpus-per-node", args["gpus-per-node"], 0);
    const cpus = check("cpus-per-node", args["cpus-per-node"], 1);
    const present = (await findLocalCluster())?.nodes ?? [];
    const [first] = present;
    const wanted = await defaultNodes(
      count ?? (present.length || DEFAULT_NODES),
      cpus ?? first?.cpus ?? null,
      gpus ?? first?.gpus ?? null,
    );
    // Nodes that are there keep what they have besides.
    const nodes = wanted.map((node, number) => {
      const there = present[number];
      return there === undefined || there.cpus !== node.cpus || there.gpus !== node.gpus ? node : specOf(there);
    });
    const signals = listenForStop(() => process.stderr.write("stopping the start\n"));
    try {
      const onStart = (node: number): void => void process.stderr.write(`starting node ${node} ...\n`);
      const cluster = await startLocalCluster({ nodes, signal: signals.stop, onStart });
      const { started } = cluster;
      const what = started.length === 0 ? "runs already" : "runs";
      console.log(`the local cluster ${what}, with ${counted(cluster)}\n${howToUse(cluster)}`);
    } finally {
      signals.release();
    }
  },
};

const statusCommand: CommandModule<object, { json: boolean }> = {
  command: "status",
  describe: "Its nodes, what is free of them, and how to use it; exit code 1 if there is none that answers",
  builder: (yargs) => yargs.option("json", { type: "boolean", default: false, describe: "Print it as JSON" }),
  handler: async ({ json }) => {
    const { clusterTable, findLocalCluster } = await import("../index.ts");
    const cluster = await findLocalCluster();
    if (cluster === null) {
      console.log(json ? "null" : "no local cluster runs on this machine; `distmis cluster start` starts one");
      process.exitCode = 1;
      return;
    }
    const { dir, address, since, environment, nodes } = cluster;
    const whole = nodes[0]?.alive === true;
    const free: Map<number, Record<string, number>> = new Map();
    let problem: string | null = null;
    try {
      if (whole) for (const [node, amounts] of await freeOf()) free.set(node, amounts);
    } catch (error) {
      // It may be overloaded, or about to end: what is known without it is shown all the same.
      if (!(error instanceof DistmisError)) throw error;
      problem = error.message;
    }
    if (json) {
      const shown = nodes.map(({ alive, cpus, gpus }, node) => ({
        node,
        alive,
        cpus,
        gpus,
        free: free.get(node) ?? null,
      }));
      console.log(JSON.stringify({ dir, address, since, environment, nodes: shown }, null, 1));
    } else {
      console.log(`local cluster at ${address || "no address"} since ${since}, ${counted(cluster)}`);
      console.log(clusterTable(nodes, free));
      if (problem !== null) console.log(`Ray does not answer: ${problem}`);
      if (nodes.some(({ alive }) => !alive)) {
        const which = whole ? "its dead nodes" : "it anew, as its head is dead";
        console.log(`\`distmis cluster start\` starts ${which}; \`distmis cluster stop\` clears it away`);
      }
      if (whole) console.log(howToUse(cluster));
    }
    if (!whole || problem !== null) process.exitCode = 1;
  },
};

const stopCommand: CommandModule = {
  command: "stop",
  describe: "End it, with whatever runs on it; no other Ray is touched",
  handler: async () => {
    const { stopLocalCluster } = await import("../index.ts");
    const ended = await stopLocalCluster();
    console.log(ended === null ? "no local cluster runs on this machine" : "the local cluster was stopped");
  },
};

export const clusterCommand: CommandModule = {
  command: "cluster",
  describe: "A local Ray of several nodes, to try things out: start, status, stop",
  builder: (yargs: Argv) =>
    yargs
      .command(startCommand)
      .command(statusCommand)
      .command(stopCommand)
      .demandCommand(1, "name what to do: distmis cluster start, status or stop")
      .example("$0 cluster start", "Two nodes on this machine")
      .example("$0 run exp.yaml --ray-address local", "Run on them")
      .example("$0 cluster stop", "End them")
      .epilogue("Its files are in /tmp/distmis-cluster-UID, or in the folder that DISTMIS_CLUSTER_DIR names."),
  handler: () => {},
};

function specOf({ alive: _, ...node }: NodeStatus): LocalNode {
  return node;
}

function check(name: string, value: number | undefined, least: number, most = Number.MAX_SAFE_INTEGER): number | null {
  if (value === undefined) return null;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new DistmisError("USAGE", `--${name}: expected a whole number ${range}, found ${value}`);
}

function counted({ nodes }: LocalCluster): string {
  const alive = nodes.filter((node) => node.alive).length;
  return `${alive === nodes.length ? "" : `${alive} of `}${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`;
}

function howToUse({ address, environment }: LocalCluster): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [
    "here:      distmis run EXPERIMENT --ray-address local",
    `elsewhere: ${variables.join(" ")} distmis run EXPERIMENT --ray-address ${address}`,
    "           (on another machine with a copy of the token file, and a run folder that both see)",
    "its end:   distmis cluster stop",
  ].join("\n");
}

/** What is free of each node by its number, as Ray says. */
async function freeOf(): Promise<Map<number, Record<string, number>>> {
  const { connect, NODE_LABEL } = await import("../index.ts");
  const cluster = await connect({ rayAddress: "local" });
  try {
    const { nodes } = await cluster.describe();
    return new Map(nodes.filter(({ alive }) => alive).map(({ labels, free }) => [Number(labels[NODE_LABEL]), free]));
  } finally {
    await cluster.close();
  }
}
