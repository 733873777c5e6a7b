/** The server of the page. */
import { lookup } from "node:dns/promises";
import { ensureToken, isLoopback } from "../access/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { type Asset, readAssets } from "./assets.ts";
import { followBoards } from "./boards.ts";
import { streamEvents } from "./events.ts";
import { guard, newToken } from "./guard.ts";
import { addRoutes, notFound } from "./routes.ts";

export interface DashboardOptions {
  /** Name or address to listen at; default: 127.0.0.1, which this machine alone can reach. */
  host?: string;
  /** Default: one that is free. */
  port?: number;
  /** File of the token, mode 0600, made if it is not there; default: a random token for this start. */
  tokenFile?: string;
}

export interface Dashboard {
  /** With the token: whoever has it can see the runs. */
  url: string;
  /** Whether other machines can reach it. Nothing is encrypted. */
  open: boolean;
  close(): Promise<void>;
}

/** Pages at once; each has a stream. */
const MOST_STREAMS = 64;

/**
 * Serves a page that shows runs, also while they go on.
 * @param dirs folders of runs
 * @throws DistmisError FILE_UNUSABLE if one of them is none, SETUP_INCOMPLETE if the page is not built, SERVER_UNAVAILABLE if the
 * address can't be listened at
 */
export async function serveDashboard(
  dirs: readonly string[],
  { host = "127.0.0.1", port = 0, tokenFile }: DashboardOptions = {},
): Promise<Dashboard> {
  const assets = await readAssets();
  const token = tokenFile === undefined ? newToken() : (await ensureToken(tokenFile)).token;
  const boards = await followBoards(dirs);
  const closing = new AbortController();
  // Loaded here: every command and every orchestrator loads this module, and hardly any serves pages.
  const { default: fastify } = await import("fastify");
  const server = fastify({ forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
  let streams = 0;
  await guard(server, token);
  addRoutes(server, boards);
  const send = (name: string): Asset => {
    const asset = assets.get(name);
    if (asset === undefined) throw notFound(`file ${name}`);
    return asset;
  };
  server.get("/", (_request, reply) => {
    const { type, bytes } = send("page.html");
    return reply.type(type).send(bytes);
  });
  server.get<{ Params: { name: string } }>("/assets/:name", ({ params }, reply) => {
    const { type, bytes } = send(params.name);
    return reply.type(type).send(bytes);
  });
  server.get("/api/events", async (_request, reply) => {
    if (streams >= MOST_STREAMS) return reply.code(503).send({ message: "too many pages are open" });
    reply.hijack();
    reply.raw.writeHead(200, { ...reply.getHeaders(), "content-type": "text/event-stream" } as Record<string, string>);
    streams++;
    try {
      await streamEvents(reply.raw, boards, closing.signal);
    } finally {
      streams--;
    }
  });
  try {
    await server.listen({ host, port });
  } catch (error) {
    await boards.close();
    throw new DistmisError(
      "SERVER_UNAVAILABLE",
      `--host ${host} --port ${port}: can't be listened at: ${messageOf(error)}`,
    );
  }
  const address = server.server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${bound}/?token=${encodeURIComponent(token)}`,
    open: !(await reachesOnlyHere(host)),
    async close() {
      closing.abort();
      await server.close();
      await boards.close();
    },
  };
}

async function reachesOnlyHere(host: string): Promise<boolean> {
  const found = await lookup(host, { all: true });
  return found.every(({ address }) => isLoopback({ kind: "tcp", host: address, port: 0 }));
}
