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
  if (format === "md") {
    if (output === undefined) await writeOut(await paperOf(runs));
    else await writePaper(runs, output);
  } else if (figures === undefined || format !== undefined || output !== undefined) {
    const { file, bytes, remarks } = await writePageReport(run, output ?? "report.html");
    for (const remark of remarks) say(`note: ${remark}`);
    say(`report: ${file} (${formatBytes(bytes)})`);
  }
  if (figures !== undefined) {
    const { files, remarks } = await writeFigures(run, figures);
    for (const remark of remarks) say(`note: ${remark}`);
    for (const file of files) say(`figure: ${file}`);
  }
}
