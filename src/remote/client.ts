/** The client of a server of experiments. */
import { lstat } from "node:fs/promises";
import { type ChannelCredentials, type ClientUnaryCall, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  defaultTokenFile,
  formatAddress,
  isLoopback,
  loadCertificate,
  parseAddress,
  readToken,
  type ServerAddress,
} from "../access/index.ts";
import type { Experiment } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { ExperimentState, type ExperimentStatus, ServerServiceClient } from "../generated/distmis/v1/server.ts";
import { fromStatus } from "./errors.ts";
import { followRun, type RemoteRun, type RemoteRunOptions } from "./follow.ts";

export interface ServerOptions {
  /** `unix:PATH`, `HOST:PORT`, or `local`: this user's server on this machine. */
  address: string;
  /** For a server on TCP; default: DISTMIS_TOKEN_FILE, or `distmis/token` in the user's folder of settings. */
  tokenFile?: string;
  /** The server's certificate, as PEM, for a server with TLS. */
  certificateFile?: string;
}

export interface Submitting {
  /** Name of the run; default: the experiment's. */
  run?: string;
  /** Under the next free name (NAME-2, ...), rather than continuing the run that is there. */
  fresh?: boolean;
  /** Continues the run that is there with an experiment that asks for more. */
  extend?: boolean;
  /** Runs its failed trials again. */
  retryFailed?: boolean;
  /** Refuses a run whose checkpoints will not find room on the disk, the default. */
  diskCheck?: boolean;
}

/** How an experiment stands on the server. */
export interface ExperimentInfo {
  run: string;
  state: "queued" | "running" | "stopping" | "finished" | "cancelled" | "failed";
  /** On the server, absolute. */
  runDir: string;
  /** Since when it is in this state: ISO 8601, UTC. */
  since: string;
  /** `total` is null if that is open. */
  trials: { ended: number; total: number | null; running: number };
  metric: string;
  best: number | null;
  /** Why it failed. */
  error: string | null;
}

export interface RemoteServer {
  readonly address: string;
  /** Hands an experiment in. Its paths are the server's. Errors: those of the server, see `fromStatus`. */
  submit(experiment: Experiment, options?: Submitting): Promise<ExperimentInfo>;
  /** Follows a run to its end, from how it stands now. */
  attach(run: string, options?: RemoteRunOptions): RemoteRun;
  list(): Promise<{ experiments: ExperimentInfo[]; version: string; host: string; runsDir: string }>;
  /** Resolves when it has stopped; `now` kills its trials. */
  cancel(run: string, now?: boolean): Promise<ExperimentInfo>;
  close(): void;
}

export type { RemoteRun } from "./follow.ts";

const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const DEADLINE_MS = 60_000;
/** Running trials end after their step, and are killed if that takes long. */
const CANCEL_DEADLINE_MS = 300_000;

/**
 * Makes a client; the connection is made with the first call.
 * @throws DistmisError USAGE (the address), FILE_UNUSABLE (token or certificate), ACCESS_DENIED (a socket of another user),
 * SERVER_UNAVAILABLE (no socket)
 */
