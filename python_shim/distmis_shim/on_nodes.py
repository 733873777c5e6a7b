"""One program on every node."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distmis_shim.cluster_view import NodeView
from distmis_shim.contract import pb
from distmis_shim.demand import InvalidRequest
from distmis_shim.on_node import OnNode
from distmis_shim.words import one_line

# Of so many questions for the time, the one that was answered first is the most exact.
_CLOCK_QUESTIONS = 5


def check(request: pb.RunOnNodesRequest) -> None:
    if not request.program.command:
        raise InvalidRequest("program.command is empty")
    if not (math.isfinite(request.deadline_seconds) and request.deadline_seconds > 0):
        raise InvalidRequest(f"deadline_seconds is {request.deadline_seconds:g}; expected more than 0")


async def run_on_nodes(
    request: pb.RunOnNodesRequest, nodes: Sequence[NodeView]
) -> AsyncIterator[pb.RunOnNodesResponse]:
    """A result for each node that is alive, in the order in which they come."""
    tasks = [asyncio.create_task(_run_on(node, request)) for node in nodes if node.alive]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()


async def _run_on(node: NodeView, request: pb.RunOnNodesRequest) -> pb.RunOnNodesResponse:
    result = pb.RunOnNodesResponse(node_id=node.node_id, name=node.name, host_name=node.host_name, address=node.address)
    # No CPU: it also runs on a node whose CPUs are all in use.
    actor = (
        ray.remote(OnNode)
        .options(
            num_cpus=0,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False),
        )
        .remote()
    )

    async def ask() -> None:
        result.clock_offset_seconds, result.clock_error_seconds = await _compare_clocks(actor)
        program = request.program
        how = await actor.run.remote(list(program.command), dict(program.environment), program.working_directory)
        _fill(result, how)

    try:
        await asyncio.wait_for(ask(), request.deadline_seconds)
    except (asyncio.TimeoutError, GetTimeoutError):
        result.problem = f"no answer within {request.deadline_seconds:g} s"
    except RayError as error:
        result.problem = one_line(f"the worker there was lost: {error}")
    finally:
        ray.kill(actor)
    return result


async def _compare_clocks(actor: Any) -> tuple[float, float]:
    """(offset of the node's clock, how exact it is). The first answer comes when the actor runs."""
    await actor.clock.remote()
    best = (0.0, math.inf)
    for _ in range(_CLOCK_QUESTIONS):
        asked = time.time()
        there = await actor.clock.remote()
        half = (time.time() - asked) / 2
        if half < best[1]:
            best = (there - asked - half, half)
    return best


def _fill(result: pb.RunOnNodesResponse, how: dict[str, Any]) -> None:
    if "error" in how:
        result.problem = one_line(how["error"])
        return
    if how["exit_code"] is not None:
        result.exit_code = how["exit_code"]
    else:
        result.signal = how["signal"]
    result.stdout, result.stderr = how["stdout"], how["stderr"]
