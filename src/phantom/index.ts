/** Synthetic data sets in the Decathlon's layout. */
export { makePhantom, type PhantomOptions, type PhantomResult } from "./phantom.ts";
