/** Where distmis lies on disk, how its own programs are started, from the sources (by tsx) as from dist/, and folders to be made. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { DistmisError } from "../errors/index.ts";

export { makeFolder } from "./make-folder.ts";

let found: { root: string; version: string } | undefined;

/** The nearest folder above this file whose package.json is distmis's. */
function findPackage(): { root: string; version: string } {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    const file = path.join(folder, "package.json");
    if (fs.existsSync(file)) {
      const { name, version } = JSON.parse(fs.readFileSync(file, "utf8"));
      if (name === "distmis") return { root: folder, version: String(version) };
    }
    if (folder === path.dirname(folder)) {
      throw new DistmisError(
        "SETUP_INCOMPLETE",
        `no package.json of distmis in ${import.meta.dirname} or above it: install the whole package`,
      );
    }
  }
}

/** Absolute path of the package, the folder of its package.json. */
export function packageRoot(): string {
  found ??= findPackage();
  return found.root;
}

/** The version in package.json. */
export function packageVersion(): string {
  found ??= findPackage();
  return found.version;
}

/** The Python of distmis's environment: DISTMIS_PYTHON, or the one that `npm run setup` makes; need not exist. */
export function pythonPath(): string {
  return process.env.DISTMIS_PYTHON || path.join(packageRoot(), ".venv", "bin", "python");
}

/**
 * File URL of one of distmis's own modules, in the form that runs now.
 * @param name path below src/ without extension, for example "trainer/main"
 */
export function moduleUrl(name: string): URL {
  return new URL(`../${name}${path.extname(import.meta.url)}`, import.meta.url);
}

/** Arguments for Node that let it run TypeScript; none from dist/. */
function nodeArguments(url: URL): string[] {
  return url.pathname.endsWith(".ts") ? ["--import", import.meta.resolve("tsx")] : [];
}

/**
 * Program and arguments that run a module as a program with the Node that runs now.
 * @param url its file URL, see {@link moduleUrl}
 */
export function entryCommand(url: URL): string[] {
  return [process.execPath, ...nodeArguments(url), fileURLToPath(url)];
}

/** URL for `new Worker(...)` that runs a module in a thread: itself from dist/, or one that loads it through tsx. */
export function workerUrl(url: URL): URL {
  if (!url.pathname.endsWith(".ts")) return url;
  // Node 20 starts workers without the loaders of their parent, even where execArgv names them.
  const tsx = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const code = `import { register } from ${tsx}; register(); await import(${JSON.stringify(url.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
