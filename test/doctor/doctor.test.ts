import assert from "node:assert/strict";
import { test } from "node:test";
import { unseenGpus } from "../../src/doctor/index.ts";

test("GPUs that TensorFlow does not see: what hides them is named", () => {
  const wheel = "TensorFlow does not see them: install its CUDA wheel with `distmis setup --cuda`";
  assert.equal(unseenGpus({}), wheel);
  // Indices and UUIDs are no reason, and are not read.
  assert.equal(unseenGpus({ CUDA_VISIBLE_DEVICES: "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6" }), wheel);
  assert.match(unseenGpus({ CUDA_VISIBLE_DEVICES: "" }), /CUDA_VISIBLE_DEVICES is "", which hides them/);
  const libraries = "/usr/local/lib:/apps/cuda/11.2/lib64:/opt/x";
  assert.match(
    unseenGpus({ LD_LIBRARY_PATH: libraries }),
    /unload the module that puts \/apps\/cuda\/11\.2\/lib64 into/,
  );
  assert.equal(unseenGpus({ LD_LIBRARY_PATH: "/usr/local/lib" }), wheel);
});
