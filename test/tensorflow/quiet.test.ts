/** What TensorFlow prints while a command loads it, each time in a process of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { moduleUrl } from "../../src/paths/index.ts";

const program = `
  const { loadTensorFlow } = await import(${JSON.stringify(moduleUrl("tensorflow/index").href)});
  const { tf } = loadTensorFlow({ threads: 1 });
  tf.conv3d(tf.ones([1, 8, 8, 8, 4]), tf.ones([3, 3, 3, 4, 4]), 1, "same").dataSync();
`;

/** @param onednn TF_ENABLE_ONEDNN_OPTS */
async function load(onednn: string | undefined) {
  const env = { ...process.env, TF_ENABLE_ONEDNN_OPTS: onednn, TF_CPP_MIN_LOG_LEVEL: undefined, ONEDNN_VERBOSE: "1" };
  const args = ["--import", import.meta.resolve("tsx"), "--input-type=module", "-e", program];
  return promisify(execFile)(process.execPath, args, { env, timeout: 60_000 });
}

test("nothing, though it computes by oneDNN", { skip: process.arch !== "x64" && "oneDNN is x86-64's" }, async () => {
  const { stdout, stderr } = await load(undefined);
  assert.equal(stderr, "");
  assert.match(stdout, /^onednn_verbose,.*,convolution,/m);
});

test("nor where oneDNN is switched off, which it is", async () => {
  const { stdout, stderr } = await load("0");
  assert.equal(stderr, "");
  assert.doesNotMatch(stdout, /,convolution,/);
});
