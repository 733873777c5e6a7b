#!/usr/bin/env node
// `npm run quality -- SOURCE_DIR`: trains configs/hippocampus-best.yaml on Task04_Hippocampus and measures it on the fold
// that it holds back. The same command continues an interrupted run. See docs/quality.md.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { main, root, setup } from "./setup.mjs";

const folder = process.env.INIT_CWD ?? process.cwd();
const [source, ...rest] = process.argv.slice(2);
if (source === undefined || source.startsWith("-") || rest.length > 0) {
  process.stderr.write(
    "usage: npm run quality -- SOURCE_DIR, the folder of Task04_Hippocampus with its dataset.json\n",
  );
  process.exit(2);
}
main(() => setup());

function distmis(...args) {
  process.stderr.write(`\ndistmis ${args[0]}\n`);
  const { status } = spawnSync(process.execPath, [path.join(root, "bin", "distmis"), ...args], {
    cwd: folder,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

const records = path.resolve(folder, "tfrecords/hippocampus-best");
const run = path.resolve(folder, "runs/hippocampus-best");
const predictions = path.join(run, "held-back");
const labels = ["--labels", "multiclass", "--fold", "1/5", "--split", "0.85,0.15,0", "--reshape", "40,56,40"];
distmis("tfrecord", "--source-dir", source, "--target-dir", records, ...labels);
distmis("run", path.join(root, "configs/hippocampus-best.yaml"), "--dataset-dir", records, "--run-dir", run);
const { distmis: made } = JSON.parse(fs.readFileSync(path.join(records, "info.json"), "utf8"));
const images = made.samples.test.map(({ image }) => path.join(made.source_dir, image.path));
distmis("predict", "--model", run, "--output", predictions, "--input", ...images);
const truth = path.resolve(folder, source, "labelsTr");
distmis("evaluate", "--predictions", predictions, "--labels", truth, "--partial");
