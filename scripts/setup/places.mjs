// Where an installation keeps its parts.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const venv = path.join(root, ".venv");
export const python = path.join(venv, "bin", "python");
/** False where distmis was installed as a package or unpacked from a bundle: both bring dist/ and the generated code. */
export const inCheckout = fs.existsSync(path.join(root, "package-lock.json"));
