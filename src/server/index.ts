/** A server that runs experiments for others: a queue, the runs, and clients that come and go. */
export { LIMITS, type Limits } from "./limits.ts";
export { type ExperimentServer, type ServeOptions, serve } from "./serve.ts";
