/** A server that runs experiments for others: a queue, the runs, and clients that come and go. */
export { type ExperimentServer, type ServeOptions, serve } from "./serve.ts";
