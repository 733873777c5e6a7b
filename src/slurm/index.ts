/** SLURM as its users see it: jobs, their scripts, their states. What happens inside an allocation is src/allocation's. */
export { type SlurmProgram, slurm } from "./commands.ts";
