"""One gang, from the check of its request until nothing of it is left."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from distmis_shim import device, ended, placement, pump
from distmis_shim.cluster_view import NodeView, holds_bundles
from distmis_shim.contract import pb
from distmis_shim.demand import InvalidRequest, check_start
from distmis_shim.replica import LinkLost, Replica
from distmis_shim.words import one_line
from distmis_shim.worker import Worker

log = logging.getLogger(__name__)

_PLACEMENT_POLL_SECONDS = 0.25
_FEASIBILITY_SECONDS = 5.0
# For Ray to start worker processes on nodes whose file system may be slow.
_WORKER_START_SECONDS = 120.0
_RELEASE_SECONDS = 3.0
# For a client that does not read, when the shim goes down.
_LAST_WORDS_SECONDS = 2.0

Send = Callable[[pb.RunGangResponse], Awaitable[None]]
Look = Callable[[], Awaitable[Sequence[NodeView]]]
InThread = Callable[..., Awaitable]

_LOG_STREAMS = {pump.STDOUT: pb.LOG_STREAM_STDOUT, pump.STDERR: pb.LOG_STREAM_STDERR}


class Gang:
    """`run` returns how it ended, when every process and reservation of it is gone; the other methods may be called at
    any time and only ask for an end."""

    def __init__(self, start: pb.StartGang, send: Send, look: Look, in_thread: InThread) -> None:
        self.name = start.name or "gang"
        self._start = start
        self._send = send
        self._look = look
        self._in_thread = in_thread
        self._group: PlacementGroup | None = None
        self._end: asyncio.Future[pb.GangEnded] = asyncio.get_running_loop().create_future()
        self._grace: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._pumps: list[asyncio.Task[None]] = []
        self._stopping = False
        self.gpus_each = 0
        self.replicas: list[Replica] = []
        # Input may come before the workers are placed.
        self._made = asyncio.Event()

    async def give(self, rank: int, data: bytes) -> None:
        """Bytes for a trainer. Waits while they cannot be taken. Raises InvalidRequest."""
        await self._made.wait()
        if rank >= len(self.replicas):
            raise InvalidRequest(f"bytes.rank is {rank}; the gang has {len(self.replicas)} replicas")
        await self.replicas[rank].give(data)

    def stop(self, grace_seconds: float) -> None:
        if not self._grace.done():
            self._grace.set_result(max(0.0, grace_seconds))

    def abort(self, reason: str) -> None:
        """Ends it at once: nobody listens any more, or the shim goes down."""
        self._finish(ended.ended(pb.GANG_END_CAUSE_SHUTDOWN, reason))
        for task in self._pumps:
            asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, task.cancel)

    def nodes_changed(self, nodes: Sequence[NodeView]) -> None:
        dead = {node.node_id: node for node in nodes if not node.alive}
        for replica in self.replicas:
            if replica.info and replica.info["node_id"] in dead:
                self._finish(ended.node_lost(replica.rank, dead[replica.info["node_id"]]))

    def _finish(self, how: pb.GangEnded) -> None:
        if self._end.done():
            return
        self._end.set_result(how)
        for replica in self.replicas:
            if how.cause == pb.GANG_END_CAUSE_NODE_LOST and replica.info and replica.info["node_id"] == how.node_id:
                replica.lost = True

    async def run(self) -> pb.GangEnded:
        try:
            return await self._place() or await self._serve()
        except InvalidRequest as error:
            return ended.ended(pb.GANG_END_CAUSE_REFUSED, str(error))
        finally:
            self._made.set()
            await self._tear_down()

    async def _place(self) -> pb.GangEnded | None:
        """None once all trainers run and the client knows."""
        demand = check_start(self._start)
        if missing := placement.missing(await self._look(), demand):
            return ended.ended(pb.GANG_END_CAUSE_REFUSED, missing)
        amounts = demand.amounts()
        self._group = await self._in_thread(
            placement_group,
            [amounts] * demand.replicas,
            strategy=demand.strategy,
            bundle_label_selector=[selector] * demand.replicas if (selector := demand.selector()) else None,
        )
        self.gpus_each = demand.bundle.get("GPU", 0)
        actor_class = ray.remote(Worker)
        unique = uuid.uuid4().hex[:8]
        for rank in range(demand.replicas):
            options = actor_class.options(
                name=f"{self.name}-{unique}-{rank}",
                num_cpus=amounts["CPU"],
                num_gpus=amounts.get("GPU", 0),
                memory=amounts.get("memory", 0),
                resources={name: amounts[name] for name in amounts if name not in ("CPU", "GPU", "memory")},
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    self._group, placement_group_bundle_index=rank, placement_group_capture_child_tasks=False
                ),
            )
            self.replicas.append(Replica(rank, options.remote()))
        self._made.set()
        trainer = self._start.trainer
        starts = [
            asyncio.ensure_future(
                replica.start(
                    list(trainer.command), dict(trainer.environment), trainer.working_directory, amounts["CPU"]
                )
            )
            for replica in self.replicas
        ]
        try:
            if problem := await self._started(starts, demand):
                return problem
        finally:
            for task in starts:
                task.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
        if not all(replica.info["device"] for replica in self.replicas):
            await self._name_devices()
        workers = [pb.Worker(rank=replica.rank, **replica.info) for replica in self.replicas]
        await self._send(pb.RunGangResponse(placed=pb.GangPlaced(workers=workers)))
        return None

    async def _name_devices(self) -> None:
        """Of GPUs that no driver tells of: by Ray's name, else they are GPUs for Ray alone (`--num-gpus`)."""
        nodes = {node.node_id: node for node in await self._look()}
        for replica in self.replicas:
            info, node = replica.info, nodes.get(replica.info["node_id"])
            info["device"] = info["device"] or (node and device.accelerator_type(node.total)) or replica.cpu_model

    async def _started(self, starts: list[asyncio.Future[str]], demand: placement.Demand) -> pb.GangEnded | None:
        """Waits for all, and for everything that may come in between."""
        began = time.monotonic()
        deadline = self._start.placement_deadline_seconds
        checked = began
        placed_at: float | None = None
        pending = set(starts)
        while pending:
            done, _ = await asyncio.wait(
                {*pending, self._end, self._grace},
                timeout=_PLACEMENT_POLL_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            now = time.monotonic()
            if self._end.done():
                return self._end.result()
            if self._grace.done():
                return ended.ended(pb.GANG_END_CAUSE_STOPPED, "stopped before all its workers ran")
            for task in done & pending:
                if problem := await self._start_problem(starts.index(task), task):
                    return problem
            pending -= done
            if not pending or done:
                continue
            if placed_at is None and await self._placed():
                placed_at = now
            if placed_at is not None:
                if now - placed_at > _WORKER_START_SECONDS:
                    late = [index for index, task in enumerate(starts) if task in pending]
                    return ended.workers_late(late, await self._node_of(late[0]), _WORKER_START_SECONDS)
            elif deadline and now - began > deadline:
                return ended.ended(
                    pb.GANG_END_CAUSE_PLACEMENT_DEADLINE,
                    f"no place for {demand.replicas} x {self._words(demand)} ({demand.strategy}) within "
                    f"{deadline:g} s: the cluster is large enough, but in use",
                )
            elif now - checked > _FEASIBILITY_SECONDS:
                checked = now
                if missing := placement.missing(await self._look(), demand):
                    return ended.ended(pb.GANG_END_CAUSE_REFUSED, f"while it waited, nodes left: {missing}")
        return None

    @staticmethod
    def _words(demand: placement.Demand) -> str:
        return "(" + ", ".join(f"{amount:g} {name}" for name, amount in demand.amounts().items()) + ")"

    async def _table(self) -> dict:
        return await self._in_thread(placement_group_table, self._group)

    async def _placed(self) -> bool:
        return (await self._table()).get("state") == "CREATED"

    async def _node_of(self, rank: int) -> str:
        return (await self._table()).get("bundles_to_node_id", {}).get(rank, "")

    async def _start_problem(self, rank: int, task: asyncio.Future[str]) -> pb.GangEnded | None:
        try:
            problem = task.result()
        except RayError as error:
            node_id = await self._node_of(rank)
            how = await ended.worker_lost(rank, node_id, error, self._look)
            if how.cause == pb.GANG_END_CAUSE_ACTOR_LOST:
                how.cause = pb.GANG_END_CAUSE_START_FAILED
            return how
        if not problem:
            return None
        node_id = await self._node_of(rank)
        name = next((node.name for node in await self._look() if node.node_id == node_id), node_id)
        return pb.GangEnded(
            cause=pb.GANG_END_CAUSE_START_FAILED,
            message=one_line(f"the trainer of rank {rank} could not be started on {name}: {problem}"),
            rank=rank,
            node_id=node_id,
        )

    async def _serve(self) -> pb.GangEnded:
        """From the start of the trainers to the end of all their output."""
        self._pumps = [asyncio.create_task(self._pump(replica)) for replica in self.replicas]
        others = [asyncio.create_task(self._watch(replica)) for replica in self.replicas]
        try:
            await asyncio.wait({self._end, self._grace}, return_when=asyncio.FIRST_COMPLETED)
            if not self._end.done():
                await self._stop(self._grace.result())
            await asyncio.gather(*(replica.kill() for replica in self.replicas if replica.exit is None))
            heard = [pump for pump, replica in zip(self._pumps, self.replicas, strict=True) if not replica.lost]
            await asyncio.gather(*heard, return_exceptions=True)
        finally:
            for task in (*others, *self._pumps):
                task.cancel()
            await asyncio.gather(*others, *self._pumps, return_exceptions=True)
        return self._end.result()

    async def _stop(self, grace: float) -> None:
        self._stopping = True
        for replica in self.replicas:
            replica.close_input()
        all_ended = asyncio.gather(*(asyncio.shield(task) for task in self._pumps))
        await asyncio.wait({all_ended, self._end}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        all_ended.cancel()
        alive = sum(replica.exit is None for replica in self.replicas)
        killed = f"; {alive} of {len(self.replicas)} trainers were killed after {grace:g} s" if alive else ""
        self._finish(ended.ended(pb.GANG_END_CAUSE_STOPPED, f"stopped{killed}"))

    async def _pump(self, replica: Replica) -> None:
        try:
            await replica.pump(self._on_output)
        except (RayError, LinkLost) as error:
            await self._lost(replica, error if isinstance(error, RayError) else str(error))
            return
        if not self._stopping:
            self._finish(ended.trainer_exited(replica.rank, replica.info, replica.exit))

    async def _watch(self, replica: Replica) -> None:
        # What died is told by its pump.
        with contextlib.suppress(RayError):
            await self._lost(replica, await replica.silence())

    async def _lost(self, replica: Replica, error: RayError | str) -> None:
        replica.lost = True
        if not self._end.done() and not self._stopping:
            self._finish(await ended.worker_lost(replica.rank, replica.info["node_id"], error, self._look))

    async def _on_output(self, rank: int, kind: int, data: bytes) -> None:
        if kind == pump.BYTES:
            await self._send(pb.RunGangResponse(bytes=pb.WorkerBytes(rank=rank, data=data)))
        else:
            await self._send(pb.RunGangResponse(log=pb.WorkerLog(rank=rank, stream=_LOG_STREAMS[kind], data=data)))

    async def _tear_down(self) -> None:
        if self._group is None:
            return
        placed = await self._placed()
        if placed:
            await asyncio.gather(*(replica.kill() for replica in self.replicas if replica.exit is None))
        for replica in self.replicas:
            ray.kill(replica.actor)
        await self._in_thread(remove_placement_group, self._group)
        # Ray accounts for a lost node until it has noticed.
        if placed and not any(replica.lost for replica in self.replicas):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._released(self._group), _RELEASE_SECONDS)

    async def _released(self, group: PlacementGroup) -> None:
        """Returns when Ray has the resources back and the actors, killed before, have died; either may come first."""
        while await self._in_thread(holds_bundles, group.id.hex()):
            await asyncio.sleep(0.02)
        await asyncio.gather(*(replica.death() for replica in self.replicas))
