/** The command line: one file a command, each parsed here and loaded when it runs. */
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { DistmisError } from "../errors/index.ts";
import { packageVersion } from "../paths/index.ts";
import { attachCommand } from "./attach.ts";
import { cancelCommand } from "./cancel.ts";
import { certificateCommand } from "./certificate.ts";
import { clusterCommand } from "./cluster.ts";
import { dashboardCommand } from "./dashboard.ts";
import { dataParallelCommand } from "./data-parallel.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { evaluateCommand } from "./evaluate.ts";
import { expParallelCommand } from "./exp-parallel.ts";
import { exportCommand } from "./export.ts";
import { failWith } from "./fail.ts";
import { gcCommand } from "./gc.ts";
import { inspectCommand } from "./inspect.ts";
import { logsCommand } from "./logs.ts";
import { phantomCommand } from "./phantom.ts";
import { predictCommand } from "./predict.ts";
import { reportCommand } from "./report.ts";
import { resultsCommand } from "./results.ts";
import { runCommand } from "./run.ts";
import { serveCommand } from "./serve.ts";
import { isReaderGone } from "./signals.ts";
import { statusCommand } from "./status.ts";
import { submitCommand } from "./submit.ts";
import { tfrecordCommand } from "./tfrecord.ts";
import { checkArguments, usageError } from "./usage.ts";
import { visualizeCommand } from "./visualize.ts";
import { watchCommand } from "./watch.ts";

// `distmis ... | head`: nobody reads any more. A command that runs for long listens itself, see signals.ts.
let outputFailed = false;
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (isReaderGone(error) || outputFailed) return;
  outputFailed = true;
  failWith(new DistmisError("FILE_UNUSABLE", `standard output can't be written: ${error.message}`));
});
// There is nowhere left to say so.
process.stderr.on("error", () => {});

const MAX_HELP_COLUMNS = 110;

/** What yargs finds wrong with the arguments; empty for errors of the commands themselves. */
let complaint = "";
const parser = yargs(hideBin(process.argv));
try {
  await parser
    .scriptName("distmis")
    .usage("$0 <command>\n\nSearch hyper-parameters of 3D segmentation networks on all GPUs of a Ray cluster.")
    .command(demoCommand)
    // bin/distmis does it itself, as it must work before anything is installed: this line is for --help.
    .command("setup", "Set everything up, or bring it up to date; --cuda for TensorFlow's CUDA wheel")
    .command(tfrecordCommand)
    .command(visualizeCommand)
    .command(expParallelCommand)
    .command(dataParallelCommand)
    .command(runCommand)
    .command(submitCommand)
    .command(watchCommand)
    .command(logsCommand)
    .command(gcCommand)
    .command(serveCommand)
    .command(statusCommand)
    .command(attachCommand)
    .command(cancelCommand)
    .command(certificateCommand)
    .command(resultsCommand)
    .command(dashboardCommand)
    .command(reportCommand)
    .command(predictCommand)
    .command(evaluateCommand)
    .command(inspectCommand)
    .command(exportCommand)
    .command(phantomCommand)
    .command(clusterCommand)
    .command(doctorCommand)
    .demandCommand(1, "name a command; `distmis --help` lists them")
    .strict()
    .check(checkArguments)
    .recommendCommands()
    .version(packageVersion())
    .help()
    .wrap(Math.min(MAX_HELP_COLUMNS, parser.terminalWidth()))
    .exitProcess(false)
    .fail((message, error) => {
      // Yargs hands on its own errors, those of checks and those of the commands.
      if (!error || error.name === "YError") complaint = message;
      throw error ?? new Error(message);
    })
    .parseAsync();
} catch (error) {
  failWith(complaint === "" ? error : usageError(complaint, await parser.getHelp()));
}
