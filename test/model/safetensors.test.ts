/** Model files: what Python's view of the format finds in them, and what is refused. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { readSafetensors, writeSafetensors } from "../../src/model/safetensors.ts";
import { testPython } from "../support/python.ts";

let dir = "";
let file = "";

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-safetensors-"));
  file = path.join(dir, "model.safetensors");
  const tensors = [
    { name: "a.kernel", shape: [2, 3], data: Float32Array.from([1, 2, 3, 4, 5, 6.5]) },
    { name: "empty", shape: [0], data: new Float32Array() },
    { name: "b", shape: [], data: Float32Array.from([-1e30]) },
  ];
  await writeSafetensors(file, tensors, { format: "distmis", note: "ä" });
});

after(() => fs.rmSync(dir, { recursive: true, force: true }));

const PYTHON = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as file:
    out = {name: [str(file.get_tensor(name).dtype), file.get_tensor(name).tolist()] for name in file.keys()}
    print(json.dumps([out, file.metadata()["note"]]))
`;

test("what is written is read, here and by Python's safetensors", async () => {
  const { tensors, metadata } = await readSafetensors(file);
  assert.equal(metadata.note, "ä");
  assert.deepEqual([...tensors.keys()], ["a.kernel", "empty", "b"]);
  assert.deepEqual(tensors.get("a.kernel"), {
    name: "a.kernel",
    shape: [2, 3],
    data: Float32Array.from([1, 2, 3, 4, 5, 6.5]),
  });
  const [values, note] = JSON.parse(execFileSync(testPython, ["-c", PYTHON, file], { encoding: "utf8" }));
  assert.equal(note, "ä");
  assert.deepEqual(values, {
    "a.kernel": [
      "float32",
      [
        [1, 2, 3],
        [4, 5, 6.5],
      ],
    ],
    empty: ["float32", []],
    b: ["float32", Math.fround(-1e30)],
  });
});

test("a file of Python's safetensors is read", async () => {
  const other = path.join(dir, "python.safetensors");
  const write = `
import sys
import numpy as np
from safetensors.numpy import save_file
save_file({"x": np.arange(6, dtype=np.float32).reshape(2, 3)}, sys.argv[1], {"by": "python"})
`;
  execFileSync(testPython, ["-c", write, other]);
  const { tensors, metadata } = await readSafetensors(other);
  assert.deepEqual(tensors.get("x"), { name: "x", shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
  assert.deepEqual(metadata, { by: "python" });
});

test("a damaged file is refused by name, whatever was damaged", async () => {
  const whole = fs.readFileSync(file);
  const size = Number(whole.readBigUInt64LE());
  const damaged: Record<string, Buffer> = {
    "a flipped bit in the data": Buffer.from(whole.map((byte, index) => (index === 8 + size + 5 ? byte ^ 1 : byte))),
    "another note": Buffer.from(whole.toString("latin1").replace(/"note":"../, '"note":"oe'), "latin1"),
    "cut short": whole.subarray(0, whole.length - 4),
    nothing: Buffer.alloc(0),
    "a header beyond the file": Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 0, 0, 0]), whole.subarray(8)]),
    "a header that is no JSON": Buffer.concat([
      whole.subarray(0, 8),
      Buffer.alloc(size, "x"),
      whole.subarray(8 + size),
    ]),
  };
  for (const [what, bytes] of Object.entries(damaged)) {
    const bad = path.join(dir, "bad.safetensors");
    fs.writeFileSync(bad, bytes);
    await assert.rejects(
      readSafetensors(bad),
      { code: "DATA_INVALID", message: /bad\.safetensors: not a whole model file/ },
      what,
    );
  }
  await assert.rejects(readSafetensors(path.join(dir, "none")), {
    code: "FILE_UNUSABLE",
    message: /none: does not exist/,
  });
});
