/**
 * The listening socket, and how many connections it takes. gRPC's own server can't be told how many, so the connections are
 * accepted here and handed to it.
 */
import { once } from "node:events";
import { chmod, lstat, mkdir, stat, unlink } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import type { ConnectionInjector } from "@grpc/grpc-js";
import { defaultSocket, formatAddress, type ServerAddress } from "../access/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import type { Limits } from "./limits.ts";

export interface FrontDoor {
  /** With the port that was given, should port 0 have been asked for. */
  readonly address: ServerAddress;
  /** The client at this address has shown the token: it may stay. */
  welcome(peer: string): void;
  /** Closes the connection of the client at this address. */
  expel(peer: string): void;
  /** Takes no more connections, and ends those that are there. */
  close(): Promise<void>;
}

interface Visitor {
  readonly socket: net.Socket;
  /** Ends a stranger that does not show the token; null for others. */
  timer: NodeJS.Timeout | null;
}

/** What a connection is called, by the address of its client; empty for all of a UNIX socket. */
export function peerName({ remoteAddress, remotePort }: Pick<net.Socket, "remoteAddress" | "remotePort">): string {
  return remotePort === undefined ? "" : `${remoteAddress}:${remotePort}`;
}

/**
 * Listens. A UNIX socket gets mode 0600, so that whoever can connect is this user: nobody is a stranger there.
 * @throws DistmisError FILE_UNUSABLE (a socket that a living server has, or in a folder that can't be trusted), USAGE (the address)
 */
export async function openFrontDoor(
  address: ServerAddress,
  injector: ConnectionInjector,
  limits: Limits,
): Promise<FrontDoor> {
  const visitors = new Map<net.Socket, Visitor>();
  const byPeer = new Map<string, Visitor>();
  const open = address.kind === "unix";

  const strangers = (): Visitor[] => [...visitors.values()].filter(({ timer }) => timer !== null);

  const server = net.createServer({ noDelay: true, keepAlive: true }, (socket) => {
    // It ends itself; whoever else cares listens, too.
    socket.on("error", () => {});
    const waiting = open ? [] : strangers();
    // The oldest had the most time. A client that has the token shows it with its first call, within milliseconds.
    if (waiting.length >= limits.strangers) waiting[0]?.socket.destroy();
    if (visitors.size >= limits.connections) {
      socket.destroy();
      return;
    }
    const timer = open ? null : setTimeout(() => socket.destroy(), limits.patienceSeconds * 1000);
    const visitor = { socket, timer };
    const peer = peerName(socket);
    visitors.set(socket, visitor);
    byPeer.set(peer, visitor);
    socket.once("close", () => {
      if (visitor.timer !== null) clearTimeout(visitor.timer);
      visitors.delete(socket);
      if (byPeer.get(peer) === visitor) byPeer.delete(peer);
    });
    injector.injectConnection(socket);
  });

  if (address.kind === "unix") await listenUnix(server, address.path);
  else await listenTcp(server, address.host, address.port);
  const bound = server.address();
  return {
    address: address.kind === "tcp" && isAddressInfo(bound) ? { ...address, port: bound.port } : address,
    welcome(peer) {
      const visitor = byPeer.get(peer);
      if (visitor === undefined || visitor.timer === null) return;
      clearTimeout(visitor.timer);
      visitor.timer = null;
    },
    expel: (peer) => byPeer.get(peer)?.socket.destroy(),
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const { socket } of visitors.values()) socket.destroy();
      await closed;
    },
  };
}

function isAddressInfo(bound: string | AddressInfo | null): bound is AddressInfo {
  return typeof bound === "object" && bound !== null;
}

async function listenTcp(server: net.Server, host: string, port: number): Promise<void> {
  try {
    await once(server.listen({ host, port }), "listening");
  } catch (error) {
    const at = formatAddress({ kind: "tcp", host, port });
    const why = hasErrno(error, "EADDRINUSE") ? "another program listens there" : messageOf(error);
    throw new DistmisError("USAGE", `--listen ${at}: ${why}; name another address`, { cause: error });
  }
}

async function listenUnix(server: net.Server, file: string): Promise<void> {
  await trustFolder(path.dirname(file));
  await removeDeadSocket(file);
  try {
    // The kernel makes the socket within this call: no moment in which others could connect.
    const before = process.umask(0o177);
    try {
      server.listen(file);
    } finally {
      process.umask(before);
    }
    await once(server, "listening");
    await chmod(file, 0o600);
  } catch (error) {
    throw new DistmisError("FILE_UNUSABLE", `${file}: can't be listened at: ${messageOf(error)}; name another place`, {
      cause: error,
    });
  }
}

/** The default socket lies in /tmp, where anybody may have made its folder: it must be ours alone. */
async function trustFolder(dir: string): Promise<void> {
  try {
    if (dir === path.dirname(defaultSocket())) {
      await mkdir(dir, { mode: 0o700 }).catch((error: unknown) => {
        if (!hasErrno(error, "EEXIST")) throw error;
      });
    }
    const found = await stat(dir);
    const own = found.uid === process.getuid?.();
    const others = (found.mode & 0o022) !== 0;
    // In a folder that others may write to, they could put their own socket in the place of ours.
    if (others || !(own || found.uid === 0)) {
      const why = others
        ? `others may write to it (mode ${(found.mode & 0o7777).toString(8)})`
        : `it belongs to user ${found.uid}`;
      throw new DistmisError("FILE_UNUSABLE", `${dir}: can't hold the server's socket: ${why}; name another place`);
    }
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't hold the server's socket: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A server that was killed leaves its socket; one that lives answers. */
async function removeDeadSocket(file: string): Promise<void> {
  const found = await lstat(file).catch(() => null);
  if (found === null) return;
  if (!found.isSocket())
    throw new DistmisError("FILE_UNUSABLE", `${file}: expected a socket or nothing, found something else`);
  const socket = net.connect(file);
  try {
    await once(socket, "connect");
  } catch (error) {
    if (!hasErrno(error, "ECONNREFUSED"))
      throw new DistmisError("FILE_UNUSABLE", `${file}: ${messageOf(error)}`, { cause: error });
    await unlink(file).catch(() => {});
    return;
  } finally {
    socket.destroy();
  }
  throw new DistmisError(
    "FILE_UNUSABLE",
    `${file}: another server listens there; use it (\`distmis status\`), or name another place with --listen`,
  );
}
