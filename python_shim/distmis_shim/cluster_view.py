"""The nodes as Ray knows them at one moment."""

import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import ray

# Ray's public API has the free resources only summed over all nodes.
from ray._private.state import available_resources_per_node

from distmis_shim.contract import pb


@dataclass(frozen=True)
class NodeView:
    node_id: str
    name: str
    host_name: str
    address: str
    alive: bool
    total: Mapping[str, float]
    free: Mapping[str, float]
    labels: Mapping[str, str]
    death_cause: str = ""
    # Of Ray's daemon there (the raylet).
    port: int = 0


def _node(row: Mapping, free: Mapping[str, Mapping[str, float]]) -> NodeView:
    alive = bool(row["Alive"])
    total = {name: amount for name, amount in row["Resources"].items() if not name.startswith("node:")}
    its_free = free.get(row["NodeID"], {}) if alive else {}
    given_name = row.get("NodeName") or ""
    address, host_name = row["NodeManagerAddress"], row["NodeManagerHostname"]
    return NodeView(
        node_id=row["NodeID"],
        # Ray's own default for the name is the address.
        name=given_name if given_name and given_name != address else host_name,
        host_name=host_name,
        address=address,
        alive=alive,
        total=total if alive else {},
        # Ray leaves out what is used up, and adds resources for the bundles of placement groups.
        free={name: max(0.0, its_free.get(name, 0.0)) for name in total} if alive else {},
        labels=dict(row.get("Labels") or {}),
        death_cause="" if alive else row.get("DeathReasonMessage") or "unknown",
        port=row.get("NodeManagerPort") or 0,
    )


def look() -> list[NodeView]:
    """Asks Ray's GCS; blocks for milliseconds."""
    free = available_resources_per_node()
    return [_node(row, free) for row in ray.nodes()]


def answers(node: NodeView) -> bool:
    """Whether the node's raylet takes connections; blocks for at most a second."""
    try:
        socket.create_connection((node.address, node.port), timeout=1.0).close()
    except OSError:
        return False
    return True


def holds_bundles(placement_group_id: str) -> bool:
    """Whether some node still accounts for bundles of the placement group."""
    return any(name.endswith(placement_group_id) for free in available_resources_per_node().values() for name in free)


def to_message(node: NodeView) -> pb.Node:
    return pb.Node(
        node_id=node.node_id,
        host_name=node.host_name,
        address=node.address,
        alive=node.alive,
        total={name: amount for name, amount in node.total.items() if math.isfinite(amount)},
        free=dict(node.free),
        labels=dict(node.labels),
        death_cause=node.death_cause,
    )
