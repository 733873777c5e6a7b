"""How gangs end, in words."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from ray.exceptions import OutOfMemoryError, RayError

from distmis_shim.cluster_view import NodeView, answers
from distmis_shim.contract import pb
from distmis_shim.words import one_line

# An actor's death is known before its node's.
_NODE_SECONDS = 2.0
_SILENT_TIMES = 2
_NODE_POLL_SECONDS = 0.2
_LESS_MEMORY = (
    "use a smaller batch or patch, train.memory: low, fewer trials at once, or reserve more "
    "(resources.memory_per_replica)"
)

log = logging.getLogger(__name__)


def ended(cause: int, message: str) -> pb.GangEnded:
    return pb.GangEnded(cause=cause, message=one_line(message))


def trainer_exited(rank: int, worker: dict[str, Any], how: dict[str, Any]) -> pb.GangEnded:
    who = f"the trainer of rank {rank} on {worker['host_name']}"
    end = pb.GangEnded(rank=rank, node_id=worker["node_id"], cause=pb.GANG_END_CAUSE_TRAINER_EXITED)
    if how["exit_code"] is not None:
        end.exit_code = how["exit_code"]
        end.message = f"{who} ended with exit code {how['exit_code']}; see its log"
        return end
    end.signal = how["signal"]
    if how["out_of_memory"]:
        end.cause = pb.GANG_END_CAUSE_OUT_OF_MEMORY
        end.message = f"{who} was killed by the kernel for its use of memory: {_LESS_MEMORY}"
    else:
        end.message = f"{who} was killed by signal {how['signal']} ({signal.strsignal(how['signal'])}); see its log"
    return end


def workers_late(ranks: Sequence[int], node_id: str, seconds: float) -> pb.GangEnded:
    who = ", ".join(str(rank) for rank in ranks)
    return pb.GangEnded(
        cause=pb.GANG_END_CAUSE_START_FAILED,
        message=f"Ray reserved the resources, but the workers of rank {who} did not start within {seconds:g} s; see "
        "Ray's logs on their nodes",
        rank=ranks[0],
        node_id=node_id,
    )


def node_lost(rank: int, node: NodeView) -> pb.GangEnded:
    return pb.GangEnded(
        cause=pb.GANG_END_CAUSE_NODE_LOST,
        message=one_line(f"node {node.name} ({node.address}), with rank {rank}, left the cluster: {node.death_cause}"),
        rank=rank,
        node_id=node.node_id,
    )


def _reason(text: str) -> str:
    """Ray's text without the lines that only identify the actor."""
    lines = [line for line in text.splitlines() if line and not line.startswith("\t")]
    return one_line(" ".join(lines).replace("The actor died unexpectedly before finishing this task.", ""))


async def worker_lost(
    rank: int, node_id: str, error: RayError | str, look: Callable[[], Awaitable[Sequence[NodeView]]]
) -> pb.GangEnded:
    """Tells a lost node from a lost actor. Ray takes many seconds to give a node up, so its daemon is asked too.
    `error`: of a call, or what was seen of the actor."""
    text = str(error)
    end = pb.GangEnded(rank=rank, node_id=node_id)
    if isinstance(error, OutOfMemoryError) or "OutOfMemory" in text or "running low on memory" in text:
        end.cause = pb.GANG_END_CAUSE_OUT_OF_MEMORY
        name = next((node.name for node in await look() if node.node_id == node_id), node_id)
        end.message = f"Ray killed the worker of rank {rank} on {name} as the node ran out of memory: {_LESS_MEMORY}"
        log.warning("%s; Ray says: %s", end.message, one_line(text, 4000))
        return end
    deadline = time.monotonic() + _NODE_SECONDS
    name = node_id
    silent = 0
    while node_id and time.monotonic() < deadline:
        node = next((node for node in await look() if node.node_id == node_id), None)
        if node is None:
            break
        name = node.name
        if not node.alive:
            return node_lost(rank, node)
        silent = 0 if await asyncio.to_thread(answers, node) else silent + 1
        if silent >= _SILENT_TIMES:
            return node_lost(rank, replace(node, death_cause="its raylet answers no more"))
        await asyncio.sleep(_NODE_POLL_SECONDS)
    end.cause = pb.GANG_END_CAUSE_ACTOR_LOST
    end.message = one_line(f"the worker of rank {rank} on {name} was lost while its node lives: {_reason(text)}")
    return end
