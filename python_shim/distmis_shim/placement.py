"""Whether a gang fits, how often, and what is missing where it does not. Pure arithmetic, in Ray's units.

All replicas of a gang are alike, so counting how many fit on each node answers the question exactly.
"""

from collections.abc import Iterable, Mapping, Sequence

from distmis_shim.cluster_view import NodeView
from distmis_shim.demand import UNITS, Demand

# Ray's own name for the resource of which a node with such GPUs has 1.
_ACCELERATOR = "accelerator_type:"

# node id -> GPU id -> units of it that this shim's own gangs hold
GpuUse = Mapping[str, Mapping[str, int]]


def _to_units(amount: float) -> int:
    return round(amount * UNITS)


def _gpu_shares(total: int, free: int, ours: Iterable[int]) -> list[int]:
    """Free units of each GPU. Ray tells only their sum; what neither is free nor ours is taken to lie as unluckily as
    it can, on the least used GPUs."""
    shares = [UNITS - used for used in ours]
    shares += [UNITS] * (total // UNITS - len(shares))
    for others in range(max(0, sum(shares) - free), 0, -UNITS):
        shares.sort(reverse=True)
        if shares:
            shares[0] = max(0, shares[0] - min(others, UNITS))
    return shares


def _gpu_count(shares: Sequence[int], need: int) -> int:
    """Replicas by GPUs alone: a share below one must lie on a single GPU, whole ones must be unused."""
    if need < UNITS:
        return sum(share // need for share in shares)
    return sum(share == UNITS for share in shares) // (need // UNITS)


def _eligible(node: NodeView, demand: Demand) -> bool:
    wears = all(node.labels.get(name) == value for name, value in demand.labels.items())
    return wears and node.node_id not in demand.excluded


def _count(node: NodeView, demand: Demand, free: bool, gpu_use: Mapping[str, int]) -> int:
    if not node.alive or not _eligible(node, demand):
        return 0
    counts = []
    for name, need in demand.bundle.items():
        total = _to_units(node.total.get(name, 0))
        there = _to_units(node.free.get(name, 0)) if free else total
        if name == "GPU":
            shares = _gpu_shares(total, there, gpu_use.values()) if free else [UNITS] * (total // UNITS)
            counts.append(_gpu_count(shares, need))
        else:
            counts.append(there // need)
    return min(counts)


def room(nodes: Sequence[NodeView], demand: Demand) -> list[int]:
    """Replicas that fit on each node when it is idle."""
    return [_count(node, demand, False, {}) for node in nodes]


def free_room(nodes: Sequence[NodeView], demand: Demand, gpu_use: GpuUse) -> list[int]:
    """Replicas that fit on each node besides what runs there now."""
    return [_count(node, demand, True, gpu_use.get(node.node_id, {})) for node in nodes]


def gangs(counts: Sequence[int], demand: Demand) -> int:
    """How many gangs fit where so many replicas fit on each node."""
    replicas = demand.replicas
    if demand.strategy == "STRICT_PACK":
        return sum(count // replicas for count in counts)
    most = sum(counts) // replicas
    if demand.strategy != "STRICT_SPREAD":
        return most
    # A node serves each gang at most once. Fewer gangs always fit where more do, so bisection finds the most.
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if sum(min(count, middle) for count in counts) >= middle * replicas:
            least = middle
        else:
            most = middle - 1
    return least


def _amount(name: str, units: int) -> str:
    if name.startswith(_ACCELERATOR):
        kind = name.removeprefix(_ACCELERATOR)
        return f"an accelerator of type {kind}" if units else f"none of type {kind}"
    if name == "memory":
        return f"{units / UNITS / 2**30:.4g} GiB of memory"
    return f"{units / UNITS:g} {name}"


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"


def _none_eligible(alive: Sequence[NodeView], demand: Demand) -> str:
    if not alive:
        return "no node is alive"
    left_out = sum(node.node_id in demand.excluded for node in alive)
    others = f"{len(alive)} nodes alive" + (f", of which {left_out} left out," if left_out else "")
    if not demand.labels:
        return f"all {len(alive)} nodes alive are left out"
    labels = ", ".join(f"{name}={value}" for name, value in demand.labels.items())
    return f"a replica needs a node with the label {labels}; none of the {others} has it"


def missing(nodes: Sequence[NodeView], demand: Demand) -> str:
    """One line on why the gang can never be placed on the nodes of now; empty where it can."""
    counts = room(nodes, demand)
    if gangs(counts, demand) > 0:
        return ""
    alive = [node for node in nodes if node.alive]
    eligible = [node for node in alive if _eligible(node, demand)]
    if not eligible:
        return _none_eligible(alive, demand)
    among = " with its labels" if demand.labels else ""
    if demand.excluded & {node.node_id for node in alive}:
        among += " that is not left out"
    for name, need in demand.bundle.items():
        largest = max(eligible, key=lambda node: node.total.get(name, 0))
        there = _to_units(largest.total.get(name, 0))
        if there < need:
            return (
                f"a replica needs {_amount(name, need)}; the largest node{among} ({largest.name}) has "
                f"{_amount(name, there)}"
            )
    if max(counts) == 0:
        wanted = " and ".join(_amount(name, need) for name, need in demand.bundle.items())
        offers = "; ".join(
            f"{node.name} has " + " and ".join(_amount(n, _to_units(node.total.get(n, 0))) for n in demand.bundle)
            for node in eligible[:3]
        )
        return f"a replica needs {wanted} on one node; {offers}"
    best = nodes[max(range(len(nodes)), key=lambda index: counts[index])]
    if demand.strategy == "STRICT_PACK":
        return (
            f"STRICT_PACK needs room for {_replicas(demand.replicas)} on one node; the largest ({best.name}) has room "
            f"for {max(counts)}"
        )
    if demand.strategy == "STRICT_SPREAD":
        hosts = sum(count > 0 for count in counts)
        return (
            f"STRICT_SPREAD needs {demand.replicas} nodes, each with room for a replica; {hosts} of the {len(alive)} "
            f"nodes alive {'has' if hosts == 1 else 'have'} it"
        )
    return f"the gang needs room for {_replicas(demand.replicas)}; all nodes together have room for {sum(counts)}"
