"""What a person is told who joins a Ray that can't be joined, and how soon."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import pytest_asyncio
from harness import Shim, environment, until
from ray_cluster import RayCluster

# The start of Python and the import of Ray are most of it.
_SECONDS = 20
_OTHER_TOKEN = "cd" * 32


async def refusal(address: str, env: dict[str, str]) -> str:
    shim = Shim("--ray-address", address, env=env)
    try:
        began = time.monotonic()
        told = await asyncio.wait_for(shim.answer(), _SECONDS)
        assert time.monotonic() - began < _SECONDS
        assert set(told) == {"error"}, told
        assert "\n" not in told["error"] and len(told["error"]) < 400
        return told["error"]
    finally:
        await shim.close()


@pytest_asyncio.fixture(scope="module")
async def alone():
    """A head alone, open to everybody, to be damaged."""
    ray = RayCluster(("head",), with_token=False)
    try:
        await ray.start()
        yield ray
    finally:
        await ray.close()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "asks for a token: set RAY_AUTH_MODE=token and the token of its nodes"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _OTHER_TOKEN},
            "does not take this token: set RAY_AUTH_MODE=token",
        ),
        ({"RAY_AUTH_MODE": "token", "HOME": "/nonexistent"}, "RAY_AUTH_MODE is token, but there is no token here"),
    ],
)
async def test_a_token_that_is_missing_or_wrong(cluster, env, said):
    assert said in await refusal(cluster.address, env)


@pytest.mark.asyncio(loop_scope="session")
async def test_an_open_cluster_where_a_token_is_meant_to_be(alone):
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _OTHER_TOKEN}
    assert "asks nobody for a token, while RAY_AUTH_MODE is token here" in await refusal(alone.address, env)


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_not_the_head_of_a_cluster():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # A server that says nothing, and one that is gone.
        assert "has not answered for 5 s" in await refusal(f"127.0.0.1:{port}", {})
    assert "no connection to the Ray at" in await refusal(f"127.0.0.1:{port}", {})

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert f"what listens at {address} is not the head of a Ray cluster" in await refusal(address, {})
    assert "expected host:port, auto or local" in await refusal("nowhere", {})


_SET_VERSIONS = """
import json, sys
from ray._raylet import GcsClient
gcs = GcsClient(address=sys.argv[1])
versions = json.loads(gcs.internal_kv_get(b"CLUSTER_METADATA", b"cluster"))
gcs.internal_kv_put(b"CLUSTER_METADATA", json.dumps(versions | json.loads(sys.argv[2])).encode(), True, b"cluster")
print(json.dumps(versions))
"""


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("field", ["ray_version", "python_version"])
async def test_versions_that_differ(alone, field):
    async def change(versions: dict[str, str]) -> dict[str, str]:
        command = [sys.executable, "-c", _SET_VERSIONS, alone.address, json.dumps(versions)]
        done = await asyncio.to_thread(subprocess.run, command, env=environment(""), capture_output=True, check=True)
        return json.loads(done.stdout)

    before = await change({field: "1.2.3"})
    try:
        said = await refusal(alone.address, {})
        assert "1.2.3" in said and before[field] in said and "on all nodes" in said
    finally:
        await change(before)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_head_that_is_lost_is_heard_of_soon_and_in_one_line(alone):
    shim = Shim("--ray-address", alone.address)
    try:
        await shim.connect()
        # Stopped, not ended: its connections stay.
        head = next(pid for pid, command in alone.processes().items() if "gcs_server" in command)
        os.kill(head, signal.SIGSTOP)
        began = time.monotonic()
        told = await asyncio.wait_for(shim.answer(), 45)
        assert "does not answer any more, and with it the cluster is gone" in told["error"]
        assert time.monotonic() - began < 40
        await until(lambda: shim.process.poll() == 1, 10, "the end of the shim")
    finally:
        os.kill(head, signal.SIGCONT)
        await shim.close()
