/** The options of a search on the nodes of a SLURM job. */
import type { Argv } from "yargs";
import { checkCount } from "./check-count.ts";

export interface SlurmArguments {
  "min-nodes": number | undefined;
  "node-deadline": number | undefined;
  interface: string | undefined;
  "max-requeues": number | undefined;
}

/** How the nodes of a job come together. */
export function withNodeOptions<T>(yargs: Argv<T>): Argv<T & Pick<SlurmArguments, "node-deadline" | "interface">> {
  return yargs
    .option("node-deadline", {
      type: "number",
      requiresArg: true,
      describe: "In a SLURM job: seconds that nodes have to come. Default: 300",
    })
    .option("interface", {
      type: "string",
      requiresArg: true,
      describe: "In a SLURM job: network interface for the nodes' addresses, such as ib0. Default: that of their names",
    });
}

export function withSlurmOptions<T>(yargs: Argv<T>): Argv<T & SlurmArguments> {
  return withNodeOptions(yargs)
    .option("min-nodes", {
      type: "number",
      requiresArg: true,
      describe: "In a SLURM job: begin with so many nodes if the others don't come. Default: all",
    })
    .option("max-requeues", {
      type: "number",
      requiresArg: true,
      describe:
        "In a SLURM job: how often it goes back into the queue when its time limit is near (SIGUSR1). Default: 0",
    });
}

/**
 * What `connect` takes of them.
 * @throws DistmisError USAGE
 */
export function slurmConnection(args: Partial<SlurmArguments>) {
  for (const name of ["min-nodes", "node-deadline", "max-requeues"] as const) checkCount(name, args[name]);
  return {
    ...(args["min-nodes"] === undefined ? {} : { minNodes: args["min-nodes"] }),
    ...(args["node-deadline"] === undefined ? {} : { deadlineSeconds: args["node-deadline"] }),
    ...(args.interface === undefined ? {} : { interface: args.interface }),
    ...(args["max-requeues"] === undefined ? {} : { maxRequeues: args["max-requeues"] }),
  };
}
