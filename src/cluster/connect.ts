/** From options to a cluster: private folder, shim, client; and back, in the opposite order. */
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { bringUp } from "../allocation/index.ts";
import { DistmisError } from "../errors/index.ts";
import { createPrivateDir } from "../files/index.ts";
import type { StartGang, TrainerProcess } from "../generated/distmis/v1/cluster.ts";
import { connectionOf } from "../local-cluster/index.ts";
import { entryCommand, moduleUrl, packageRoot } from "../paths/index.ts";
import { collect, createClients, unary } from "./client.ts";
import { runGang } from "./gang.ts";
import { startShim } from "./shim-process.ts";
import { openStudy } from "./study.ts";
import type { Cluster, ConnectOptions, GangOptions } from "./types.ts";

/** A shim that dies closes its socket first; this is the time for its exit to be seen. */
const LOSS_MS = 3000;
/** The shim tells of nodes that are late itself. */
const SLACK_SECONDS = 10;

/**
 * Starts the shim, which starts a local Ray or joins the one of `rayAddress`.
 * @throws DistmisError SETUP_INCOMPLETE, CLUSTER_UNAVAILABLE, FILE_UNUSABLE, or INTERRUPTED by `signal`; nothing is left then
 */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  const dir = await createPrivateDir();
  let joined: JoinedRay | null = null;
  try {
    joined = await join(options);
    // Ray lets everybody write to its folder, so it gets one below the private one.
    const socketPath = path.join(dir.path, "shim.sock");
    const shim = await startShim({
      ...options,
      ...(joined === null
        ? {}
        : { rayAddress: joined.address, environment: { ...joined.environment, RAY_AUTH_TOKEN: undefined } }),
      socketPath,
      tempDir: path.join(dir.path, "ray"),
    });
    const own = joined?.close;
    // A Ray that ends with this program takes all of its workers with it: the shim has nothing to tidy up.
    const end = (): Promise<unknown> => (own === undefined ? shim.close() : Promise.all([shim.kill(), own()]));
    try {
      await dir.addOwner(shim.pid);
      // Nodes may still come while the shim joins their head.
      await Promise.all([shim.ready(), joined?.complete]);
    } catch (error) {
      await end();
      throw error;
    }
    // In each call of Ray a shim waits for a head that is gone, and with it who has asked: longer than SLURM lets a job end in peace.
    void joined?.ended?.then(() => shim.kill());
    // A head that is gone is the cause; the shim only hears of it, later.
    const gone = Promise.race([shim.exited, ...(joined?.ended === undefined ? [] : [joined.ended])]);
    return createCluster(socketPath, gone, async () => {
      await end();
      await dir.remove();
    });
  } catch (error) {
    await Promise.all([dir.remove(), joined?.close?.()]);
    throw error;
  }
}

/** A Ray that is there, or one that is made for this program beforehand. */
interface JoinedRay {
  /** host:port of its head. */
  readonly address: string;
  /** What a program needs in its environment to join. */
  readonly environment: Record<string, string>;
  /** Resolves when all of its nodes are there. */
  readonly complete?: Promise<void>;
  /** Resolves with a reason when it has gone. */
  readonly ended?: Promise<string>;
  close?(): Promise<void>;
}

/** The Ray that `rayAddress` names by a word; null if the shim finds or starts it. */
async function join({ rayAddress, slurm, signal, notice }: ConnectOptions): Promise<JoinedRay | null> {
  if (rayAddress === "local") return connectionOf();
  if (rayAddress !== "slurm") return null;
  return bringUp({
    ...slurm,
    ...(signal === undefined ? {} : { signal }),
    ...(notice === undefined ? {} : { notice }),
  });
}

function createCluster(socketPath: string, gone: Promise<string>, end: () => Promise<void>): Cluster {
  const { cluster: client, study: studyClient } = createClients(socketPath);
  let closing: Promise<void> | undefined;

  const lost = new Promise<string>((resolve) => {
    void gone.then((reason) => {
      if (closing === undefined) resolve(reason);
    });
  });

  const reasonOfLoss = async (status: StatusObject): Promise<string> => {
    if (closing !== undefined) return "the cluster was closed";
    return Promise.race([gone, delay(LOSS_MS, status.details || "the shim ended its stream", { ref: false })]);
  };

  return {
    describe: () => unary(client.describeCluster.bind(client), {}),
    check: (gang) => unary(client.checkGang.bind(client), { gang }),
    runGang(gang) {
      if (closing !== undefined)
        throw new DistmisError("CLUSTER_UNAVAILABLE", `gang ${gang.name}: the cluster is closed`);
      return runGang({ call: client.runGang(), start: startMessage(gang), reasonOfLoss });
    },
    runOnNodes: (program, deadlineSeconds) =>
      collect(
        client.runOnNodes({ program, deadlineSeconds }, new Metadata(), {
          deadline: Date.now() + (deadlineSeconds + SLACK_SECONDS) * 1000,
        }),
      ),
    async openStudy(open) {
      if (closing !== undefined) throw new DistmisError("CLUSTER_UNAVAILABLE", "a study: the cluster is closed");
      return openStudy({ call: studyClient.runStudy(), open, reasonOfLoss });
    },
    lost,
    close() {
      closing ??= end().finally(() => client.close());
      return closing;
    },
  };
}

function startMessage({ name, request, placementDeadlineSeconds, trainer }: GangOptions): StartGang {
  return { name, gang: request, trainer: trainer ?? defaultTrainer(request.replicas), placementDeadlineSeconds };
}

/** distmis's own trainer; all nodes see the package at the same path. */
function defaultTrainer(replicas: number): TrainerProcess {
  return {
    command: entryCommand(moduleUrl("trainer/main")),
    environment: { DISTMIS_REPLICAS: String(replicas) },
    workingDirectory: packageRoot(),
  };
}
