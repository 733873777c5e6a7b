/** The package as it is installed: orchestrator and trainers run what `npm run build` made, not the sources through a compiler. */
import { pathToFileURL } from "node:url";
import { packageRoot } from "../src/paths/index.ts";

export const { connect, defineExperiment, runExperiment }: typeof import("../src/index.ts") = await import(
  new URL("dist/index.js", `${pathToFileURL(packageRoot())}/`).href
);
