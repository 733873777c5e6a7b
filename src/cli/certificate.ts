/** `distmis certificate` */
import type { CommandModule } from "yargs";

interface Arguments {
  dir: string;
  host: string[];
  days: number | undefined;
}

export const certificateCommand: CommandModule<object, Arguments> = {
  command: "certificate",
  describe: "Make the certificate of a `distmis serve` that other machines can reach",
  builder: (yargs) =>
    yargs
      .option("dir", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "Folder for server.crt, of which clients get copies, and server.key, which stays",
      })
      .option("host", {
        type: "string",
        array: true,
        demandOption: true,
        requiresArg: true,
        describe: "Names and IP addresses that clients use for the server",
      })
      .option("days", { type: "number", requiresArg: true, describe: "Until it expires", defaultDescription: "825" })
      .example("$0 certificate --dir ~/.config/distmis --host head.cluster.org 10.1.0.1", "For a name and an address"),
  handler: async ({ dir, host, days }) => {
    const { makeCertificate } = await import("../index.ts");
    const made = await makeCertificate({ dir, hosts: host, ...(days === undefined ? {} : { days }) });
    console.log(`certificate for ${made.hosts.join(", ")}, until ${made.validTo.toISOString().slice(0, 10)}`);
    console.log(`server:  --tls-cert ${made.certificateFile} --tls-key ${made.keyFile}`);
    console.log(`clients: --tls-cert with a copy of ${made.certificateFile}`);
    console.log(`SHA-256: ${made.fingerprint}`);
  },
};
