/** docs/troubleshooting.md has a section for every code, and quotes only what distmis says. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { DistmisError, exitCode, isErrorCode } from "../../src/errors/index.ts";
import { repositoryRoot } from "../support/python.ts";

const page = fs.readFileSync(path.join(repositoryRoot, "docs/troubleshooting.md"), "utf8");
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ code: text.slice(0, text.indexOf("\n")), text: text.slice(text.indexOf("\n")) }))
  // The others are of the page.
  .filter(({ code }) => /^[A-Z_]+$/.test(code));

/** Everything below a folder of sources, as the strings in it read. */
function sourcesBelow(folder: string, ending: string): string {
  return fs
    .readdirSync(path.join(repositoryRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.includes("generated"))
    .map((name) => fs.readFileSync(path.join(repositoryRoot, folder, name), "utf8"))
    .join("\n")
    .replaceAll("\\`", "`")
    .replaceAll(/["`] \+\s*["`]/g, "")
    .replaceAll(/"\s*\n\s*f?"/g, "");
}

test("every error code has a section, with its exit code", () => {
  const source = fs.readFileSync(path.join(repositoryRoot, "src/errors/index.ts"), "utf8");
  const codes = [...source.matchAll(/^ {2}"([A-Z_]+)",$/gm)].map(([, code = ""]) => code);
  assert.ok(codes.length > 10 && codes.every(isErrorCode));
  assert.deepEqual(
    sections.map(({ code }) => code),
    codes,
  );
  for (const { code, text } of sections) {
    assert.ok(isErrorCode(code));
    assert.match(text, new RegExp(`Exit code ${exitCode(new DistmisError(code, ""))}\\b`), code);
  }
});

test("the messages that it quotes are in the sources", () => {
  const sources =
    sourcesBelow("src", ".ts") + sourcesBelow("src/page", ".tsx") + sourcesBelow("python_shim/distmis_shim", ".py");
  const quotes = [...page.matchAll(/\*\*`([^`]+)`\*\*/g)].map(([, quote = ""]) => quote);
  assert.ok(quotes.length > 50);
  const unknown = quotes.flatMap((quote) =>
    quote
      .split("…")
      .map((part) => part.replaceAll(/^[\s:;,.()]+|[\s:;,.()]+$/g, ""))
      .filter((part) => !sources.includes(part)),
  );
  assert.deepEqual(unknown, []);
});
