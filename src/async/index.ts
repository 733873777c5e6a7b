/** Promises that somebody else settles. */
export { type Deferred, deferred, settlesWithin } from "./deferred.ts";
