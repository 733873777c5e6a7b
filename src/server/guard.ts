/** Stands before every call: who is it, and does it ask too often? Before its body is read. */
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { type FrontDoor, peerName } from "./front-door.ts";
import { type Limits, rateLimit } from "./limits.ts";

export interface GuardOptions {
  /** Null: whoever can connect may call. */
  checkToken: ((given: string) => boolean) | null;
  /** Null before it is open. */
  door: () => Pick<FrontDoor, "welcome" | "expel"> | null;
  limits: Limits;
  /** A line for the server's log. */
  log: (line: string) => void;
}

/** Addresses that are remembered for their wrong tokens. */
const MAX_REMEMBERED = 1_000;

export function createGuard({ checkToken, door, limits, log }: GuardOptions): ServerInterceptor {
  const failures = new Map<string, () => boolean>();
  const requests = new Map<string, () => boolean>();

  /** Whether one more wrong token of this address is answered. */
  const tolerated = (address: string): boolean => {
    let limit = failures.get(address);
    if (limit === undefined) {
      limit = rateLimit(limits.failuresPerSecond);
      failures.set(address, limit);
      forgetOldest(failures);
      log(`refused ${address}: wrong or missing token`);
    }
    return limit();
  };

  const mayAsk = (peer: string): boolean => {
    let limit = requests.get(peer);
    if (limit === undefined) {
      limit = rateLimit(limits.requestsPerSecond);
      requests.set(peer, limit);
      forgetOldest(requests);
    }
    return limit();
  };

  return (_method, call) => {
    const { remoteAddress, remotePort } = call.getConnectionInfo();
    const peer = peerName({ remoteAddress, remotePort });
    let late: NodeJS.Timeout | undefined;
    const refuse = (code: status, details: string): void => {
      clearTimeout(late);
      call.sendStatus({ code, details });
    };
    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, pass) {
            if (checkToken !== null && !checkToken(bearer(metadata))) {
              // Not a hint whether it was wrong or missing.
              if (tolerated(remoteAddress ?? "")) refuse(status.UNAUTHENTICATED, "wrong or missing token");
              else door()?.expel(peer);
              return;
            }
            door()?.welcome(peer);
            if (!mayAsk(peer)) {
              const rate = `at most ${limits.requestsPerSecond} requests a second`;
              refuse(status.RESOURCE_EXHAUSTED, `expected ${rate}; try again in a moment`);
              return;
            }
            late = setTimeout(
              () => refuse(status.DEADLINE_EXCEEDED, `the request did not arrive within ${limits.patienceSeconds} s`),
              limits.patienceSeconds * 1000,
            );
            pass(metadata);
          },
          onReceiveHalfClose(pass) {
            clearTimeout(late);
            pass();
          },
          onCancel: () => clearTimeout(late),
        });
      },
    });
  };
}

function bearer(metadata: Metadata): string {
  const [value = ""] = metadata.get("authorization");
  return /^Bearer (.*)$/.exec(String(value))?.[1] ?? "";
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
}
