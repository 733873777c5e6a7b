// Bundles the browser's part, src/page, into dist/page: `main.js` with the parts that it loads later for `distmis dashboard`, and
// `report.js`, which is all of it in one, for `distmis report`; and `figure.mjs`, which draws charts in Node.
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const source = path.join(root, "src", "page");
const target = path.join(root, "dist", "page");

/** NiiVue reads Zarr through these, and nobody else does: 1.3 MB of WebAssembly that the page never runs. */
const withoutZarrCodecs = {
  name: "without-zarr-codecs",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^numcodecs\/(blosc|lz4|zstd)$/ }, ({ path: name }) => ({ path: name, namespace: "nothing" }));
    onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "export default null;" }));
  },
};

const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "linked",
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [withoutZarrCodecs],
  logLevel: "warning",
};

fs.rmSync(target, { recursive: true, force: true });
await build({ ...common, entryPoints: [path.join(source, "main.tsx")], outdir: target, splitting: true });
await build({ ...common, entryPoints: { report: path.join(source, "main.tsx") }, outdir: target });
const figure = {
  entryPoints: { figure: path.join(source, "figure.ts") },
  platform: "node",
  outExtension: { ".js": ".mjs" },
};
await build({ ...common, ...figure, outdir: target });
await build({ ...common, entryPoints: [path.join(source, "page.css")], outdir: target });
fs.copyFileSync(path.join(source, "page.html"), path.join(target, "page.html"));
