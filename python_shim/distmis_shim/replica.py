"""The shim's side of one worker: its actor, and the connection to its trainer."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray.exceptions import RayError

from distmis_shim import certificate, link, pump

log = logging.getLogger(__name__)

# Input that is held while the trainer does not read; a client's message has at most server.MESSAGE_BYTES.
_INPUT_BYTES = 2 * 1024 * 1024
_READ_BYTES = 64 * 1024
_CONNECT_SECONDS = 10.0
# From the end of a trainer's output to Ray's word on what happened.
_EXIT_SECONDS = 10.0
_KILL_SECONDS = 6.0
# Ray takes from 15 s to minutes to give a silent worker up. A call takes milliseconds: several in a row that take
# longer than this are no load any more, and a pause of the shim itself spoils one at most.
_PING_SECONDS = 1.5
_PINGS = 3

OnOutput = Callable[[int, int, bytes], Awaitable[None]]


class LinkLost(Exception):
    """The connection to a worker ended, and the worker has not."""


class Replica:
    def __init__(self, rank: int, actor: Any) -> None:
        self.rank = rank
        self.actor = actor
        # Set once started (see Worker.start) and once ended (see Worker.exit).
        self.info: dict[str, Any] | None = None
        self.cpu_model = ""
        self.exit: dict[str, Any] | None = None
        # Its worker, or its node, is known to be gone: there is nothing to be asked of it.
        self.lost = False
        self._connected = asyncio.Event()
        # Input from before that, and whether it ends there.
        self._early = b""
        self._early_end = False

    async def start(self, command: list[str], environment: dict[str, str], directory: str, cpus: float) -> str:
        """Why the trainer could not be started; empty where it was. Raises RayError where the worker died."""
        pem = certificate.own()
        meeting = link.Meeting(os.urandom(link.SECRET_BYTES), link.this_host(), pem)
        answer = await self.actor.start.remote(command, environment, directory, cpus, meeting)
        if error := answer.get("error"):
            return error
        address, port = answer.pop("link")
        self.cpu_model = answer.pop("cpu_model")
        try:
            await asyncio.wait_for(self._connect(address, port, meeting), _CONNECT_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            why = str(error) or f"no answer within {_CONNECT_SECONDS:g} s"
            return (
                f"the shim cannot connect to its worker at {address}:{port}: {why}; nodes must reach each other's ports"
            )
        self.info = answer
        return ""

    async def _connect(self, address: str, port: int, meeting: link.Meeting) -> None:
        tls = None if address == link.LOOPBACK else certificate.only(meeting.pem)
        self._reader, self._writer = await asyncio.open_connection(address, port, limit=_READ_BYTES, ssl=tls)
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, link.SOCKET_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, link.SOCKET_BYTES)
        self._writer.transport.set_write_buffer_limits(high=_INPUT_BYTES)
        self._writer.write(meeting.secret)
        self._write(self._early)
        self._early = b""
        self._connected.set()
        if self._early_end:
            self._writer.write(pump.chunk(pump.END, b""))

    def _write(self, data: bytes) -> None:
        for at in range(0, len(data), pump.CHUNK_BYTES):
            self._writer.write(pump.chunk(pump.BYTES, data[at : at + pump.CHUNK_BYTES]))

    async def give(self, data: bytes) -> None:
        """Bytes for the trainer. Waits while too much is held already; silent where the trainer is gone."""
        if not self._connected.is_set() and len(self._early) < _INPUT_BYTES:
            self._early += data
            return
        await self._connected.wait()
        if self._writer.is_closing():
            return
        self._write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def close_input(self) -> None:
        """After what was given before."""
        if not self._connected.is_set():
            self._early_end = True
        elif not self._writer.is_closing():
            self._writer.write(pump.chunk(pump.END, b""))

    async def pump(self, on_output: OnOutput) -> None:
        """Hands on all output until the trainer has ended, then sets `exit`. Raises RayError where the worker died, or
        LinkLost.

        The next is read when the client has taken the last: that is the back-pressure."""
        exited = asyncio.ensure_future(self._exit())
        # A worker whose node has vanished closes no connection.
        exited.add_done_callback(lambda done: done.cancelled() or (done.exception() and self._writer.transport.abort()))
        try:
            rest = bytearray()
            over = False
            while not over and (data := await self._read()):
                rest += data
                for kind, chunk in pump.whole_chunks(rest):
                    over = kind == pump.END
                    if not over:
                        await on_output(self.rank, kind, chunk)
            done, _ = await asyncio.wait({exited}, timeout=_EXIT_SECONDS)
            if not done:
                raise LinkLost("its connection to the shim ended")
            self.exit = exited.result()
        finally:
            exited.cancel()
            self._writer.close()

    async def _exit(self) -> dict[str, Any]:
        return await self.actor.exit.remote()

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_READ_BYTES)
        except ConnectionError:
            return b""

    async def silence(self) -> str:
        """Returns, with words for it, once the worker has not answered for seconds. Raises RayError where it died."""
        missed = 0
        while missed < _PINGS:
            try:
                await asyncio.wait_for(self._ping(), _PING_SECONDS)
                missed = 0
                await asyncio.sleep(_PING_SECONDS)
            except asyncio.TimeoutError:
                missed += 1
        return f"it has not answered for {_PINGS * _PING_SECONDS:g} s"

    async def death(self) -> None:
        """Returns when the worker, which was killed, has died."""
        with contextlib.suppress(RayError):
            while True:
                await self._ping()
                await asyncio.sleep(0.02)

    async def _ping(self) -> None:
        await self.actor.ping.remote()

    async def kill(self) -> None:
        """Returns when every process of the trainer is gone, or its worker is."""
        if self.lost:
            ray.kill(self.actor)
            return
        try:
            await asyncio.wait_for(self._kill(), _KILL_SECONDS)
        except RayError as error:
            log.debug("rank %d: %s", self.rank, error)
        except asyncio.TimeoutError:
            log.warning("rank %d: the worker did not answer; it is killed with its trainer", self.rank)
            ray.kill(self.actor)

    async def _kill(self) -> None:
        await self.actor.kill.remote()
