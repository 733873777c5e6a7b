/** Where tests find the repository and its Python. */
import path from "node:path";
import { fileURLToPath } from "node:url";

export const repositoryRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** The project's own Python environment, or DISTMIS_PYTHON. */
export const testPython = process.env.DISTMIS_PYTHON ?? path.join(repositoryRoot, ".venv/bin/python");
