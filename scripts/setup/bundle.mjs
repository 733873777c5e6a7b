// What an archive of `npm run bundle` brings in bundle/: everything that the set-up else fetches from registries.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { inCheckout, root } from "./places.mjs";
import { SetupError } from "./run.mjs";

const folder = path.join(root, "bundle");
const again = "copy the archive again, compare its SHA-256 with what `npm run bundle` printed, and unpack it anew";

/** Lines of `sha256sum`: [digest, path from the root of the installation]. */
function readSums(file) {
  const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const match = /^([0-9a-f]{64}) {2}(\S.*)$/.exec(line);
    if (!match) throw new SetupError(`${file} is damaged: expected the lines of sha256sum, found "${line}"; ${again}`);
    return [match[1], match[2]];
  });
}

/** The SHA-256 of a file, read in pieces: a wheel can have more bytes than a Buffer may. */
export function fileSha256(file) {
  const hash = createHash("sha256");
  const piece = Buffer.alloc(4 * 2 ** 20);
  const fd = fs.openSync(file, "r");
  try {
    for (let read = fs.readSync(fd, piece); read > 0; read = fs.readSync(fd, piece))
      hash.update(piece.subarray(0, read));
  } finally {
    fs.closeSync(fd);
  }
  return hash.digest("hex");
}

function readDescription(file) {
  try {
    const { flavour, pythons } = JSON.parse(fs.readFileSync(file, "utf8"));
    if (["cpu", "cuda"].includes(flavour) && Array.isArray(pythons)) return { flavour, pythons };
  } catch {
    // Said below.
  }
  throw new SetupError(`${file} is missing or damaged; ${again}`);
}

function open() {
  const sums = path.join(folder, "SHA256SUMS");
  if (inCheckout || !fs.existsSync(sums)) return null;
  const { flavour, pythons } = readDescription(path.join(folder, "bundle.json"));
  let verified = false;
  return {
    flavour,
    pythons,
    wheels: path.join(folder, "wheels"),
    nodeModules: path.join(folder, "node_modules.tar.gz"),
    binding: path.join(folder, "tfjs_binding.node"),
    /** The digest that is listed for a file. */
    digest: (file) => readSums(sums).find(([, name]) => path.join(root, name) === file)?.[0] ?? "",
    /** Compares every file with its digest, once. */
    verify() {
      if (verified) return;
      for (const [expected, name] of readSums(sums)) {
        const file = path.join(root, name);
        if (!fs.existsSync(file))
          throw new SetupError(`${file} is missing: the bundle is incomplete, or was not wholly unpacked; ${again}`);
        const found = fileSha256(file);
        if (found !== expected)
          throw new SetupError(`${file} is damaged: expected SHA-256 ${expected}, found ${found}; ${again}`);
      }
      verified = true;
    },
  };
}

let opened;

/** Null outside an unpacked bundle, and where its bundle/ was removed after the set-up to save space. */
export function openBundle() {
  opened ??= { bundle: open() };
  return opened.bundle;
}
