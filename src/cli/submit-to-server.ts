/** `run`, `exp-parallel` and `data-parallel` with `--server`. */
import { connectServer, DistmisError, type Experiment } from "../index.ts";
import { followToEnd } from "./follow-to-end.ts";
import type { RunArguments } from "./run-options.ts";
import { serverOptions } from "./server-options.ts";

/** Hands the experiment in, and follows it unless `--detach` is given. */
export async function submitAndFollow(experiment: Experiment, args: RunArguments): Promise<void> {
  const run = args["run-dir"];
  if (run?.includes("/"))
    throw new DistmisError(
      "USAGE",
      `--run-dir ${run}: expected a name with --server, the run's folder is the server's to choose`,
    );
  const server = await connectServer(serverOptions(args));
  try {
    const submitted = await server.submit(experiment, {
      ...(run === undefined ? {} : { run }),
      fresh: args.fresh === true,
      extend: args.extend === true,
      retryFailed: args["retry-failed"] === true,
      diskCheck: args["disk-check"],
    });
    if (args.detach === true) {
      console.log(args.json ? JSON.stringify(submitted) : submitted.run);
      return;
    }
    if (!args.json) process.stderr.write(`run ${submitted.run} is ${submitted.state} at ${server.address}\n`);
    await followToEnd(server, submitted.run, { json: args.json, trialOutput: experiment.train.debug, args });
  } finally {
    server.close();
  }
}
