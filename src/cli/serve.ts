/** `distmis serve` */
import type { CommandModule } from "yargs";
import { checkCount } from "./check-count.ts";
import { listenForStop } from "./signals.ts";

interface Arguments {
  listen: string;
  "runs-dir": string;
  "max-experiments": number;
  "token-file": string | undefined;
  "tls-cert": string | undefined;
  "tls-key": string | undefined;
  "ray-address": string | undefined;
  gpus: number | undefined;
  cpus: number | undefined;
}

export const serveCommand: CommandModule<object, Arguments> = {
  command: "serve",
  describe: "Run experiments for others: a queue on the cluster's head node that `run --server` hands them to",
  builder: (yargs) =>
    yargs
      .option("listen", {
        type: "string",
        default: "local",
        requiresArg: true,
        describe: "HOST:PORT, unix:PATH, or `local`: a UNIX socket of yours on this machine, which needs no token",
      })
      .option("runs-dir", {
        type: "string",
        default: "runs",
        requiresArg: true,
        describe: "Folder of the runs' folders, shared by all nodes",
      })
      .option("max-experiments", {
        type: "number",
        default: 1,
        requiresArg: true,
        describe: "So many experiments share the cluster; the others wait in the order in which they came",
      })
      .option("token-file", {
        type: "string",
        requiresArg: true,
        describe: "With HOST:PORT: file of the token that clients must have, mode 0600; made if it is not there",
        defaultDescription: "DISTMIS_TOKEN_FILE, or ~/.config/distmis/token",
      })
      .option("tls-cert", {
        type: "string",
        requiresArg: true,
        implies: "tls-key",
        describe: "Certificate, see `distmis certificate`; needed where other machines can reach the address",
      })
      .option("tls-key", { type: "string", requiresArg: true, implies: "tls-cert", describe: "Its private key" })
      .option("ray-address", {
        type: "string",
        requiresArg: true,
        describe: "Existing Ray cluster, HOST:PORT of its head or `auto`. Default: start Ray on this machine",
      })
      .option("gpus", {
        type: "number",
        requiresArg: true,
        conflicts: "ray-address",
        describe: "GPUs of the Ray that is started here, real or logical. Default: those of the machine",
      })
      .option("cpus", {
        type: "number",
        requiresArg: true,
        conflicts: "ray-address",
        describe: "CPUs of the Ray that is started here. Default: those of the machine",
      })
      .epilogue(
        "Ctrl-C, once, stops the runs after their step; what has not finished goes on when the server is started again with the " +
          "same --runs-dir, also after a crash. See docs/server.md.",
      )
      .example("$0 serve", "For yourself on this machine")
      .example("$0 serve --listen 0.0.0.0:7400 --tls-cert server.crt --tls-key server.key", "For other machines"),
  handler: async (args) => {
    for (const name of ["gpus", "cpus"] as const) checkCount(name, args[name]);
    const { defaultTokenFile, serve } = await import("../index.ts");
    const log = (line: string): void => void process.stderr.write(`${new Date().toISOString()} ${line}\n`);
    const signals = listenForStop(() => {
      log("stopping: running trials end after their step; press Ctrl-C again to kill them");
    });
    const { "tls-cert": certificateFile, "tls-key": keyFile, "ray-address": rayAddress, gpus, cpus } = args;
    try {
      const server = await serve({
        listen: args.listen,
        runsDir: args["runs-dir"],
        maxExperiments: args["max-experiments"],
        tokenFile: args["token-file"] ?? defaultTokenFile(),
        ...(certificateFile === undefined || keyFile === undefined ? {} : { tls: { certificateFile, keyFile } }),
        cluster: {
          ...(rayAddress === undefined ? {} : { rayAddress }),
          ...(gpus === undefined ? {} : { gpus }),
          ...(cpus === undefined ? {} : { cpus }),
          signal: signals.stop,
        },
        log,
      });
      const where = args.listen === "local" ? "local" : server.address;
      const tls = certificateFile === undefined ? "" : " --tls-cert COPY_OF_CERTIFICATE";
      console.log(`serving experiments at ${server.address}; their runs are in ${server.runsDir}`);
      if (server.token !== null)
        console.log(
          `token: ${server.token.file}${server.token.made ? " (new)" : ""}; clients need a copy of it, mode 0600`,
        );
      if (certificateFile !== undefined) console.log(`certificate: ${certificateFile}; clients need a copy of it`);
      if (server.waiting > 0)
        console.log(`${server.waiting} ${server.waiting === 1 ? "experiment" : "experiments"} of before go on`);
      console.log(`hand one in: distmis run EXPERIMENT --server ${where}${tls}`);
      console.log(`see them:    distmis status --server ${where}${tls}`);
      await stopped(signals.stop);
      await server.close(signals.kill);
    } finally {
      signals.release();
    }
  },
};

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
