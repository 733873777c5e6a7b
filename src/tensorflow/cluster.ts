/** The TensorFlow cluster that the replicas of a trial form; collective.ts computes over it. */
import net from "node:net";
import { DistmisError } from "../errors/index.ts";
import type { ConfigProto } from "../generated/tensorflow/config.ts";
import { ServerDef } from "../generated/tensorflow/tensorflow_server.ts";

/**
 * The replicas of a data-parallel trial, each a process of its own with TensorFlow's gRPC server.
 *
 * The server listens on ALL interfaces of its node, IPv4 and IPv6 (`ss -ltn` shows *:port; TensorFlow takes no address to
 * bind to, the hosts of `addresses` only say where to reach the others), and asks nobody who he is: who reaches the port can
 * run operations in the process. It lives as long as the process and can't be shut down within it. process.exit ends both at
 * once (TensorFlow warns "Servers don't support clean shutdown"); best when all replicas are through with their last call.
 */
export interface Cluster {
  /** "host:port" of each replica, the same list in the same order on all of them; IPv6 in brackets. */
  addresses: readonly string[];
  /** Which of them this process is, from 0. */
  rank: number;
}

const JOB = "worker";

/** What TensorFlow says where gRPC could not bind the port. */
const NOT_BOUND = "Could not start gRPC server";

/** Host (an IPv6 address without its brackets) and port of "host:port"; undefined where it is not of this form. */
function parseAddress(address: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain ?? "";
  const legal = bracketed ? net.isIPv6(host) : /^[0-9.]+$/.test(host) ? net.isIPv4(host) : host !== "";
  const port = Number(digits);
  return legal && port >= 1024 && port <= 65_535 ? { host, port } : undefined;
}

/** @throws DistmisError CONFIG_INVALID that names the address or rank which is not legal. */
function checkCluster({ addresses, rank }: Cluster): void {
  for (const [index, address] of addresses.entries()) {
    if (!parseAddress(address)) {
      throw new DistmisError(
        "CONFIG_INVALID",
        `cluster address of replica ${index}: expected "host:port" with a host name or IP address (IPv6 in brackets) and a port from 1024 to 65535, found "${address}"`,
      );
    }
    const first = addresses.indexOf(address);
    if (first < index) {
      throw new DistmisError(
        "CONFIG_INVALID",
        `replicas ${first} and ${index} have the same cluster address ${address}`,
      );
    }
  }
  if (!Number.isInteger(rank) || rank < 0 || rank >= addresses.length) {
    throw new DistmisError(
      "CONFIG_INVALID",
      `rank ${rank} is not among the ${addresses.length} replicas of the cluster`,
    );
  }
}

/**
 * The part of a session's configuration that collective operations need: replica 0 decides who is in a group. A buffer goes
 * over the wire in pieces of 64 kB: with TensorFlow's own 4 kB the ring takes a tenth to a third longer for 16 MB and more,
 * and in one piece (-1) large ones take longer still.
 */
export const COLLECTIVE: ConfigProto["experimental"] = {
  collectiveGroupLeader: `/job:${JOB}/replica:0/task:0`,
  recvBufMaxChunk: 65_536,
};

/**
 * The serialised tensorflow.ServerDef of this process. Has gRPC reach the replicas directly, where http_proxy is set: it
 * reads the environment whenever it connects, and would wait for ever for a proxy that does not know them.
 */
export function serverDefinition(cluster: Cluster, config: ConfigProto): Uint8Array {
  checkCluster(cluster);
  const direct = process.env.no_grpc_proxy ?? process.env.no_proxy;
  const hosts = cluster.addresses.map((address) => parseAddress(address)?.host);
  process.env.no_grpc_proxy = [...new Set([...(direct ? [direct] : []), ...hosts])].join(",");
  return ServerDef.encode({
    cluster: { job: [{ name: JOB, tasks: { ...cluster.addresses } }] },
    jobName: JOB,
    taskIndex: cluster.rank,
    protocol: "grpc",
    defaultSessionConfig: config,
  }).finish();
}

/** What TensorFlow said when it should have joined, as an error that a person or the gang's restart can act on. */
export function joinFailure({ addresses, rank }: Cluster, message: string, cause: unknown): DistmisError {
  const address = addresses[rank];
  return message.includes(NOT_BOUND)
    ? new DistmisError("PORT_TAKEN", `replica ${rank} can't listen at ${address}: the port is in use`, { cause })
    : new DistmisError("TRAINER_FAILED", `replica ${rank} can't join the cluster as ${address}: ${message}`, { cause });
}
