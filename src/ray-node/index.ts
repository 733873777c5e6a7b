/** One node of Ray on this machine: `ray start` with its options, and the end of all that it starts. */
export { endMarked, killAll } from "./end.ts";
export { freePort } from "./free-port.ts";
export { type RayNodeOptions, type RayNodeProcess, startRayNode } from "./start.ts";
