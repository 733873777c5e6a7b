/** What a job asks SLURM for, from a cluster profile and the command line. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { checkGiven, readChecked } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { packageRoot } from "../paths/index.ts";

const count = z.int().min(1);
/** What stands on one line of the script. */
const line = z
  .string()
  .regex(/^\P{Cc}+$/u)
  .meta({ expected: "a text of one line" });
const time = z
  .string()
  .regex(/^(\d+|\d+:[0-5]?\d(:[0-5]?\d)?|\d+-\d+(:[0-5]?\d){0,2})$/)
  .meta({ expected: 'a time as sbatch takes it, in quotes: "48:00:00", "2-00:00:00", or minutes' });
/** Fields of a profile; none needs to be there, and the command line wins. */
export const profileSchema = z.strictObject({
  description: z.string().optional().describe("For people."),
  nodes: count.optional().describe("How many nodes; 1 by default."),
  gpus_per_node: z.int().min(0).optional().describe("GPUs of each node; 0 for nodes without."),
  cpus_per_node: count.optional().describe("CPUs of each node; may be left out with `exclusive`."),
  gpu_option: z
    .enum(["gpus-per-node", "gres"])
    .optional()
    .describe("Which option of sbatch asks for GPUs: `--gpus-per-node=N`, the default, or `--gres=gpu:N`."),
  time: time.optional().describe("Time limit; without one, the partition's."),
  partition: line.optional().describe("Partition, or several with commas between them."),
  qos: line.optional().describe("Quality of service."),
  account: line.optional().describe("The account that pays."),
  constraint: line.optional().describe("Features that the nodes must have."),
  exclusive: z.boolean().optional().describe("Whole nodes, shared with nobody; false by default."),
  modules: z
    .array(line)
    .optional()
    .describe("Environment modules that the job loads; those of the command line come after them."),
  sbatch: z
    .array(line)
    .optional()
    .describe("Further options of sbatch, as `mem=64G` or `--mem=64G`; those of the command line come after them."),
  min_nodes: count
    .optional()
    .describe("The search starts with so many, if others do not come up; default: all of them."),
  node_deadline: count
    .optional()
    .describe("Seconds that nodes have to come up before the search starts without them, or fails; 300 by default."),
  interface: line.optional().describe("Network interface over which the nodes speak to each other, such as ib0."),
  max_requeues: z
    .int()
    .min(0)
    .optional()
    .describe("How often the job may queue again when its time is over, or it was preempted; 10 by default."),
  warn_seconds: z
    .int()
    .min(30)
    .max(65535)
    .optional()
    .describe(
      "Seconds before the time limit at which trials end after their step, for the next job to go on; 180 by default. SLURM may warn a minute earlier.",
    ),
  stage_to_local: z
    .union([z.boolean(), line])
    .optional()
    .describe("Whether the data set is copied to each node's own disk, or the folder there."),
});

/** What was given, in a profile or on the command line. */
export type GivenSettings = z.output<typeof profileSchema>;

/** What a job asks for. Null is for what is left to the cluster. */
export interface JobSettings {
  nodes: number;
  gpusPerNode: number;
  cpusPerNode: number | null;
  gpuOption: "gpus-per-node" | "gres";
  time: string | null;
  partition: string | null;
  qos: string | null;
  account: string | null;
  constraint: string | null;
  exclusive: boolean;
  modules: string[];
  sbatch: string[];
  minNodes: number | null;
  /** In seconds. */
  nodeDeadline: number | null;
  interface: string | null;
  maxRequeues: number;
  warnSeconds: number;
  /** Whether the data set is copied to each node, or the folder there: `data.stage` of the experiment. */
  stageToLocal: boolean | string;
}

const profilesDir = (): string => path.join(packageRoot(), "slurm", "profiles");

/**
 * Reads a profile: the name of one that comes with distmis, or the path of a file (whatever has a slash or ends in .yaml).
 * @throws DistmisError FILE_UNUSABLE naming the profiles there are, CONFIG_INVALID
 */
export async function readProfile(nameOrFile: string): Promise<GivenSettings> {
  if (/\/|\.(ya?ml|json)$/.test(nameOrFile)) return readChecked(nameOrFile, profileSchema);
  const names = (await readdir(profilesDir())).map((file) => path.parse(file).name).sort();
  if (!names.includes(nameOrFile))
    throw new DistmisError(
      "FILE_UNUSABLE",
      `--profile ${nameOrFile}: expected one of ${names.join(", ")}, or the path of a file of your own (./${nameOrFile}.yaml)`,
    );
  return readChecked(path.join(profilesDir(), `${nameOrFile}.yaml`), profileSchema);
}

/**
 * Settings of a job.
 * @param profile of the cluster
 * @param given on the command line
 * @throws DistmisError USAGE if they do not go together, or are no settings
 */
export function jobSettings(profile: GivenSettings, given: Record<string, unknown>): JobSettings {
  const checked = checkGiven(given, profileSchema, (field) => `--${field.replaceAll("_", "-")}`);
  const all = { ...profile, ...checked };
  const settings: JobSettings = {
    nodes: all.nodes ?? 1,
    gpusPerNode: all.gpus_per_node ?? missing("gpus-per-node", "the GPUs of each node, 0 for nodes without"),
    cpusPerNode: all.cpus_per_node ?? null,
    gpuOption: all.gpu_option ?? "gpus-per-node",
    time: all.time ?? null,
    partition: all.partition ?? null,
    qos: all.qos ?? null,
    account: all.account ?? null,
    constraint: all.constraint ?? null,
    exclusive: all.exclusive ?? false,
    modules: [...(profile.modules ?? []), ...(checked.modules ?? [])],
    sbatch: [...(profile.sbatch ?? []), ...(checked.sbatch ?? [])],
    minNodes: all.min_nodes ?? null,
    nodeDeadline: all.node_deadline ?? null,
    interface: all.interface ?? null,
    maxRequeues: all.max_requeues ?? 10,
    warnSeconds: all.warn_seconds ?? 180,
    stageToLocal: all.stage_to_local ?? false,
  };
  const { nodes, minNodes, cpusPerNode, exclusive } = settings;
  if (minNodes !== null && minNodes > nodes)
    throw new DistmisError("USAGE", `--min-nodes ${minNodes}: expected at most the ${nodes} of --nodes`);
  if (cpusPerNode === null && !exclusive)
    missing("cpus-per-node", "the CPUs that distmis may use on each node (or --exclusive, for all of them)");
  return settings;
}

function missing(option: string, what: string): never {
  throw new DistmisError("USAGE", `--${option}: expected ${what}, found nothing there and in the profile`);
}
