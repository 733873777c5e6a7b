import type { CommandModule } from "yargs";
import type { WriteTfrecordsResult } from "../index.ts";
import { type ProgressLine, progressLine } from "./progress.ts";
import { listenForStop, stoppedExitCode } from "./signals.ts";
import { declareOptions, readOptions, type TfrecordArguments } from "./tfrecord-options.ts";

/** `distmis tfrecord`: DistMIS's tfrecord.py. */
export const tfrecordCommand: CommandModule<object, TfrecordArguments> = {
  command: "tfrecord",
  describe: "Turn an MSD data set (NIfTI) into TFRecords for training",
  builder: (yargs) =>
    declareOptions(yargs)
      .example("$0 tfrecord --source-dir Task01 --target-dir out", "DistMIS's default: 240 x 240 x 152, 70/15/15 %")
      .example(
        "$0 tfrecord --source-dir Task01 --target-dir out --reshape '(120, 120, 152)' --split 0.8,0.1,0.1",
        "smaller volumes",
      )
      .example(
        "$0 tfrecord --source-dir Task04 --target-dir out --reshape auto --labels multiclass --fold 1/5",
        "volumes of differing shapes, each class by itself, the first of five folds held back",
      )
      .example(
        "$0 tfrecord --source-dir Task09 --target-dir out --orientation RAS --resample 1.5 --pad-or-crop auto --seed 1",
        "all on one grid in mm, a shuffled split",
      )
      .epilogue(
        "Whatever ends the command (Ctrl-C, a full disk), the same command goes on from the last finished volume.",
      ),
  handler: async (args) => {
    const options = await readOptions(args);
    const { writeTfrecords } = await import("../index.ts");
    const signals = listenForStop(() =>
      process.stderr.write("\nStopping after the volumes in hand; once more stops at once.\n"),
    );
    // What is unfinished then is what a power cut would leave: the same command goes on from the last finished volume.
    signals.kill.addEventListener("abort", () => process.exit(stoppedExitCode()));
    const lines: Record<"check" | "write", ProgressLine> = {
      check: progressLine("Checking headers", "volumes"),
      write: progressLine("Writing", "volumes"),
    };
    const start = performance.now();
    try {
      const result = await writeTfrecords({ ...options, signal: signals.stop }, ({ phase, done, total }) => {
        lines[phase].update(done, total);
        if (done === total) lines[phase].stop();
      });
      for (const line of summary(result, (performance.now() - start) / 1000)) console.log(line);
    } finally {
      signals.release();
      lines.check.stop();
      lines.write.stop();
    }
  },
};

function summary({ status, targetDir, info, notes }: WriteTfrecordsResult, seconds: number): string[] {
  const { train_size, valid_size, test_size, distmis } = info;
  const lines = notes.map((note) => `Note: ${note}.`);
  const skipped = distmis?.skipped ?? [];
  if (skipped.length > 0) lines.push(`Skipped ${skipped.length} bad ${skipped.length === 1 ? "pair" : "pairs"}:`);
  lines.push(...skipped.map(({ reason }) => `  ${reason}`));
  const { nonfinite = 0, labels = 0 } = distmis?.repaired ?? {};
  if (nonfinite > 0) lines.push(`Repaired: ${nonfinite} voxels that were not finite are 0.`);
  if (labels > 0) lines.push(`Repaired: ${labels} label voxels that were no class.`);
  const copies = distmis?.options.augment ?? 0;
  const train = copies === 0 ? "train" : `train (${copies} ${copies === 1 ? "copy" : "copies"} of each included)`;
  const what = `${train_size} ${train}, ${valid_size} valid, ${test_size} test volumes of ${distmis?.image_shape.join(" x ")}`;
  lines.push(
    status === "written"
      ? `Wrote ${what} to ${targetDir} in ${seconds.toFixed(1)} s.`
      : `Up to date: ${targetDir} holds ${what}.`,
  );
  return lines;
}
