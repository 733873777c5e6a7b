/** The page's own files, as the build made them. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { DistmisError, messageOf } from "../errors/index.ts";
import { packageRoot } from "../paths/index.ts";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
};

export interface Asset {
  type: string;
  bytes: Buffer;
}

/** By name: `page.html`, `page.css`, `main.js` and what that loads, `licences.txt`. @throws DistmisError SETUP_INCOMPLETE */
export async function readAssets(): Promise<Map<string, Asset>> {
  const dir = path.join(packageRoot(), "dist", "page");
  try {
    const assets = new Map<string, Asset>();
    for (const name of await readdir(dir)) {
      const type = TYPES[path.extname(name)];
      if (type !== undefined) assets.set(name, { type, bytes: await readFile(path.join(dir, name)) });
    }
    return assets;
  } catch (error) {
    throw new DistmisError(
      "SETUP_INCOMPLETE",
      `${dir}: the page is not built (${messageOf(error)}): run \`distmis setup\``,
    );
  }
}