export async function connectServer(options: ServerOptions): Promise<RemoteServer> {
  const parsed = parseAddress(options.address, "--server");
  const address = formatAddress(parsed);
  if (parsed.kind === "unix") await checkSocket(parsed.path);
  const metadata = await callMetadata(parsed, options);
  const client = new ServerServiceClient(address, await channelCredentials(parsed, options), {
    // Clusters set http_proxy for the web.
    "grpc.enable_http_proxy": 0,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    // A network that went away without a word.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // We try again ourselves, and say so.
    "grpc.initial_reconnect_backoff_ms": 500,
    "grpc.max_reconnect_backoff_ms": 2_000,
  });

  const unary = <Request, Response>(
    method: (
      request: Request,
      metadata: Metadata,
      options: { deadline: number },
      callback: (error: ServiceError | null, response: Response) => void,
    ) => ClientUnaryCall,
    request: Request,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      method.call(client, request, metadata, { deadline: Date.now() + deadlineMs }, (error, response) => {
        if (error === null) resolve(response);
        else reject(fromStatus(error, address));
      });
    });

  return {
    address,
    async submit(experiment, options = {}) {
      const { run = "", fresh = false, extend = false, retryFailed = false, diskCheck = true } = options;
      const request = { run, fresh, extend, retryFailed, noDiskCheck: !diskCheck };
      const response = await unary(client.submit, { ...request, experimentJson: JSON.stringify(experiment) });
      return infoOf(response.experiment);
    },
    attach: (run, attachOptions = {}) => followRun(() => client.attach({ run }, metadata), address, attachOptions),
    async list() {
      const { experiments, distmisVersion, hostName, runsDir } = await unary(client.listExperiments, {});
      return { experiments: experiments.map(infoOf), version: distmisVersion, host: hostName, runsDir };
    },
    async cancel(run, now = false) {
      return infoOf((await unary(client.cancel, { run, now }, CANCEL_DEADLINE_MS)).experiment);
    },
    close: () => client.close(),
  };
}

/** A socket that another user made could be anybody's. */
async function checkSocket(file: string): Promise<void> {
  const found = await lstat(file).catch((error: unknown) => {
    const why = hasErrno(error, "ENOENT") ? "there is no such socket" : messageOf(error);
    const hint = "start a server with `distmis serve`, or name another one with --server";
    throw new DistmisError("SERVER_UNAVAILABLE", `${file}: ${why}; ${hint}`, { cause: error });
  });
  if (found.uid === process.getuid?.()) return;
  throw new DistmisError("ACCESS_DENIED", `${file}: belongs to the user with id ${found.uid}, not to you`);
}

async function callMetadata(address: ServerAddress, { tokenFile }: ServerOptions): Promise<Metadata> {
  const metadata = new Metadata();
  if (address.kind === "tcp")
    metadata.set("authorization", `Bearer ${await readToken(tokenFile ?? defaultTokenFile())}`);
  return metadata;
}

async function channelCredentials(
  address: ServerAddress,
  { certificateFile }: ServerOptions,
): Promise<ChannelCredentials> {
  if (certificateFile !== undefined && address.kind === "tcp") {
    return credentials.createSsl((await loadCertificate(certificateFile)).certificate);
  }
  if (isLoopback(address)) return credentials.createInsecure();
  throw new DistmisError(
    "USAGE",
    `--server ${formatAddress(address)}: the token is not sent to another machine without TLS; copy the server's server.crt here, and name it with --tls-cert`,
  );
}

const STATES: Record<number, ExperimentInfo["state"]> = {
  [ExperimentState.EXPERIMENT_STATE_QUEUED]: "queued",
  [ExperimentState.EXPERIMENT_STATE_RUNNING]: "running",
  [ExperimentState.EXPERIMENT_STATE_STOPPING]: "stopping",
  [ExperimentState.EXPERIMENT_STATE_FINISHED]: "finished",
  [ExperimentState.EXPERIMENT_STATE_CANCELLED]: "cancelled",
  [ExperimentState.EXPERIMENT_STATE_FAILED]: "failed",
};

function infoOf(status: ExperimentStatus | undefined): ExperimentInfo {
  const state = status && STATES[status.state];
  if (status === undefined || state === undefined)
    throw new DistmisError(
      "SERVER_UNAVAILABLE",
      "the server is not of this version of distmis: it told of no experiment",
    );
  const { run, runDir, since, metric, trialsEnded, trialsTotal, trialsRunning, best, failure } = status;
  const trials = { ended: trialsEnded, total: trialsTotal ?? null, running: trialsRunning };
  return { run, state, runDir, since, trials, metric, best: best ?? null, error: failure?.message ?? null };
}
