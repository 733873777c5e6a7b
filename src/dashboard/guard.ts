/** Who may see the page: whoever has opened its address with the token, and from then on the cookie. And what the page may do. */
import { createHash, randomBytes } from "node:crypto";
import cookie from "@fastify/cookie";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { tokenCheck } from "../access/index.ts";

/** A random token, for one start of the server. */
export function newToken(): string {
  return randomBytes(24).toString("base64url");
}

/** Everything comes from this server; styles and scripts from its files alone. Pictures and fonts of the viewer are data within its script. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self' data: blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

const STRANGER =
  "This page needs its address with the token, which `distmis dashboard` has printed at its start.\n" +
  "If the server has been started again since, the token is another one.\n";

/** Turns everybody away who has neither the cookie nor the token; the token becomes the cookie and leaves the address. */
export async function guard(server: FastifyInstance, token: string): Promise<void> {
  const isToken = tokenCheck(token);
  // A cookie is of a host, whatever the port: two dashboards must not take each other's, also where both come through ssh.
  const name = `distmis_${createHash("sha256").update(token).digest("hex").slice(0, 16)}`;
  await server.register(cookie);
  server.addHook("onRequest", async (request, reply) => {
    reply.headers(HEADERS);
    const given = tokenOf(request);
    if (given !== null && isToken(given)) return welcome(reply, name, token);
    if (isToken(request.cookies[name] ?? "")) return;
    return reply.code(401).type("text/plain; charset=utf-8").send(STRANGER);
  });
}

function welcome(reply: FastifyReply, name: string, token: string): FastifyReply {
  return reply.setCookie(name, token, { httpOnly: true, sameSite: "strict", path: "/" }).redirect("/", 303);
}

function tokenOf({ query }: FastifyRequest): string | null {
  const given = typeof query === "object" && query !== null && "token" in query ? query.token : null;
  return typeof given === "string" ? given : null;
}
