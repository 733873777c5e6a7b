/** Processes of this machine: who is who, which ones belong together, what they use. */
export { addOwner, OWNER_FILE, type Ownership, ownershipOf, removeOwned } from "./owners.ts";
export { bootId, type FoundProcess, pidNamespace, processesWith, startTicks } from "./processes.ts";
