import assert from "node:assert/strict";
import { test } from "node:test";
import { expandCounts, findAllocation, inAllocation } from "../../src/allocation/allocation.ts";
import { gpusOf } from "../../src/slurm/job-gpus.ts";

test("SLURM's short form of counts", () => {
  assert.deepEqual(expandCounts("8(x3),4"), [8, 8, 8, 4]);
  assert.deepEqual(expandCounts("80"), [80]);
  for (const none of ["", "8(x", "eight", "8(x2)4"]) assert.deepEqual(expandCounts(none), [], none);
});

test("GPUs of a job's nodes, as SLURM tells of them", () => {
  const text = `   JOB_GRES=gpu:5
     Nodes=node1 CPU_IDs=0-3 Mem=0 GRES=gpu:2(IDX:0-1)
     Nodes=as[01-02,07] CPU_IDs=0-79 Mem=512000 GRES=gpu:h100:1(IDX:0,2),gpu:a100:3(IDX:4-6),nic:2(IDX:0-1),gpu_mem:40
     Nodes=cpu1 CPU_IDs=0-3 Mem=0 GRES=
   MinCPUsNode=4`;
  const expected = [
    { nodes: "node1", count: 2 },
    { nodes: "as[01-02,07]", count: 4 },
    { nodes: "cpu1", count: 0 },
  ];
  assert.deepEqual(gpusOf(text), expected);
});

test("outside of a job, and in one of several components, it is said what is expected", async () => {
  assert.equal(inAllocation({}), false);
  await assert.rejects(findAllocation({}), { code: "CLUSTER_UNAVAILABLE", message: /use `distmis submit`/ });
  const job = { SLURM_JOB_ID: "7", SLURM_JOB_NODELIST: "node[1-2]" };
  assert.equal(inAllocation(job), true);
  await assert.rejects(findAllocation({ ...job, SLURM_HET_SIZE: "2" }), /job 7 is a heterogeneous job of 2 components/);
});
