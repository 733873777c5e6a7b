/** The one connection to the cluster that all experiments of a server share. */
import { type Cluster, type ConnectOptions, connect } from "../cluster/index.ts";

export interface ClusterHolder {
  /** The cluster, connected anew if the last one was lost. Errors: as connect's. */
  get(): Promise<Cluster>;
  close(): Promise<void>;
}

export function holdCluster(options: ConnectOptions, log: (line: string) => void): ClusterHolder {
  let current: Promise<Cluster> | null = null;
  const closing: Promise<void>[] = [];

  const open = async (): Promise<Cluster> => {
    const cluster = await connect(options);
    void cluster.lost.then((reason) => {
      log(`the cluster was lost: ${reason}`);
      current = null;
      closing.push(cluster.close());
    });
    return cluster;
  };

  return {
    get() {
      if (current === null) {
        current = open();
        current.catch(() => {
          current = null;
        });
      }
      return current;
    },
    async close() {
      await (await current?.catch(() => null))?.close();
      await Promise.all(closing);
    },
  };
}
