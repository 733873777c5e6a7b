/** Ours of bringup.bench.ts: connects as `distmis run --ray-address slurm` does, and says when all nodes are there. */
import { connect } from "../dist/index.js";

const cluster = await connect({ rayAddress: "slurm" });
const { nodes } = await cluster.describe();
const alive = nodes.filter((node) => node.alive).length;
if (alive === Number(process.argv[2])) console.log(`usable ${Date.now() / 1000}`);
await cluster.close();
