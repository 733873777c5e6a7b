/** What `distmis report` does. */
import { formatBytes, paperOf, writeFigures, writePageReport, writePaper } from "../index.ts";
import { writeOut } from "./write-out.ts";

export interface ReportArguments {
  run: string[];
  format: "html" | "md" | undefined;
  output: string | undefined;
  figures: string | undefined;
}

export async function writeReport({ run: runs, format, output, figures }: ReportArguments): Promise<void> {
  const [run] = runs;
  if (run === undefined) return;
  // Markdown may be what standard output is for.
  const say = (line: string): void => void (format === "md" ? process.stderr : process.stdout).write(`${line}\n`);
  const drawn = figures === undefined ? null : await writeFigures(run, figures);
  if (format === "md") {
    if (output === undefined) await writeOut(await paperOf(runs, drawn?.files));
    else await writePaper(runs, output, drawn?.files);
  } else if (drawn === null || format !== undefined || output !== undefined) {
    const { file, bytes, remarks } = await writePageReport(run, output ?? "report.html");
    for (const remark of remarks) say(`note: ${remark}`);
    say(`report: ${file} (${formatBytes(bytes)})`);
  }
  for (const remark of drawn?.remarks ?? []) say(`note: ${remark}`);
  for (const file of drawn?.files ?? []) say(`figure: ${file}`);
}
