// The licences of what is part of distmis's own files: packages in the page's bundles, and a font.
import fs from "node:fs";
import path from "node:path";

const WORDS = /^(licen[cs]e|copying|copyright|notice)/i;
const root = path.resolve(import.meta.dirname, "..", "..");

/** The folders, relative to the checkout, of the packages that esbuild has taken files from. */
export function packagesOf(metafiles) {
  const inputs = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap((output) =>
      // What was left out of a bundle altogether is named with no bytes.
      Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
    ),
  );
  const folders = inputs.flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(folders)].sort();
}

/**
 * A first paragraph that names the packages, then the words of each one's licence and notices.
 * @throws Error if a package has none: nothing of it may be handed on
 */
export function licencesOf(folders) {
  const packages = folders.map((folder) => {
    const place = path.join(root, folder);
    const { name, version, license } = JSON.parse(fs.readFileSync(path.join(place, "package.json"), "utf8"));
    // NiiVue's package has none: the text of its repository lies here.
    const ours = path.join(import.meta.dirname, `${name.replace("/", "-")}.txt`);
    const words = [...wordsIn(place), ...(fs.existsSync(ours) ? [fs.readFileSync(ours, "utf8").trim()] : [])];
    if (words.length === 0 || typeof license !== "string")
      throw new Error(
        `${name} ${version} in ${folder}: expected a licence in its package.json and in a file, found none`,
      );
    return { title: `${name} ${version} (${license})`, words: words.join("\n\n") };
  });
  const line = "=".repeat(80);
  const all = packages.map(({ title, words }) => `${line}\n${title}\n${line}\n\n${words}\n`);
  return `Contains ${packages.map(({ title }) => title).join(", ")}.\n\n${all.join("\n")}`;
}

/** The texts of a package that are named as licences or notices, also in a folder of them. */
function wordsIn(place) {
  const named = fs.readdirSync(place, { withFileTypes: true }).filter(({ name }) => WORDS.test(name));
  return named.flatMap((entry) => {
    const file = path.join(place, entry.name);
    const files = entry.isDirectory() ? fs.readdirSync(file).map((name) => path.join(file, name)) : [file];
    return files.sort().map((each) => fs.readFileSync(each, "utf8").trim());
  });
}
