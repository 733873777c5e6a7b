/** What clients may ask of a server at once. */

export interface Limits {
  /** Of one message, in either direction. */
  messageBytes: number;
  /** Calls at once on one connection. */
  streams: number;
  /** Connections, of which at most `strangers` have not shown the token yet: then the oldest of these goes. */
  connections: number;
  strangers: number;
  /** For a new connection to show the token in, and for a request to arrive in. */
  patienceSeconds: number;
  /** Requests a second and connection (of a UNIX socket: over all), after a burst of ten times as many. */
  requestsPerSecond: number;
  /** Wrong tokens a second and address, after a burst of ten times as many; beyond, the connection is closed without an answer. */
  failuresPerSecond: number;
  /** Clients that follow a run. */
  attached: number;
  /** Characters of events that wait for a client that reads slowly; beyond, it is told the state anew. */
  backlog: number;
  /** A client is asked so often whether it is there, and has so long to answer. */
  keepaliveSeconds: number;
  keepaliveTimeoutSeconds: number;
}

export const LIMITS: Limits = {
  messageBytes: 4 * 1024 * 1024,
  streams: 32,
  connections: 256,
  strangers: 32,
  patienceSeconds: 10,
  requestsPerSecond: 20,
  failuresPerSecond: 1,
  attached: 64,
  backlog: 1024 * 1024,
  keepaliveSeconds: 20,
  keepaliveTimeoutSeconds: 10,
};

/** How many tokens a bucket holds, in seconds of its rate. */
const BURST_SECONDS = 10;

/** Lets through `perSecond` on the average and ten times as many at once: a token bucket. Returns whether this one may pass. */
export function rateLimit(perSecond: number, now: () => number = () => performance.now()): () => boolean {
  const full = perSecond * BURST_SECONDS;
  let level = full;
  let last = now();
  return () => {
    const time = now();
    level = Math.min(full, level + ((time - last) / 1000) * perSecond);
    last = time;
    if (level < 1) return false;
    level -= 1;
    return true;
  };
}
