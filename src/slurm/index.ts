/** SLURM as its users see it: jobs, their scripts, their states. What happens inside an allocation is src/allocation's. */

export { cancelJob } from "./cancel.ts";
export { checkCapacity, type Need } from "./capacity.ts";
export { hostNames, isPassing, type SlurmProgram, sbatch, slurm } from "./commands.ts";
export { type HostGpus, jobGpus } from "./job-gpus.ts";
export { batchScript, type JobHosts, type JobState, jobHasEnded, jobHosts, jobState } from "./job-state.ts";
export { type Job, readJobs, recordJob } from "./jobs.ts";
export { readJobLog } from "./read-job-log.ts";
export { type GivenSettings, type JobSettings, jobSettings, profileSchema, readProfile } from "./settings.ts";
export { type JobPlan, liveJob, refuseLiveJob, type SubmittedJob, scriptOf, submitJob } from "./submit.ts";
