/** Addresses of a server: a UNIX socket, or a host and a port. */
import { BlockList, isIP } from "node:net";
import path from "node:path";
import { DistmisError } from "../errors/index.ts";

export type ServerAddress =
  /** `path` is absolute. */
  { kind: "unix"; path: string } | { kind: "tcp"; host: string; port: number };

/** The kernel's limit for the path of a UNIX socket, without its closing zero. */
const MAX_SOCKET_PATH = 107;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * The socket of this user's server on this machine. Not below the home folder, which machines share, nor in XDG_RUNTIME_DIR,
 * which goes when the user logs out.
 */
export function defaultSocket(): string {
  return `/tmp/distmis.${process.getuid?.() ?? "user"}/server.sock`;
}

/**
 * Reads `local` (this user's server on this machine), `unix:PATH`, a path with a slash, or `HOST:PORT` (an IPv6 host in brackets).
 * @param option what to call it in an error
 * @throws DistmisError USAGE
 */
export function parseAddress(text: string, option: string): ServerAddress {
  if (text === "local") return { kind: "unix", path: defaultSocket() };
  if (text.startsWith("unix:") || text.includes("/")) {
    const file = path.resolve(text.replace(/^unix:/, ""));
    if (Buffer.byteLength(file) > MAX_SOCKET_PATH) {
      throw new DistmisError(
        "USAGE",
        `${option} ${text}: expected a path of at most ${MAX_SOCKET_PATH} bytes for a UNIX socket, found ${Buffer.byteLength(file)}`,
      );
    }
    return { kind: "unix", path: file };
  }
  const [, bracketed, plain, digits = ""] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new DistmisError("USAGE", `${option} ${text}: expected unix:PATH, HOST:PORT or local`);
  }
  return { kind: "tcp", host, port };
}

/** As {@link parseAddress} reads it. */
export function formatAddress(address: ServerAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only this machine can reach it. A name other than `localhost` may mean anything. */
export function isLoopback(address: ServerAddress): boolean {
  if (address.kind === "unix" || address.host === "localhost") return true;
  const family = isIP(address.host);
  return family !== 0 && loopback.check(address.host, family === 6 ? "ipv6" : "ipv4");
}
