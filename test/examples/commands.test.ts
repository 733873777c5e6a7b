/** Every command of the pages for beginners exists, with the options that they give it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { repositoryRoot } from "../support/python.ts";

const PAGES = ["docs/tutorial.md", "docs/trainer-module.md"];

test("the tutorial's commands have the options that it gives them", { timeout: 60_000 }, async () => {
  const used = new Map<string, Set<string>>();
  for (const page of PAGES) {
    const text = fs.readFileSync(path.join(repositoryRoot, page), "utf8").replaceAll("\\\n", " ");
    for (const [, block = ""] of text.matchAll(/```sh\n([\s\S]*?)```/g))
      for (const [, command = "", rest = ""] of block.matchAll(/bin\/distmis (\S+)([^\n|#]*)/g)) {
        const options = used.get(command) ?? new Set();
        for (const [option] of rest.matchAll(/(?<=\s)-{1,2}[a-z][a-z-]*/g)) options.add(option);
        used.set(command, options);
      }
  }
  assert.ok(used.size >= 10, [...used.keys()].join(" "));
  for (const [command, options] of used) {
    const { stdout } = await promisify(execFile)(path.join(repositoryRoot, "bin/distmis"), [command, "--help"]);
    assert.match(stdout, new RegExp(`^distmis ${command}\\b`), command);
    for (const option of options)
      assert.match(stdout, new RegExp(`(^|[\\s,])${option}\\b`, "m"), `${command} ${option}`);
  }
});
