/**
 * Which nodes lose one trial after the other. A loss counts against the node on which it was, until a trial ends well there,
 * and not at all where the trial turns out to be at fault itself. A node that has left the cluster needs no count: when it
 * comes back, Ray takes it for another one.
 */

/** What has been lost on a node since something last went well there. */
export interface NodeRecord {
  /** Trials by their ids, starts of workers by words for them. */
  lost: readonly string[];
  /** Of the last loss, with the path of its log. */
  error: string;
}

export interface NodeFaults {
  /** Something was lost on a node by what may be the node's fault. */
  lost(nodeId: string, what: string, error: string): void;
  /** A trial ended well on these nodes. */
  worked(nodeIds: Iterable<string>): void;
  /** It was not the nodes' fault. */
  forgive(what: string): void;
  /** The nodes on which too much was lost in a row. */
  bad(): ReadonlyMap<string, NodeRecord>;
}

/** @param limit how many different losses in a row are too many; 0: none ever are */
export function createNodeFaults(limit: number): NodeFaults {
  const nodes = new Map<string, { lost: Set<string>; error: string }>();
  return {
    lost(nodeId, what, error) {
      const node = nodes.get(nodeId) ?? { lost: new Set(), error };
      nodes.set(nodeId, node);
      node.lost.add(what);
      node.error = error;
    },
    worked(nodeIds) {
      for (const nodeId of nodeIds) nodes.delete(nodeId);
    },
    forgive(what) {
      for (const { lost } of nodes.values()) lost.delete(what);
    },
    bad() {
      const bad = [...nodes].filter(([, { lost }]) => limit > 0 && lost.size >= limit);
      return new Map(bad.map(([nodeId, { lost, error }]) => [nodeId, { lost: [...lost], error }]));
    },
  };
}
