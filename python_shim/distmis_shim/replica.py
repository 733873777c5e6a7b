"""The shim's side of one worker: its actor, and what waits to be written to its trainer."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray.exceptions import RayError

log = logging.getLogger(__name__)

# What fits into one Ray call without a detour over the object store (100 kB).
_PIECE_BYTES = 64 * 1024
# Messages of the client (at most server.MESSAGE_BYTES each) held while the trainer does not read.
_INPUT_MESSAGES = 4
_KILL_SECONDS = 6.0
# Ray takes from 15 s to minutes to give a silent worker up. A call takes milliseconds: several in a row that take
# longer than this are no load any more, and a pause of the shim itself spoils one at most.
_PING_SECONDS = 1.5
_PINGS = 3

OnOutput = Callable[[int, int, bytes], Awaitable[None]]


class Replica:
    def __init__(self, rank: int, actor: Any) -> None:
        self.rank = rank
        self.actor = actor
        # Set once started (see Worker.start) and once ended (see Worker.read).
        self.info: dict[str, Any] | None = None
        self.exit: dict[str, Any] | None = None
        # Its worker, or its node, is known to be gone: there is nothing to be asked of it.
        self.lost = False
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_INPUT_MESSAGES)

    async def start(self, command: list[str], environment: dict[str, str], directory: str, cpus: float) -> str:
        """Why the trainer could not be started; empty where it was. Raises RayError where the worker died."""
        answer = await self.actor.start.remote(command, environment, directory, cpus)
        if error := answer.get("error"):
            return error
        self.info = answer
        return ""

    async def give(self, data: bytes) -> None:
        """Waits while too much is held already."""
        await self._room.acquire()
        self._input.put_nowait(data)

    def close_input(self) -> None:
        """After what was given before."""
        self._input.put_nowait(None)

    async def feed(self) -> None:
        """Writes what is given to the trainer until its input is closed; a lost worker is noticed by `pump`."""
        while (data := await self._input.get()) is not None:
            try:
                for start in range(0, len(data), _PIECE_BYTES):
                    await self.actor.write.remote(data[start : start + _PIECE_BYTES])
            except RayError as error:
                log.debug("rank %d: %s", self.rank, error)
            self._room.release()
        try:
            await self.actor.close_input.remote()
        except RayError as error:
            log.debug("rank %d: %s", self.rank, error)

    async def pump(self, on_output: OnOutput) -> None:
        """Hands on all output until the trainer has ended, then sets `exit`. Raises RayError where the worker died.

        One read is under way at a time, and the next waits until the client has taken the last: that is the
        back-pressure."""
        while True:
            chunks, self.exit = await self.actor.read.remote()
            if self.exit is not None:
                return
            for kind, data in chunks:
                await on_output(self.rank, kind, data)

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
