// Bundles the browser's part, src/page, into dist/page: `main.js` with the parts that it loads later for `distmis dashboard`, and
// `report.js`, which is all of it in one, for `distmis report`; `figure.mjs`, which draws charts in Node, and the font for it; and
// the licences of all that.
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { licencesOf, packagesOf } from "./licences/index.mjs";

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
  // They are in licences.txt, as a whole.
  legalComments: "none",
  metafile: true,
  absWorkingDir: root,
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [withoutZarrCodecs],
  logLevel: "warning",
};

fs.rmSync(target, { recursive: true, force: true });
const built = [
  await build({ ...common, entryPoints: [path.join(source, "main.tsx")], outdir: target, splitting: true }),
  await build({ ...common, entryPoints: { report: path.join(source, "main.tsx") }, outdir: target }),
  await build({
    ...common,
    entryPoints: { figure: path.join(source, "figure.ts") },
    outdir: target,
    platform: "node",
    outExtension: { ".js": ".mjs" },
  }),
  await build({ ...common, entryPoints: [path.join(source, "page.css")], outdir: target }),
];
fs.copyFileSync(path.join(source, "page.html"), path.join(target, "page.html"));
// One face of the package's 22, which figures are drawn with.
const fonts = path.join("node_modules", "dejavu-fonts-ttf");
fs.copyFileSync(path.join(root, fonts, "ttf", "DejaVuSans.ttf"), path.join(target, "DejaVuSans.ttf"));
const packages = packagesOf(built.map(({ metafile }) => metafile));
fs.writeFileSync(path.join(target, "licences.txt"), licencesOf([...packages, fonts]));
