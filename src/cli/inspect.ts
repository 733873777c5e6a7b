/** `distmis inspect` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import type { NiftiInspection } from "../index.ts";
import { failWith } from "./fail.ts";

interface Arguments {
  files: string[];
  json: boolean;
}

export const inspectCommand: CommandModule<object, Arguments> = {
  command: "inspect <files..>",
  describe: "What is in NIfTI files: shape, spacing, orientation, values, checksum",
  builder: (yargs) =>
    yargs
      .positional("files", {
        type: "string",
        array: true,
        demandOption: true,
        describe: "NIfTI files, plain or gzipped; of a header/image pair, either one",
      })
      .option("json", { type: "boolean", default: false, describe: "Print one line of JSON for each file" })
      .example("$0 inspect scan.nii.gz", "for people")
      .example("$0 inspect --json labelsTr/*.nii.gz | jq -c '[.file, .max]'", "the largest value of each label file"),
  handler: async ({ files, json }) => {
    const { inspectNifti } = await import("../index.ts");
    let blocks = 0;
    for (const file of files) {
      try {
        const found = await inspectNifti(file);
        if (json) console.log(JSON.stringify(found));
        else console.log(`${blocks++ > 0 ? "\n" : ""}${describe(found)}`);
      } catch (error) {
        // The other files are shown all the same.
        if (!(error instanceof DistmisError)) throw error;
        failWith(error);
      }
    }
  },
};

function describe(found: NiftiInspection): string {
  const { file, shape, dtype, endian, slope, inter, affine, spacing, orientation, nonfinite } = found;
  const order = dtype.endsWith("8") ? "" : `, ${endian === "<" ? "little" : "big"}-endian`;
  const scaling = slope === 1 && inter === 0 ? "" : `, value = ${slope} * stored + ${inter}`;
  const show = (value: number | null): string => (value === null ? "none" : String(Number(value.toPrecision(10))));
  const rows = affine.slice(0, 3).map((row) => row.map((value) => String(Number(value.toPrecision(6)))));
  const width = Math.max(...rows.flat().map((text) => text.length));
  const values = `min ${show(found.min)}, max ${show(found.max)}, sum ${show(found.sum)}`;
  const lines: [string, string][] = [
    ["shape", shape.join(" x ")],
    ["stored as", `${dtype}${order}${scaling}`],
    ["spacing", `${spacing.map((edge) => Number(edge.toPrecision(6))).join(" x ")} mm`],
    ["orientation", orientation ?? "none: the affine is singular"],
    ...rows.map((row, index): [string, string] => [
      index === 0 ? "affine" : "",
      row.map((text) => text.padStart(width)).join("  "),
    ]),
    ["values", `${values}${nonfinite > 0 ? ` of the finite ones; ${nonfinite} are NaN or infinite` : ""}`],
    ["sha256", found.sha256],
  ];
  return [file, ...lines.map(([name, value]) => `  ${name.padEnd(11)}  ${value}`)].join("\n");
}
