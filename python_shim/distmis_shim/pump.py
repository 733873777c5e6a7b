"""The pipes of one trainer inside its worker: bounded, in order, without timers.

Reading is pulled: the shim asks, and gets at once what has gathered since it asked last. So small writes are coalesced
exactly when the shim is behind, the first byte after silence waits for nothing, and a shim that does not ask stops the
trainer at a full pipe.
"""

import array
import asyncio
import fcntl
import os
import termios

BYTES, STDOUT, STDERR = 0, 1, 2
# A pipe's capacity. A Ray call carries up to 100 kB without a detour over the object store.
CHUNK_BYTES = 64 * 1024
_BUFFER_BYTES = 256 * 1024

Chunk = tuple[int, bytes]


class OutputPump:
    """Gathers what the trainer sends and prints. What it printed before it sent some bytes comes before them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_out: int, stdout: int, stderr: int) -> None:
        self._loop = loop
        self._fds = {BYTES: bytes_out, STDOUT: stdout, STDERR: stderr}
        self._chunks: list[Chunk] = []
        self._size = 0
        self._paused = True
        self._finished = False
        self._wake = asyncio.Event()
        self._resume()

    def _resume(self) -> None:
        if self._paused and not self._finished:
            self._paused = False
            for kind, fd in self._fds.items():
                self._loop.add_reader(fd, self._on_readable, kind)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            for fd in self._fds.values():
                self._loop.remove_reader(fd)

    def _read(self, kind: int, size: int) -> bytes | None:
        """None where nothing is there; closes the pipe at its end."""
        fd = self._fds.get(kind)
        if fd is None:
            return None
        try:
            data = os.read(fd, size)
        except BlockingIOError:
            return None
        if not data:
            self._loop.remove_reader(fd)
            os.close(fd)
            del self._fds[kind]
            return None
        return data

    def _take_logs(self) -> None:
        """What stdout and stderr hold at this moment, and no more, so that endless printing does not starve."""
        for kind in (STDOUT, STDERR):
            fd = self._fds.get(kind)
            if fd is None:
                continue
            waiting = array.array("i", [0])
            fcntl.ioctl(fd, termios.FIONREAD, waiting)
            left = waiting[0]
            while left > 0 and (data := self._read(kind, min(left, CHUNK_BYTES))):
                left -= len(data)
                self._add(kind, data)

    def _on_readable(self, kind: int) -> None:
        if kind == BYTES:
            # Read first, then the logs, then handed on in the other order: a log written before these bytes is in its
            # pipe by now.
            data = self._read(BYTES, CHUNK_BYTES)
            if data is not None:
                self._take_logs()
                self._add(BYTES, data)
        elif (data := self._read(kind, CHUNK_BYTES)) is not None:
            self._add(kind, data)
        if self._size >= _BUFFER_BYTES:
            self._pause()

    def _add(self, kind: int, data: bytes) -> None:
        self._chunks.append((kind, data))
        self._size += len(data)
        self._wake.set()

    def finish(self) -> None:
        """Takes what the pipes still hold (at most their capacity) and closes them."""
        self._pause()
        self._finished = True
        sent = []
        while data := self._read(BYTES, CHUNK_BYTES):
            sent.append(data)
        self._take_logs()
        for data in sent:
            self._add(BYTES, data)
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        self._wake.set()

    def gathered(self) -> list[Chunk]:
        """What waits to be taken."""
        return list(self._chunks)

    async def take(self) -> list[Chunk]:
        """Up to CHUNK_BYTES, neighbours of one kind joined; waits for something; empty when all is over."""
        await self._wake.wait()
        taken: list[Chunk] = []
        room = CHUNK_BYTES
        used = 0
        parts: list[bytes] = []
        for index, (kind, data) in enumerate(self._chunks):
            piece = data[:room]
            room -= len(piece)
            parts.append(piece)
            whole = len(piece) == len(data)
            if whole:
                used += 1
            else:
                self._chunks[index] = (kind, data[len(piece) :])
            following = self._chunks[index + 1][0] if whole and index + 1 < len(self._chunks) else None
            if room == 0 or following != kind:
                taken.append((kind, b"".join(parts)))
                parts = []
            if room == 0:
                break
        del self._chunks[:used]
        self._size -= CHUNK_BYTES - room
        if not self._chunks and not self._finished:
            self._wake.clear()
        if self._size < _BUFFER_BYTES // 2:
            self._resume()
        return taken


class InputPipe:
    """The trainer's standard input. `write` returns when the pipe has taken the data, so it waits for the trainer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self._loop = loop
        self._fd: int | None = fd
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Silent where the pipe is closed: that the trainer ended is told elsewhere."""
        async with self._turn:
            view = memoryview(data)
            while view and self._fd is not None:
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    self._changed.clear()
                    self._loop.add_writer(self._fd, self._changed.set)
                    await self._changed.wait()
                    if self._fd is not None:
                        self._loop.remove_writer(self._fd)
                except BrokenPipeError:
                    self.close()

    def close(self) -> None:
        """At once, also in the middle of a write."""
        if self._fd is not None:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = None
            self._changed.set()
