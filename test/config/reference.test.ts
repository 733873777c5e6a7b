/** docs/configuration.md is what the schema says. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { configurationReference, experimentSchema, modelSchema, trainSchema } from "../../src/config/index.ts";
import { repositoryRoot } from "../support/python.ts";

test("the configuration reference is up to date", () => {
  const page = fs.readFileSync(path.join(repositoryRoot, "docs", "configuration.md"), "utf8");
  assert.equal(page, configurationReference(), "run `npm run docs`");
});

test("it has every field, with an expectation and a description", () => {
  const page = configurationReference();
  for (const section of Object.keys(experimentSchema.shape)) assert.ok(page.includes(`## \`${section}\``), section);
  for (const [section, schema] of [
    ["model", modelSchema],
    ["train", trainSchema],
  ] as const) {
    for (const field of Object.keys(schema.shape)) {
      const row = page.split("\n").find((line) => line.startsWith(`| \`${section}.${field}\` |`));
      assert.ok(row, `${section}.${field}`);
      assert.doesNotMatch(row, /\| {2}\|$/, `${section}.${field} is not described`);
    }
  }
});
