/** A file system that is soon full. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import type { TestContext } from "node:test";

/**
 * Mounts one of so many MiB at `dir`, which is made, until the test ends. Skips the test and gives null where that is not allowed.
 * @param access `ro` to read only
 */
export function smallDisk(t: TestContext, dir: string, mebibytes: number, access: "rw" | "ro" = "rw"): string | null {
  mkdirSync(dir, { recursive: true });
  if (spawnSync("mount", ["-t", "tmpfs", "-o", `${access},size=${mebibytes}m`, "tmpfs", dir]).status !== 0) {
    t.skip("mounting a small file system takes root");
    return null;
  }
  t.after(() => {
    spawnSync("umount", [dir]);
  });
  return dir;
}
