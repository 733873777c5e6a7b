/** What runs have come to: their best trials, which parameters matter, how they compare. */
export { analyseRun, type RunAnalysis, stateOf } from "./analyse-run.ts";
export { type Comparison, compareRuns } from "./compare-runs.ts";
export { type Importance, importanceOf } from "./importance.ts";
export type { Marginal, MarginalValue } from "./marginals.ts";
export { type Replicates, replicatesOf, type Spread } from "./replicates.ts";
export { factsOf, type RunFacts } from "./run-facts.ts";
export { type RunningTrial, timeLeft } from "./time-left.ts";
