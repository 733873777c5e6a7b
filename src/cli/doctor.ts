/** `distmis doctor` */
import type { CommandModule } from "yargs";

interface Arguments {
  json: boolean;
}

export const doctorCommand: CommandModule<object, Arguments> = {
  command: "doctor",
  describe: "What was found of TensorFlow, Ray, GPUs, SLURM and disks, and what to do about problems",
  builder: (yargs) =>
    yargs
      .option("json", { type: "boolean", default: false, describe: "Print the findings as JSON" })
      .example("$0 doctor", "Look at this machine; exit code 1 if something needs doing"),
  handler: async ({ json }) => {
    const { examine } = await import("../doctor/index.ts");
    const findings = await examine();
    if (json) {
      process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
    } else {
      const width = Math.max(...findings.map(({ subject }) => subject.length));
      for (const { subject, found, remedy } of findings) {
        process.stdout.write(`${remedy === null ? "ok " : "!! "} ${subject.padEnd(width)}  ${found}\n`);
        if (remedy !== null) process.stdout.write(`${" ".repeat(width + 5)}-> ${remedy}\n`);
      }
    }
    if (findings.some(({ remedy }) => remedy !== null)) process.exitCode = 1;
  },
};
