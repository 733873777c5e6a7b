/** Which folder a new run gets. */
import { existsSync } from "node:fs";
import path from "node:path";

/** `name`, or the first of name-2, name-3, ... that is not taken. */
export function freshName(name: string, taken: (name: string) => boolean): string {
  let fresh = name;
  for (let number = 2; taken(fresh); number++) fresh = `${name}-${number}`;
  return fresh;
}

/** Below the working directory: `runs/NAME`, with `fresh` one that does not exist yet. */
export function defaultRunDir(name: string, fresh: boolean): string {
  return path.join("runs", fresh ? freshName(name, (each) => existsSync(path.join("runs", each))) : name);
}
