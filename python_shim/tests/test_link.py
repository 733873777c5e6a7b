"""The worker's end of the way to the shim, without Ray: who is let in, and what goes both ways."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator

from distmis_shim import pump
from distmis_shim.link import Link
from distmis_shim.trainer_process import Trainer
from harness import until

SECRET = bytes(range(32))


class Pipes:
    """The trainer's ends of the pipes of a link."""

    def __init__(self) -> None:
        (self.stdin, stdin), (bytes_out, self.bytes_out) = os.pipe(), os.pipe()
        (stdout, self.stdout), (stderr, self.stderr) = os.pipe(), os.pipe()
        for fd in (stdin, bytes_out, stdout, stderr):
            os.set_blocking(fd, False)
        self.link = Link(asyncio.get_running_loop(), Trainer(0, stdin, bytes_out, stdout, stderr), SECRET)

    def close(self) -> None:
        self.link.input.close()
        for fd in (self.stdin, self.bytes_out, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                os.close(fd)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[Pipes, int]]:
    before = descriptors()
    pipes = Pipes()
    try:
        yield pipes, await pipes.link.listen("127.0.0.1")
    finally:
        # In a worker the end of the process does this.
        pipes.link.output.finish()
        pipes.link._transport.abort()
        pipes.close()
        await until(lambda: descriptors() == before, 5, "end of all connections")


def chunk(kind: int, data: bytes) -> bytes:
    return struct.pack(pump.CHUNK_HEAD, kind, len(data)) + data


async def test_a_stranger_is_turned_away_and_the_shim_let_in_after_it():
    async with opened() as (pipes, port):
        os.write(pipes.bytes_out, b"news")
        reader, stranger = await asyncio.open_connection("127.0.0.1", port)
        stranger.write(bytes(32) + b"input")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        stranger.close()
        # Half a secret lets nobody in and keeps nobody out.
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        silent.write(SECRET[:16])
        reader, shim = await asyncio.open_connection("127.0.0.1", port)
        shim.write(SECRET + b"hello")
        news = chunk(pump.BYTES, b"news")
        assert await reader.readexactly(len(news)) == news
        assert await asyncio.to_thread(os.read, pipes.stdin, 100) == b"hello"
        for writer in (silent, shim):
            writer.close()


async def test_output_that_ended_before_the_shim_came_is_handed_on():
    async with opened() as (pipes, port):
        os.write(pipes.stderr, b"why")
        os.write(pipes.bytes_out, b"bytes")
        pipes.link.output.finish()
        assert pipes.link.output.held() == b"whybytes"
        reader, shim = await asyncio.open_connection("127.0.0.1", port)
        shim.write(SECRET)
        assert await reader.read() == chunk(pump.STDERR, b"why") + chunk(pump.BYTES, b"bytes")
        shim.close()


async def test_the_end_of_the_input_comes_after_all_of_it():
    async with opened() as (pipes, port):
        _, shim = await asyncio.open_connection("127.0.0.1", port)
        shim.write(SECRET + bytes(300_000))
        shim.write_eof()

        def read_all() -> int:
            size = 0
            while data := os.read(pipes.stdin, 65536):
                size += len(data)
            return size

        assert await asyncio.to_thread(read_all) == 300_000
        shim.close()
