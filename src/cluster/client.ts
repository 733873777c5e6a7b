/** The gRPC clients of the shim. */
import {
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { DistmisError } from "../errors/index.ts";
import { ClusterServiceClient } from "../generated/distmis/v1/cluster.ts";
import { StudyServiceClient } from "../generated/distmis/v1/study.ts";

/** Both sides cut the pipes' bytes into pieces far below this. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Answers of the shim take milliseconds; a busy machine or GCS some seconds. */
const UNARY_DEADLINE_MS = 60_000;

export interface Clients {
  cluster: ClusterServiceClient;
  study: StudyServiceClient;
}

/** Both services over one connection; to be closed by `cluster.close()`. */
export function createClients(socketPath: string): Clients {
  const address = `unix:${socketPath}`;
  const cluster = new ClusterServiceClient(address, credentials.createInsecure(), {
    // Clusters set http_proxy; a socket on this machine needs none.
    "grpc.enable_http_proxy": 0,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    // A shim that hangs (stopped, swapped out) without closing its socket is noticed. gRPC's servers refuse clients that
    // ask more often than every 5 minutes while nothing else is said, as when a gang waits for its place.
    "grpc.keepalive_time_ms": 330_000,
    "grpc.keepalive_timeout_ms": 30_000,
  });
  const study = new StudyServiceClient(address, credentials.createInsecure(), {
    channelOverride: cluster.getChannel(),
  });
  return { cluster, study };
}

/**
 * One call with one answer.
 * @throws DistmisError PLACEMENT_REFUSED if the request makes no sense, else CLUSTER_UNAVAILABLE
 */
export function unary<Request, Response>(
  method: (
    request: Request,
    metadata: Metadata,
    options: { deadline: number },
    callback: (error: ServiceError | null, response: Response) => void,
  ) => ClientUnaryCall,
  request: Request,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    method(request, new Metadata(), { deadline: Date.now() + UNARY_DEADLINE_MS }, (error, response) => {
      if (error === null) resolve(response);
      else reject(rpcError(error));
    });
  });
}

/**
 * All that a call answers.
 * @throws DistmisError as {@link unary}
 */
export async function collect<Response>(call: ClientReadableStream<Response>): Promise<Response[]> {
  const responses: Response[] = [];
  try {
    for await (const response of call) responses.push(response);
    return responses;
  } catch (error) {
    throw rpcError(error as ServiceError);
  }
}

function rpcError(error: ServiceError): DistmisError {
  const code = error.code === status.INVALID_ARGUMENT ? "PLACEMENT_REFUSED" : "CLUSTER_UNAVAILABLE";
  return new DistmisError(code, error.details || error.message, { cause: error });
}
