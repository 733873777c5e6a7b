/**
 * The port of this trainer's TensorFlow server, chosen when the trainer starts, since the other replicas must know it
 * before the first trial. It is held by a socket of ours until TensorFlow takes it, so that no other trainer of the node
 * gets the same one; in the moment between, another process can still take it, which is told as PORT_TAKEN.
 */
import { once } from "node:events";
import net from "node:net";

let holder: net.Server | null = null;

/** Takes a port that is free on all addresses of this node, as TensorFlow's server listens on all of them. */
export async function holdPort(): Promise<number> {
  // A peer that is early must come again.
  const server = net.createServer((socket) => socket.resetAndDestroy());
  server.listen({ port: 0, host: "0.0.0.0" });
  await once(server, "listening");
  server.unref();
  holder = server;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listening server has no port");
  return address.port;
}

/** Frees the port; the socket is closed when this returns. */
export function freePort(): void {
  holder?.close();
  holder = null;
}
