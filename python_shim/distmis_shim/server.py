"""ClusterService: the gRPC side; and the server of both services."""

import asyncio
import logging
import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import ray

from distmis_shim import placement
from distmis_shim.cluster_view import NodeView, look, to_message
from distmis_shim.contract import pb, pb_grpc, study_grpc
from distmis_shim.demand import InvalidRequest, check_request
from distmis_shim.gang import Gang
from distmis_shim.on_nodes import check as check_run_on_nodes
from distmis_shim.on_nodes import run_on_nodes
from distmis_shim.study_service import StudyService

log = logging.getLogger(__name__)

# Chunks are at most 1 MiB; twice that leaves room for what wraps them.
MESSAGE_BYTES = 2 * 1024 * 1024
_NODE_WATCH_SECONDS = 1.0
_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
    # Fixed windows: what a client that does not read can make the shim hold stays small.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
]


class ClusterService(pb_grpc.ClusterServiceServicer):
    def __init__(self, ray_address: str) -> None:
        self._ray_address = ray_address
        self._gangs: dict[Gang, asyncio.Task[pb.GangEnded]] = {}
        self._going_down = False
        # Ray's API for nodes and placement groups blocks.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="ray-call")
        self._watch = asyncio.create_task(self._watch_nodes())

    async def _in_thread(self, function, *args, **kwargs):
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def _look(self) -> Sequence[NodeView]:
        return await self._in_thread(look)

    async def _watch_nodes(self) -> None:
        while True:
            await asyncio.sleep(_NODE_WATCH_SECONDS)
            if not self._gangs:
                continue
            try:
                nodes = await self._look()
            except Exception:
                log.exception("Ray does not tell its nodes")
                continue
            for gang in list(self._gangs):
                gang.nodes_changed(nodes)

    def _gpu_use(self) -> placement.GpuUse:
        use: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for gang in self._gangs:
            for replica in gang.replicas:
                for gpu in replica.info["gpu_ids"] if replica.info else ():
                    use[replica.info["node_id"]][gpu] += min(gang.gpus_each, placement.UNITS)
        return use

    async def DescribeCluster(self, request: pb.DescribeClusterRequest, context) -> pb.DescribeClusterResponse:
        return pb.DescribeClusterResponse(
            ray_version=ray.__version__,
            python_version=platform.python_version(),
            ray_address=self._ray_address,
            nodes=[to_message(node) for node in await self._look()],
        )

    async def CheckGang(self, request: pb.CheckGangRequest, context) -> pb.CheckGangResponse:
        try:
            demand = check_request(request.gang)
        except InvalidRequest as error:
            return pb.CheckGangResponse(missing=str(error))
        nodes = await self._look()
        return pb.CheckGangResponse(
            gangs_in_total=placement.gangs(placement.room(nodes, demand), demand),
            gangs_in_free=placement.gangs(placement.free_room(nodes, demand, self._gpu_use()), demand),
            missing=placement.missing(nodes, demand),
        )

    async def RunOnNodes(self, request: pb.RunOnNodesRequest, context: grpc.aio.ServicerContext):
        try:
            check_run_on_nodes(request)
        except InvalidRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        async for result in run_on_nodes(request, await self._look()):
            yield result

    async def RunGang(self, request_iterator, context: grpc.aio.ServicerContext) -> None:
        first = await context.read()
        if first is grpc.aio.EOF or first.WhichOneof("message") != "start":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message of RunGang must be `start`")
        turn = asyncio.Lock()

        async def send(response: pb.RunGangResponse) -> None:
            async with turn:
                await context.write(response)

        gang = Gang(first.start, send, self._look, self._in_thread)
        task = asyncio.create_task(gang.run())
        self._gangs[gang] = task
        task.add_done_callback(lambda _: self._gangs.pop(gang))
        if self._going_down:
            gang.abort("the shim is going down")
        reader = asyncio.create_task(self._read(gang, context))
        try:
            await asyncio.wait({task, reader}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and (refusal := reader.result()):
                gang.abort(refusal)
                await asyncio.shield(task)
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, refusal)
            how = await asyncio.shield(task)
            await send(pb.RunGangResponse(ended=how))
        finally:
            reader.cancel()
            # The client cancelled or vanished: the gang ends by itself.
            gang.abort("the client closed the stream")

    @staticmethod
    async def _read(gang: Gang, context: grpc.aio.ServicerContext) -> str:
        """Hands on what the client sends; why the client is refused, or an empty text when it sends no more."""
        while (message := await context.read()) is not grpc.aio.EOF:
            kind = message.WhichOneof("message")
            if kind == "bytes":
                try:
                    await gang.give(message.bytes.rank, message.bytes.data)
                except InvalidRequest as error:
                    return str(error)
            elif kind == "stop":
                gang.stop(message.stop.grace_seconds)
            else:
                return f"a message of RunGang after the first must be `bytes` or `stop`; found {kind}"
        return ""

    async def close(self) -> None:
        """Ends all gangs."""
        self._going_down = True
        tasks = list(self._gangs.values())
        for gang in list(self._gangs):
            gang.abort("the shim is going down")
        if tasks:
            await asyncio.wait(tasks)
        self._watch.cancel()


async def serve(listen: str, ray_address: str) -> tuple[grpc.aio.Server, ClusterService]:
    """Starts to listen; a UNIX socket is its user's alone."""
    server = grpc.aio.server(options=_OPTIONS)
    service = ClusterService(ray_address)
    pb_grpc.add_ClusterServiceServicer_to_server(service, server)
    study_grpc.add_StudyServiceServicer_to_server(StudyService(), server)
    mask = os.umask(0o177)
    try:
        server.add_insecure_port(listen)
        await server.start()
    finally:
        os.umask(mask)
    return server, service
