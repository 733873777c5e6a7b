"""What a gang asks for, checked once and in Ray's own units."""

import math
import re
from dataclasses import dataclass, field

from distmis_shim.contract import pb

# Ray counts every resource in whole ten-thousandths.
UNITS = 10_000
# Ray puts it on every node.
NODE_ID_LABEL = "ray.io/node-id"
_OWN_FIELDS = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_bytes", "object_store_memory": None}
_STRATEGIES = {
    pb.PLACEMENT_STRATEGY_PACK: "PACK",
    pb.PLACEMENT_STRATEGY_STRICT_PACK: "STRICT_PACK",
    pb.PLACEMENT_STRATEGY_SPREAD: "SPREAD",
    pb.PLACEMENT_STRATEGY_STRICT_SPREAD: "STRICT_SPREAD",
}


class InvalidRequest(ValueError):
    """A request that makes no sense; the text names the field, what was found and what is expected."""


@dataclass(frozen=True)
class Demand:
    """A checked GangRequest. `bundle`: units of each resource that one replica needs, none of them 0."""

    replicas: int
    strategy: str
    bundle: dict[str, int]
    labels: dict[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()

    def selector(self) -> dict[str, str]:
        """As Ray's API wants the labels and the nodes that are left out."""
        if not self.excluded or NODE_ID_LABEL in self.labels:
            return self.labels
        return {**self.labels, NODE_ID_LABEL: f"!in({','.join(sorted(self.excluded))})"}

    def amounts(self) -> dict[str, float]:
        """The bundle as Ray's API wants it: whole numbers as such."""
        return {name: units // UNITS if units % UNITS == 0 else units / UNITS for name, units in self.bundle.items()}


def _units(field_name: str, value: float, zero_allowed: bool) -> int:
    least = "0 or more" if zero_allowed else "more than 0"
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero_allowed):
        raise InvalidRequest(f"{field_name} is {value:g}; expected {least}")
    units = round(value * UNITS)
    if value > 0 and units == 0:
        raise InvalidRequest(f"{field_name} is {value:g}; the smallest share that Ray counts is {1 / UNITS:g}")
    return units


def check_label(name: str, value: str) -> None:
    """Raises InvalidRequest for what Ray would refuse, or read as something else than equality."""
    from ray._private.label_utils import validate_label_selector

    if value.startswith("!") or "(" in value:
        raise InvalidRequest(f"per_replica.node_labels[{name}] is {value!r}; expected a plain value")
    if problem := validate_label_selector({name: value}):
        raise InvalidRequest(f"per_replica.node_labels[{name}]: {problem}")


def check_request(request: pb.GangRequest) -> Demand:
    """Raises InvalidRequest."""
    need = request.per_replica
    if request.replicas < 1:
        raise InvalidRequest("replicas is 0; expected at least 1")
    if request.strategy not in _STRATEGIES:
        raise InvalidRequest("strategy is not set; expected PACK, STRICT_PACK, SPREAD or STRICT_SPREAD")
    bundle = {
        "CPU": _units("per_replica.cpus", need.cpus, zero_allowed=False),
        "GPU": _units("per_replica.gpus", need.gpus, zero_allowed=True),
        "memory": need.memory_bytes * UNITS,
    }
    if bundle["GPU"] > UNITS and bundle["GPU"] % UNITS:
        raise InvalidRequest(f"per_replica.gpus is {need.gpus:g}; above 1 it must be a whole number")
    for name, value in need.custom.items():
        if not name or name in _OWN_FIELDS:
            proper = f"use per_replica.{_OWN_FIELDS[name]}" if _OWN_FIELDS.get(name) else "not a custom resource"
            raise InvalidRequest(f"per_replica.custom has the name {name!r}: {proper}")
        bundle[name] = _units(f"per_replica.custom[{name}]", value, zero_allowed=False)
    for name, value in need.node_labels.items():
        check_label(name, value)
    for node_id in request.excluded_nodes:
        if not re.fullmatch("[0-9a-f]+", node_id):
            raise InvalidRequest(f"excluded_nodes has {node_id!r}; expected Ray's id of a node, in hexadecimal digits")
    return Demand(
        replicas=request.replicas,
        strategy=_STRATEGIES[request.strategy],
        bundle={name: units for name, units in bundle.items() if units},
        labels=dict(need.node_labels),
        excluded=frozenset(request.excluded_nodes),
    )


def check_start(start: pb.StartGang) -> Demand:
    """Raises InvalidRequest."""
    if not start.trainer.command:
        raise InvalidRequest("trainer.command is empty; expected a program and its arguments")
    deadline = start.placement_deadline_seconds
    if not math.isfinite(deadline) or deadline < 0:
        raise InvalidRequest(f"placement_deadline_seconds is {deadline:g}; expected 0 or more")
    return check_request(start.gang)
