/** `distmis doctor` */
import path from "node:path";
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import { say } from "./say.ts";
import { listenForStop } from "./signals.ts";
import { type SlurmArguments, slurmConnection, withNodeOptions } from "./slurm-options.ts";

interface Arguments extends Pick<SlurmArguments, "node-deadline" | "interface"> {
  json: boolean;
  runs: string;
  cluster: boolean;
  "ray-address": string | undefined;
  deadline: number;
}

export const doctorCommand: CommandModule<object, Arguments> = {
  command: "doctor",
  describe: "What was found of TensorFlow, Ray, GPUs, SLURM and disks, and what to do about problems",
  builder: (yargs) =>
    withNodeOptions(yargs)
      .option("json", { type: "boolean", default: false, describe: "Print the findings as JSON" })
      // Not --dir: the package that finds tfjs's binding reads the command line too, and takes that for its --directory.
      .option("runs", { type: "string", default: ".", requiresArg: true, describe: "Folder in which runs are to lie" })
      .option("cluster", {
        type: "boolean",
        default: false,
        describe: "Look at every node of a Ray cluster, and show in what they differ",
      })
      .option("ray-address", {
        type: "string",
        requiresArg: true,
        implies: "cluster",
        describe:
          "With --cluster: HOST:PORT of its head, `auto` for the one of this machine, `local`, or `slurm` for the nodes of this job",
        defaultDescription: "auto",
      })
      .option("deadline", {
        type: "number",
        default: 120,
        requiresArg: true,
        describe: "With --cluster: seconds after which a node without an answer is named",
      })
      .example("$0 doctor", "Look at this machine; exit code 1 if something needs doing")
      .example("$0 doctor --cluster --ray-address head:6379", "Look at all nodes of the cluster there")
      .example("salloc -N4 $0 doctor --cluster --ray-address slurm", "Look at four nodes of a SLURM cluster"),
  handler: async (args) => {
    const { json, runs, cluster, "ray-address": rayAddress, deadline } = args;
    const { examine, examineCluster, needsDoing } = await import("../doctor/index.ts");
    const { findingsText, clusterFindingsText } = await import("../report/index.ts");
    if (!cluster) {
      const findings = await examine(runs);
      process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : findingsText(findings));
      if (findings.some(({ remedy }) => remedy !== null)) process.exitCode = 1;
      return;
    }
    if (!(deadline > 0)) throw new DistmisError("USAGE", `--deadline: expected more than 0 seconds, found ${deadline}`);
    // Whatever comes is looked at, and what does not is told.
    const slurm = { ...slurmConnection(args), minNodes: 1 };
    const { connect, findAllocation, startOnFirstNode } = await import("../index.ts");
    let hosts: string[] = [];
    if (rayAddress === "slurm") {
      const elsewhere = await startOnFirstNode();
      if (elsewhere !== null) {
        process.exitCode = elsewhere;
        return;
      }
      hosts = (await findAllocation()).hosts.map(({ name }) => name);
    }
    const signals = listenForStop(() => process.stderr.write("stopping\n"));
    const joined = await connect({ rayAddress: rayAddress ?? "auto", slurm, notice: say, signal: signals.stop });
    signals.stop.addEventListener("abort", () => void joined.close());
    try {
      const findings = await examineCluster(joined, path.resolve(runs), deadline, hosts);
      process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : clusterFindingsText(findings));
      if (needsDoing(findings)) process.exitCode = 1;
    } catch (error) {
      throw signals.stop.aborted ? new DistmisError("INTERRUPTED", "stopped before all nodes had answered") : error;
    } finally {
      await joined.close();
      signals.release();
    }
  },
};
