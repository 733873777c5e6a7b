import assert from "node:assert/strict";
import { test } from "node:test";
import { expandCounts, findAllocation, inAllocation } from "../../src/allocation/allocation.ts";

test("SLURM's short form of counts", () => {
  assert.deepEqual(expandCounts("8(x3),4"), [8, 8, 8, 4]);
  assert.deepEqual(expandCounts("80"), [80]);
  for (const none of ["", "8(x", "eight", "8(x2)4"]) assert.deepEqual(expandCounts(none), [], none);
});

test("outside of a job, and in one of several components, it is said what is expected", async () => {
  assert.equal(inAllocation({}), false);
  await assert.rejects(findAllocation({}), { code: "CLUSTER_UNAVAILABLE", message: /use `distmis submit`/ });
  const job = { SLURM_JOB_ID: "7", SLURM_JOB_NODELIST: "node[1-2]" };
  assert.equal(inAllocation(job), true);
  await assert.rejects(findAllocation({ ...job, SLURM_HET_SIZE: "2" }), /job 7 is a heterogeneous job of 2 components/);
});
