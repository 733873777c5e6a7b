/** The options of commands that talk to a server of `distmis serve`. */
import type { Argv } from "yargs";
import type { ServerOptions } from "../index.ts";

export interface ServerArguments {
  server: string | undefined;
  "token-file": string | undefined;
  "tls-cert": string | undefined;
}

const ADDRESS = "Address of a `distmis serve`: HOST:PORT, unix:PATH, or `local` for your own one on this machine";

/** @param server what `--server` does, if it is not needed and has no default */
export function withServerOptions<T>(yargs: Argv<T>, server?: string): Argv<T & ServerArguments> {
  return yargs
    .option("server", {
      type: "string",
      requiresArg: true,
      describe: server ?? ADDRESS,
      ...(server === undefined ? { defaultDescription: "DISTMIS_SERVER, or local" } : {}),
    })
    .option("token-file", {
      type: "string",
      requiresArg: true,
      describe: "With --server HOST:PORT: copy of the server's token, mode 0600",
      defaultDescription: "DISTMIS_TOKEN_FILE, or ~/.config/distmis/token",
    })
    .option("tls-cert", {
      type: "string",
      requiresArg: true,
      describe: "With --server HOST:PORT: copy of the server's certificate, the one that is trusted",
      defaultDescription: "DISTMIS_TLS_CERT",
    });
}

export function serverOptions(args: ServerArguments): ServerOptions {
  const { server, "token-file": tokenFile, "tls-cert": certificate = process.env.DISTMIS_TLS_CERT } = args;
  return {
    address: server ?? (process.env.DISTMIS_SERVER || "local"),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(certificate ? { certificateFile: certificate } : {}),
  };
}

/** What a user types behind the name of a command to reach the same server again. */
export function serverWords({ server, "token-file": tokenFile, "tls-cert": certificate }: ServerArguments): string {
  return [
    ...(server === undefined ? [] : ["--server", server]),
    ...(tokenFile === undefined ? [] : ["--token-file", tokenFile]),
    ...(certificate === undefined ? [] : ["--tls-cert", certificate]),
  ].join(" ");
}
