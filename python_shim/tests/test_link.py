"""The worker's end of the way to the shim, without Ray: who is let in, and what goes both ways."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator

import pytest
from distmis_shim import certificate, pump
from distmis_shim.link import LOOPBACK, Link, Meeting, this_host
from distmis_shim.pump import chunk
from distmis_shim.trainer_process import Trainer
from harness import until

SECRET = bytes(range(32))
# Of a host that is not this one: the link takes its address for the node's, and TLS.
FAR = "another host"
NODE = "127.0.0.2"


async def met(place: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection as the shim makes it."""
    tls = None if place[0] == LOOPBACK else certificate.only(certificate.own())
    return await asyncio.open_connection(*place, ssl=tls)


@pytest.fixture(params=["near", "far"])
def host(request) -> str:
    return this_host() if request.param == "near" else FAR


class Pipes:
    """The trainer's ends of the pipes of a link."""

    def __init__(self, host: str) -> None:
        (self.stdin, stdin), (bytes_out, self.bytes_out) = os.pipe(), os.pipe()
        (stdout, self.stdout), (stderr, self.stderr) = os.pipe(), os.pipe()
        for fd in (stdin, bytes_out, stdout, stderr):
            os.set_blocking(fd, False)
        meeting = Meeting(SECRET, host, certificate.own())
        self.link = Link(asyncio.get_running_loop(), Trainer(0, stdin, bytes_out, stdout, stderr), meeting)

    def close(self) -> None:
        self.link.input.close()
        for fd in (self.stdin, self.bytes_out, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                os.close(fd)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextlib.asynccontextmanager
async def opened(host: str) -> AsyncIterator[tuple[Pipes, tuple[str, int]]]:
    before = descriptors()
    pipes = Pipes(host)
    try:
        yield pipes, await pipes.link.listen(NODE)
    finally:
        # In a worker the end of the process does this.
        pipes.link.output.finish()
        pipes.link._transport.abort()
        pipes.close()
        await until(lambda: descriptors() == before, 5, "end of all connections")


async def test_a_stranger_is_turned_away_and_the_shim_let_in_after_it(host):
    async with opened(host) as (pipes, place):
        os.write(pipes.bytes_out, b"news")
        reader, stranger = await met(place)
        stranger.write(bytes(32) + b"input")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        stranger.close()
        # Half a secret lets nobody in and keeps nobody out.
        _, silent = await met(place)
        silent.write(SECRET[:16])
        reader, shim = await met(place)
        shim.write(SECRET + chunk(pump.BYTES, b"hello"))
        news = chunk(pump.BYTES, b"news")
        assert await reader.readexactly(len(news)) == news
        assert await asyncio.to_thread(os.read, pipes.stdin, 100) == b"hello"
        for writer in (silent, shim):
            writer.close()


async def test_output_that_ended_before_the_shim_came_is_handed_on(host):
    async with opened(host) as (pipes, place):
        os.write(pipes.stderr, b"why")
        os.write(pipes.bytes_out, b"bytes")
        pipes.link.output.finish()
        assert pipes.link.output.held() == b"whybytes"
        reader, shim = await met(place)
        shim.write(SECRET)
        said = chunk(pump.STDERR, b"why") + chunk(pump.BYTES, b"bytes") + chunk(pump.END, b"")
        assert await reader.readexactly(len(said)) == said
        shim.close()


async def test_the_end_of_the_input_comes_after_all_of_it(host):
    async with opened(host) as (pipes, place):
        _, shim = await met(place)
        shim.write(SECRET + chunk(pump.BYTES, bytes(300_000)) + chunk(pump.END, b""))

        def read_all() -> int:
            size = 0
            while data := os.read(pipes.stdin, 65536):
                size += len(data)
            return size

        assert await asyncio.to_thread(read_all) == 300_000
        shim.close()


async def test_a_worker_on_another_host_speaks_tls_alone_and_is_known_by_its_certificate():
    async with opened(FAR) as (pipes, place):
        assert place[0] == NODE
        reader, plain = await asyncio.open_connection(*place)
        plain.write(SECRET + chunk(pump.BYTES, b"hello"))
        with contextlib.suppress(ConnectionError):
            while said := await reader.read():
                assert SECRET not in said
        plain.close()
        # Another shim's certificate, as of somebody in between.
        other = certificate.own.__wrapped__()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(*place, ssl=certificate.only(other))
        _, shim = await met(place)
        shim.write(SECRET + chunk(pump.BYTES, b"hello"))
        assert await asyncio.to_thread(os.read, pipes.stdin, 100) == b"hello"
        shim.close()


async def test_strangers_are_few_at_once(host):
    async with opened(host) as (pipes, place):
        strangers = [await met(place) for _ in range(8)]
        with contextlib.suppress(ConnectionError):
            reader, ninth = await met(place)
            assert await reader.read() == b""
        ninth.close()
        assert pipes.link.visitors == 8
        for _, stranger in strangers:
            stranger.close()
            with contextlib.suppress(ConnectionError):
                await stranger.wait_closed()
        await until(lambda: pipes.link.visitors == 0, 5, "end of the strangers")
        _, shim = await met(place)
        shim.write(SECRET + chunk(pump.BYTES, b"hello"))
        assert await asyncio.to_thread(os.read, pipes.stdin, 100) == b"hello"
        shim.close()
