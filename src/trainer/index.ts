/** For authors of task modules: `import type { Task } from "distmis/trainer"`. */
export type { EpochReport, Task, TrialContext, TrialResult } from "./task.ts";
