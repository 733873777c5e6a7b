"""The shim as a process: how it starts, and that nothing survives it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grpc
import pytest
from distmis_shim.contract import pb, pb_grpc
from harness import RunningGang, Shim, environment, gang, is_alive, marked, trainer, until


def _daemons(shim: Shim) -> set[int]:
    """Its processes, but for workers without work, which come and go."""
    return {pid for pid, command in marked(shim.mark).items() if not command.startswith("ray::IDLE")}


@pytest.mark.parametrize("way", ["kill -9 front", "kill -9 guard", "kill -9 shim", "SIGTERM", "end of input"])
async def test_nothing_survives(way, local):
    others = _daemons(local)
    shim = Shim("--num-cpus", "2", "--num-gpus", "0")
    try:
        await shim.connect()
        # A terminal's Ctrl-C is the parent's affair.
        os.kill(shim.process.pid, signal.SIGINT)
        assert shim.socket.stat().st_mode & 0o777 == 0o600
        [secret] = _secrets(marked(shim.mark))
        assert len(secret) == 64
        assert not [command for command in map(_whole_command_line, marked(shim.mark)) if secret in command]
        async with RunningGang(shim.stub, gang(), trainer("ends", "left-behind")) as running:
            await running.placed()
            while not running.output.get(0, b"").endswith(b"\n"):
                await running.next()
            left_behind = int(running.output[0])
            assert is_alive(left_behind)
            assert left_behind not in marked(shim.mark)
            assert len(marked(shim.mark)) > 5
            if way == "SIGTERM":
                shim.process.terminate()
            elif way == "end of input":
                shim.process.stdin.close()
            else:
                os.kill(shim.processes()[way.removeprefix("kill -9 ")], signal.SIGKILL)
            if way.startswith("kill -9"):
                with pytest.raises(grpc.aio.AioRpcError):
                    await running.ended()
            else:
                assert (await running.ended()).cause == pb.GANG_END_CAUSE_SHUTDOWN
            await until(lambda: not marked(shim.mark) and not is_alive(left_behind), 10, "end of all processes")
        # It ends last, and as the shim did.
        assert shim.process.wait(1) == (-signal.SIGKILL if way.startswith("kill -9") else 0)
        if not way.startswith("kill -9"):
            assert not shim.socket.exists()
        assert others <= _daemons(local)
    finally:
        await shim.close()


# Processes that are there when it is killed: from before its guard up to Ray's helpers.
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 8, 10])
async def test_nothing_survives_a_kill_while_it_starts(count):
    shim = Shim("--num-cpus", "2", "--num-gpus", "0")
    try:
        await until(lambda: len(marked(shim.mark)) >= count, 30, f"{count} processes")
        shim.process.kill()
        await until(lambda: not marked(shim.mark), 10, "end of all processes")
    finally:
        await shim.close()


_PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(child.stdout.readline().decode(), flush=True)
child.wait()
"""


async def test_nothing_survives_a_kill_of_the_parent():
    shim = Shim("--help")
    shim.process.wait(20)
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", _PARENT, *shim.process.args[:-1], "--num-cpus", "2"],
        stdout=subprocess.PIPE,
        env=environment(shim.mark),
    )
    try:
        assert b'"ready": true' in parent.stdout.readline()
        async with shim.client() as channel:
            stub = pb_grpc.ClusterServiceStub(channel)
            async with RunningGang(stub, gang(), trainer("ends", "stays")) as running:
                await running.placed()
                parent.kill()
                await until(lambda: not marked(shim.mark), 12, "end of all processes")
    finally:
        parent.kill()
        parent.stdout.close()
        parent.wait()
        await shim.close()


async def test_says_why_it_cannot_start():
    shim = Shim("--ray-address", "127.0.0.1:1")
    try:
        answer = await shim.answer()
        assert answer["error"].startswith("no connection to the Ray at 127.0.0.1:1")
        assert "\n" not in answer["error"]
        assert shim.process.wait(5) == 1
    finally:
        await shim.close()


async def test_a_folder_too_long_for_sockets_is_refused(tmp_path):
    shim = Shim("--temp-dir", str(tmp_path / ("x" * 60)))
    try:
        assert "too long for Ray's sockets: at most 43 bytes" in (await shim.answer())["error"]
        assert shim.process.wait(5) == 1
    finally:
        await shim.close()


def _secrets(pids: Iterable[int]) -> set[str]:
    """Ray's tokens in the environments of processes."""
    prefix = b"RAY_AUTH_TOKEN="
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            found |= {entry.removeprefix(prefix).decode() for entry in entries if entry.startswith(prefix)}
    return found


def _whole_command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
