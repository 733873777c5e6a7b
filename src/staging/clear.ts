/** The program that removes the local copies of this node that nobody uses any more: `clear.js [BASE]`. */
import { removeUnused, stagingParent } from "./place.ts";

await removeUnused(stagingParent(process.argv[2]));
