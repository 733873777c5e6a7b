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

// By the format's own definition, as its reader is no dependency of ours.
const PYTHON = `
import json, struct, sys
import numpy as np
raw = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", raw[:8])[0]
assert size % 8 == 0
header = json.loads(raw[8:8 + size])
meta = header.pop("__metadata__")
data = raw[8 + size:]
out = {}
for name, entry in header.items():
    begin, end = entry["data_offsets"]
    assert entry["dtype"] == "F32"
    out[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).tolist()
print(json.dumps([out, meta["note"]]))
`;

test("what is written is read, here and by the format's definition", async () => {
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
  assert.deepEqual(values["a.kernel"], [
    [1, 2, 3],
    [4, 5, 6.5],
  ]);
  assert.deepEqual(values.empty, []);
  assert.equal(values.b, Math.fround(-1e30));
});

test("a damaged file is refused by name, whatever was damaged", async () => {
  const whole = fs.readFileSync(file);
  const size = Number(whole.readBigUInt64LE());
  const damaged: Record<string, Buffer> = {
    "a flipped bit in the data": Buffer.from(whole.map((byte, index) => (index === 8 + size + 5 ? byte ^ 1 : byte))),
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
