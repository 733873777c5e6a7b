/** `distmis serve`: a server that runs experiments for clients, from its start to its end. */
import { realpath } from "node:fs/promises";
import path from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import {
  ensureToken,
  formatAddress,
  isLoopback,
  loadCertificate,
  parseAddress,
  type ServerAddress,
  tokenCheck,
} from "../access/index.ts";
import { settlesWithin } from "../async/index.ts";
import type { ConnectOptions } from "../cluster/index.ts";
import { DistmisError, unwritable } from "../errors/index.ts";
import { ServerServiceService } from "../generated/distmis/v1/server.ts";
import { takeLock } from "../lock/index.ts";
import { makeFolder } from "../paths/index.ts";
import { holdCluster } from "./cluster-holder.ts";
import { createExperiments } from "./experiments.ts";
import { type FrontDoor, openFrontDoor } from "./front-door.ts";
import { createGuard } from "./guard.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { openQueueFile, SERVER_FOLDER } from "./queue-file.ts";
import { createService } from "./service.ts";

export interface ServeOptions {
  /** `unix:PATH`, `HOST:PORT` or `local`, the default: this user's socket on this machine. */
  listen?: string;
  /** Run folders lie below it; shared by all nodes. */
  runsDir: string;
  /** How many experiments run at once; default 1: the others wait. */
  maxExperiments?: number;
  /** Of a server on TCP; made if it is not there. */
  tokenFile: string;
  /** PEM files; needed beyond loopback. */
  tls?: { certificateFile: string; keyFile: string };
  cluster?: ConnectOptions;
  /** A line for the server's log. */
  log?: (line: string) => void;
}

export interface ExperimentServer {
  /** What clients say with `--server`. */
  readonly address: string;
  /** Absolute. */
  readonly runsDir: string;
  /** Null on a UNIX socket, which needs none. */
  readonly token: { file: string; made: boolean } | null;
  /** How many experiments of before go on or wait. */
  readonly waiting: number;
  /** Stops the runs, which go on when a server starts again; `kill` kills their trials. Idempotent. */
  close(kill?: AbortSignal): Promise<void>;
}

/** For the last words to clients. */
const GOODBYE_MS = 2_000;

/**
 * Starts a server.
 * @throws DistmisError USAGE (what it listens at, a server beyond loopback without TLS), FILE_UNUSABLE (runs, socket, token,
 * certificate), RUN_REFUSED (another server works in this folder), and what connecting to the cluster throws
 */
export async function serve(options: ServeOptions): Promise<ExperimentServer> {
  const { maxExperiments: atOnce = 1, log = () => {}, tls } = options;
  const limits = LIMITS;
  const address = parseAddress(options.listen ?? "local", "--listen");
  if (!Number.isInteger(atOnce) || atOnce < 1)
    throw new DistmisError("USAGE", `--max-experiments: expected a whole number of at least 1, found ${atOnce}`);
  checkSecurity(address, tls !== undefined);
  const pem = tls === undefined ? null : await loadCertificate(tls.certificateFile, tls.keyFile);
  const token = address.kind === "unix" ? null : await ensureToken(options.tokenFile);
  await makeFolder(path.join(options.runsDir, SERVER_FOLDER));
  const runsDir = await realpath(options.runsDir);
  const words = { what: "this folder of runs", instead: "name another one with --runs-dir" };
  const undo: (() => Promise<void>)[] = [];
  try {
    const lockFile = path.join(runsDir, SERVER_FOLDER, "server.lock");
    const lock = await takeLock(lockFile, words).catch((error: unknown) => {
      throw unwritable(lockFile, error);
    });
    undo.push(lock.release);
    const { file, experiments: known } = await openQueueFile(runsDir, lock.confirm);
    const cluster = holdCluster(options.cluster ?? {}, log);
    undo.push(cluster.close);

    const experiments = createExperiments({ runsDir, atOnce, backlog: limits.backlog, cluster, file, known, log });
    let door: FrontDoor | null = null;
    const guard = createGuard({
      checkToken: token === null ? null : tokenCheck(token.token),
      door: () => door,
      limits,
      log,
    });
    const grpc = new Server({ ...channelOptions(limits), interceptors: [guard] });
    grpc.addService(ServerServiceService, createService(experiments, { runsDir, limits, log }));
    const credentials =
      pem === null
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [{ cert_chain: pem.certificate, private_key: pem.key }]);
    door = await openFrontDoor(address, grpc.createConnectionInjector(credentials), limits);
    undo.push(door.close, () => shutDown(grpc));
    // What is wrong with the cluster is said now, not to the first client.
    await cluster.get();
    experiments.start();

    let closing: Promise<void> | undefined;
    const close = async (kill: AbortSignal): Promise<void> => {
      await experiments.close(kill);
      for (const step of undo.toReversed()) await step();
    };
    return {
      address: formatAddress(door.address),
      runsDir,
      token: token === null ? null : { file: options.tokenFile, made: token.made },
      waiting: known.filter(({ state }) => state === "queued" || state === "running").length,
      close(kill = new AbortController().signal) {
        closing ??= close(kill);
        return closing;
      },
    };
  } catch (error) {
    for (const step of undo.toReversed()) await step();
    throw error;
  }
}

function checkSecurity(address: ServerAddress, tls: boolean): void {
  if (tls && address.kind === "unix")
    throw new DistmisError("USAGE", `--tls-cert: ${formatAddress(address)} is a UNIX socket, which needs no TLS`);
  if (tls || isLoopback(address)) return;
  throw new DistmisError(
    "USAGE",
    `--listen ${formatAddress(address)}: others can reach this address, and without TLS read all that is said, the token too; ` +
      "make a certificate with `distmis certificate`, and name it with --tls-cert and --tls-key",
  );
}

function channelOptions(limits: Limits) {
  return {
    "grpc.max_receive_message_length": limits.messageBytes,
    "grpc.max_send_message_length": limits.messageBytes,
    "grpc.max_concurrent_streams": limits.streams,
    "grpc.keepalive_time_ms": limits.keepaliveSeconds * 1000,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutSeconds * 1000,
    // Statistics of every connection, for a service that is not there.
    "grpc.enable_channelz": 0,
  };
}

/** Lets calls end that are about to. */
async function shutDown(grpc: Server): Promise<void> {
  await settlesWithin(new Promise<void>((resolve) => grpc.tryShutdown(() => resolve())), GOODBYE_MS);
  grpc.forceShutdown();
}
