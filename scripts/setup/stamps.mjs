// Each step of the set-up leaves a stamp of what it was made from and, where that is quick to read, of what it made, and is
// skipped while both are unchanged.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { root } from "./places.mjs";

export function sha256(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

/** Files below a folder, sorted; all of them, or those with one of these extensions. */
export function filesBelow(dir, extensions = [""]) {
  return fs
    .readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.some((extension) => entry.name.endsWith(extension)))
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

export const hashFiles = (files) =>
  sha256(...files.flatMap((file) => [path.relative(root, file), fs.readFileSync(file)]));

/** Of files that were made: their names and contents; where a folder is missing, there are none. */
export const hashMade = (dirs, extensions) =>
  hashFiles(
    dirs
      .filter((dir) => fs.existsSync(dir))
      .flatMap((dir) => filesBelow(dir, extensions).filter((file) => path.basename(file) !== ".distmis-stamp")),
  );

export const readStamp = (stamp) => (fs.existsSync(stamp) ? fs.readFileSync(stamp, "utf8") : "");
