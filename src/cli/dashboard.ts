/** `distmis dashboard` */
import type { CommandModule } from "yargs";
import { checkCount } from "./check-count.ts";
import { listenForStop } from "./signals.ts";

interface Arguments {
  run: string[];
  host: string;
  port: number;
  "token-file": string | undefined;
}

export const dashboardCommand: CommandModule<object, Arguments> = {
  command: "dashboard <run..>",
  describe: "Show runs in a browser, live while they go on: trials, curves, timeline, logs, segmentations",
  builder: (yargs) =>
    yargs
      .positional("run", { type: "string", array: true, demandOption: true, describe: "Folders of runs" })
      .option("port", { type: "number", default: 0, requiresArg: true, describe: "Port. Default: a free one" })
      .option("host", {
        type: "string",
        default: "127.0.0.1",
        requiresArg: true,
        describe:
          "Name or address to listen at; others than this machine's own can be reached by everybody, unencrypted",
      })
      .option("token-file", {
        type: "string",
        requiresArg: true,
        describe: "File of the token, mode 0600, made if it is not there; so pages that are open outlive a restart",
        defaultDescription: "a new token at each start",
      })
      .check(({ port }) => {
        checkCount("port", port);
        return true;
      })
      .example("$0 dashboard runs/hippocampus", "Prints the address to open")
      .example("ssh -t -L 8080:127.0.0.1:8080 cluster distmis dashboard runs/a --port 8080", "From a laptop"),
  handler: async ({ run, host, port, "token-file": tokenFile }) => {
    const { serveDashboard } = await import("../index.ts");
    const signals = listenForStop(() => {});
    try {
      const dashboard = await serveDashboard(run, { host, port, ...(tokenFile === undefined ? {} : { tokenFile }) });
      if (dashboard.open) {
        console.log(
          "warning: other machines can reach this address, and what goes there is not encrypted; ssh -L does better",
        );
      }
      console.log(`open ${dashboard.url}`);
      await new Promise<void>((resolve) => {
        if (signals.stop.aborted) resolve();
        signals.stop.addEventListener("abort", () => resolve(), { once: true });
      });
      await dashboard.close();
    } finally {
      signals.release();
    }
  },
};
