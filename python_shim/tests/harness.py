"""Starts the shim as the orchestrator does, speaks its contract, and finds what it leaves behind."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc
from distmis_shim.contract import pb, pb_grpc

SHIM_ROOT = Path(__file__).parents[1]
TRAINERS = Path(__file__).parent / "trainers"
MARK = "DISTMIS_TEST_MARK"


async def until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Waits for a condition; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def marked(mark: str) -> dict[int, str]:
    """Processes that inherited the mark, with their command lines; zombies have neither."""
    wanted = f"{MARK}={mark}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    return found


def is_alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def oldest_child(pid: int) -> int:
    # The kernel lists them by age; orphans that a subreaper has adopted come after the one that it forked.
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def environment(mark: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Ray's processes write their titles over their environment, and so over the mark, unless SPT_NOENV is set.
    env.update({MARK: mark, "SPT_NOENV": "1", "PYTHONPATH": str(SHIM_ROOT), "RAY_USAGE_STATS_ENABLED": "0"})
    return env


class Shim:
    """A running shim. Its folder, and with `mark` all its processes, are gone after `close`."""

    def __init__(self, *options: str, env: dict[str, str] | None = None) -> None:
        self.mark = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="dm"))
        self.socket = self.folder / "s"
        self.process = subprocess.Popen(
            [
                *[sys.executable, "-m", "distmis_shim"],
                *["--listen", f"unix:{self.socket}", "--temp-dir", str(self.folder), *options],
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(self.mark) | (env or {}),
        )
        self.channel: grpc.aio.Channel | None = None

    def processes(self) -> dict[str, int]:
        """Those that distmis_shim.guard tells of, when they all are there."""
        front = self.process.pid
        guard = oldest_child(front)
        return {"front": front, "guard": guard, "shim": oldest_child(guard)}

    async def answer(self) -> dict:
        line = await asyncio.to_thread(self.process.stdout.readline)
        return json.loads(line)

    async def connect(self) -> "Shim":
        self.told = await self.answer()
        assert self.told.get("ready"), self.told
        self.channel = self.client()
        self.stub = pb_grpc.ClusterServiceStub(self.channel)
        return self

    def client(self) -> grpc.aio.Channel:
        # A window that grows with the speed measured would hold any number of megabytes; the orchestrator's does not.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
        return grpc.aio.insecure_channel(f"unix:{self.socket}", options=options)

    async def disconnect(self) -> None:
        if self.channel:
            await self.channel.close()
            self.channel = None

    async def close(self) -> None:
        await self.disconnect()
        if self.process.poll() is None:
            self.process.stdin.close()
            await asyncio.to_thread(self.process.wait, 15)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            await until(lambda: not marked(self.mark), 10, f"end of {marked(self.mark)}")
        finally:
            for pid in marked(self.mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)


def trainer(name: str, *arguments: str, **env: str) -> pb.TrainerProcess:
    return pb.TrainerProcess(
        command=[sys.executable, "-I", str(TRAINERS / f"{name}.py"), *arguments],
        environment=env,
        working_directory="/tmp",
    )


def gang(
    replicas: int = 1,
    strategy: int = pb.PLACEMENT_STRATEGY_PACK,
    *,
    cpus: float = 1,
    gpus: float = 0,
    memory_bytes: int = 0,
    custom: dict[str, float] | None = None,
    node_labels: dict[str, str] | None = None,
) -> pb.GangRequest:
    need = pb.ReplicaResources(
        cpus=cpus, gpus=gpus, memory_bytes=memory_bytes, custom=custom or {}, node_labels=node_labels or {}
    )
    return pb.GangRequest(replicas=replicas, per_replica=need, strategy=strategy)


class RunningGang:
    """A RunGang stream; `output` (by rank), `log` and `errors` gather what was read."""

    def __init__(
        self, stub: pb_grpc.ClusterServiceStub, request: pb.GangRequest, program: pb.TrainerProcess, deadline: float = 0
    ) -> None:
        self.call = stub.RunGang()
        self.start = pb.StartGang(name="test", gang=request, trainer=program, placement_deadline_seconds=deadline)
        self.output: dict[int, bytes] = {}
        self.log = b""
        self.errors = b""

    async def __aenter__(self) -> "RunningGang":
        await self.call.write(pb.RunGangRequest(start=self.start))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()

    async def next(self) -> pb.RunGangResponse:
        message = await asyncio.wait_for(self.call.read(), 30)
        assert message is not grpc.aio.EOF, "the stream ended without `ended`"
        if message.HasField("bytes"):
            self.output[message.bytes.rank] = self.output.get(message.bytes.rank, b"") + message.bytes.data
        elif message.HasField("log"):
            if message.log.stream == pb.LOG_STREAM_STDOUT:
                self.log += message.log.data
            else:
                self.errors += message.log.data
        return message

    async def placed(self) -> list[pb.Worker]:
        message = await self.next()
        assert message.HasField("placed"), message
        return list(message.placed.workers)

    async def read(self, size: int, rank: int = 0) -> bytes:
        """Until so many bytes of a rank are there."""
        while len(self.output.get(rank, b"")) < size:
            message = await self.next()
            assert not message.HasField("ended"), message
        return self.output[rank]

    async def send(self, data: bytes, rank: int = 0) -> None:
        await self.call.write(pb.RunGangRequest(bytes=pb.WorkerBytes(rank=rank, data=data)))

    async def stop(self, grace: float = 5) -> None:
        await self.call.write(pb.RunGangRequest(stop=pb.StopGang(grace_seconds=grace)))

    async def ended(self) -> pb.GangEnded:
        while not (message := await self.next()).HasField("ended"):
            pass
        assert await self.call.read() is grpc.aio.EOF
        return message.ended
