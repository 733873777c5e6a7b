/** A port that nobody listens on. */
import { once } from "node:events";
import net from "node:net";
import { hasErrno } from "../errors/index.ts";

// Below the ports that the system gives away itself (/proc/sys/net/ipv4/ip_local_port_range), so that none is taken meanwhile.
const [FIRST_PORT, LAST_PORT] = [20_000, 32_000];

export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    const server = net.createServer();
    try {
      await once(server.listen(port), "listening");
      server.close();
      await once(server, "close");
      return port;
    } catch (error) {
      if (!hasErrno(error, "EADDRINUSE")) throw error;
    }
  }
}
