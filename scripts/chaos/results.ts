/** The results of two runs of one search, compared to the last bit. */
import fs from "node:fs";
import path from "node:path";

/** What hangs on when and where a trial ran, and how often it was started. */
const MAY_DIFFER = new Set(["seconds", "node", "nodes", "gpus", "attempts", "error", "dir"]);

type Row = Record<string, unknown>;

function rowsOf(runDir: string): Row[] {
  const lines = fs.readFileSync(path.join(runDir, "results.jsonl"), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** results.csv without what may differ: its other cells hold no commas. */
function csvOf(runDir: string): string[] {
  const [header = "", ...lines] = fs.readFileSync(path.join(runDir, "results.csv"), "utf8").trimEnd().split("\n");
  const names = header.split(",");
  // The columns that may differ are the last ones.
  const same = names.findIndex((name) => MAY_DIFFER.has(name));
  return [header, ...lines].map((line) => line.split(",").slice(0, same).join());
}

/** A safetensors file without its metadata, which names times and hosts: the names, types and places of its tensors, and their bytes. */
function tensorsOf(file: string): { names: string; bytes: Buffer } {
  const data = fs.readFileSync(file);
  const end = 8 + Number(data.readBigUInt64LE(0));
  const { __metadata__, ...tensors } = JSON.parse(data.toString("utf8", 8, end));
  return { names: JSON.stringify(tensors), bytes: data.subarray(end) };
}

/** What is not as in the undisturbed run, a line each. */
export function differences(undisturbed: string, disturbed: string): string[] {
  const found: string[] = [];
  const [expected, actual] = [rowsOf(undisturbed), rowsOf(disturbed)];
  const without = (row: Row | undefined): string =>
    JSON.stringify(Object.entries(row ?? {}).filter(([name]) => !MAY_DIFFER.has(name)));
  for (let rank = 0; rank < Math.max(expected.length, actual.length); rank++) {
    const [wanted, is] = [without(expected[rank]), without(actual[rank])];
    if (wanted !== is) found.push(`results.jsonl, row ${rank + 1}: expected ${wanted}, found ${is}`);
  }
  if (csvOf(undisturbed).join("\n") !== csvOf(disturbed).join("\n"))
    found.push("results.csv: not as in the undisturbed run");
  for (const row of expected) {
    const { trial, best } = row as { trial: string; best: { checkpoint: string } | null };
    const name = path.join("trials", trial, best?.checkpoint ?? "");
    const [wanted, is] = [undisturbed, disturbed].map((runDir) => tensorsOf(path.join(runDir, name)));
    if (wanted?.names !== is?.names || wanted?.bytes.equals(is?.bytes ?? Buffer.alloc(0)) !== true)
      found.push(`${name}: other weights`);
  }
  for (const name of fs.readdirSync(disturbed, { recursive: true, encoding: "utf8" }))
    if (/\.tmp(\.old)?$/.test(name)) found.push(`${name}: left over`);
  const models = [undisturbed, disturbed].map((runDir) => fs.readdirSync(path.join(runDir, "model")).sort().join(" "));
  if (models[0] !== models[1]) found.push(`model folder: expected ${models[0]}, found ${models[1]}`);
  return found;
}
