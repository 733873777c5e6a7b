/** By which address the other nodes reach this one. */
import dns from "node:dns/promises";
import os from "node:os";
import { DistmisError } from "../errors/index.ts";

/** IPv4 addresses of this machine by interface, loopback left out. */
function addresses(): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, all] of Object.entries(os.networkInterfaces())) {
    const address = all?.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
    if (address !== undefined) found.set(name, address);
  }
  return found;
}

/**
 * The IPv4 address of an interface; without one, that to which the node's name leads, if it is one of this machine's (Debian has
 * names lead to 127.0.1.1), else the first one that there is.
 * @throws DistmisError CONFIG_INVALID if there is no such interface, with those that there are
 */
export async function ownAddress(interfaceName: string | null, hostName: string): Promise<string> {
  const all = addresses();
  if (interfaceName !== null) {
    const address = all.get(interfaceName);
    if (address !== undefined) return address;
    const there = [...all].map(([name, its]) => `${name} (${its})`).join(", ");
    throw new DistmisError(
      "CONFIG_INVALID",
      `--interface ${interfaceName}: ${hostName} has no such interface with an IPv4 address; it has ${there || "none"}`,
    );
  }
  const named = await dns.lookup(hostName, { family: 4, all: true }).catch(() => []);
  const own = new Set(all.values());
  const address = named.find((each) => own.has(each.address))?.address ?? [...own][0];
  if (address === undefined) throw new DistmisError("CLUSTER_UNAVAILABLE", `${hostName} has no IPv4 address`);
  return address;
}
