"""Between the pipes of one trainer and a connection: bounded, in order, without timers.

What the pipes hold is handed on at once, for as long as the other end takes it; then nothing is read, and the trainer
stops at a full pipe. The other way round, nothing is taken from the connection while the trainer does not read.
"""

import array
import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable

# Kinds of chunks; END is the last one of its direction, and empty.
BYTES, STDOUT, STDERR, END = 0, 1, 2, 3
# A pipe's capacity.
CHUNK_BYTES = 64 * 1024
# In front of each chunk: its kind and its size.
CHUNK_HEAD = "<BI"


def chunk(kind: int, data: bytes) -> bytes:
    return struct.pack(CHUNK_HEAD, kind, len(data)) + data


def whole_chunks(received: bytearray) -> list[tuple[int, bytes]]:
    """Takes what is complete from the front, neighbours of one kind joined."""
    kinds: list[int] = []
    parts: list[list[bytes]] = []
    head = struct.calcsize(CHUNK_HEAD)
    at = 0
    while len(received) - at >= head:
        kind, size = struct.unpack_from(CHUNK_HEAD, received, at)
        if len(received) - at - head < size:
            break
        if not kinds or kinds[-1] != kind:
            kinds.append(kind)
            parts.append([])
        parts[-1].append(bytes(received[at + head : at + head + size]))
        at += head + size
    del received[:at]
    return [(kind, b"".join(part)) for kind, part in zip(kinds, parts, strict=True)]


class OutputPump:
    """Hands on what the trainer sends and prints. What it printed before it sent some bytes comes before them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_out: int, stdout: int, stderr: int) -> None:
        self._loop = loop
        self._fds = {BYTES: bytes_out, STDOUT: stdout, STDERR: stderr}
        self._paused = True
        # What finish() took while there was no connection.
        self._held: list[tuple[int, bytes]] = []
        self._transport: asyncio.WriteTransport | None = None
        self._finished = False

    def attach(self, transport: asyncio.WriteTransport) -> None:
        """From now on output goes there."""
        self._transport = transport
        for kind, data in self._held:
            self._hand_on(kind, data)
        if self._finished:
            self._hand_on(END, b"")
        else:
            self.resume()

    def resume(self) -> None:
        if self._paused and not self._finished:
            self._paused = False
            for kind, fd in self._fds.items():
                self._loop.add_reader(fd, self._on_readable, kind)

    def pause(self) -> None:
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
                self._hand_on(kind, data)

    def _on_readable(self, kind: int) -> None:
        if kind == BYTES:
            # Read first, then the logs, then handed on in the other order: a log written before these bytes is in its
            # pipe by now.
            data = self._read(BYTES, CHUNK_BYTES)
            if data is not None:
                self._take_logs()
                self._hand_on(BYTES, data)
        elif (data := self._read(kind, CHUNK_BYTES)) is not None:
            self._hand_on(kind, data)

    def _hand_on(self, kind: int, data: bytes) -> None:
        if self._transport is None:
            self._held.append((kind, data))
        else:
            self._transport.write(chunk(kind, data))

    def finish(self) -> None:
        """Takes what the pipes still hold (at most their capacity) and closes them; the end of the output follows."""
        self.pause()
        self._finished = True
        sent = []
        while data := self._read(BYTES, CHUNK_BYTES):
            sent.append(data)
        self._take_logs()
        for data in sent:
            self._hand_on(BYTES, data)
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        if self._transport is not None:
            self._hand_on(END, b"")

    def held(self) -> bytes:
        """What was taken at the end, if nobody was there to take it."""
        return b"".join(data for _, data in self._held)


class InputPipe:
    """The trainer's standard input."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        on_full: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        """`on_full` is called when the trainer does not read, `on_room` when it has taken all."""
        self._loop = loop
        self._fd: int | None = fd
        self._on_full = on_full
        self._on_room = on_room
        self._waiting = bytearray()
        self._ending = False

    def write(self, data: bytes) -> None:
        """Silent where the pipe is closed: that the trainer ended is told elsewhere."""
        if self._fd is None:
            return
        behind = len(self._waiting) > 0
        self._waiting += data
        if not behind and not self._flush():
            self._loop.add_writer(self._fd, self._on_writable)
            self._on_full()

    def end(self) -> None:
        """Closes it once what was written has been taken."""
        self._ending = True
        if not self._waiting:
            self.close()

    def _flush(self) -> bool:
        """Whether there is nothing left to be written."""
        while self._waiting and self._fd is not None:
            try:
                del self._waiting[: os.write(self._fd, self._waiting)]
            except BlockingIOError:
                return False
            except BrokenPipeError:
                self.close()
        return True

    def _on_writable(self) -> None:
        if not self._flush():
            return
        if self._fd is not None:
            self._loop.remove_writer(self._fd)
        self._on_room()
        if self._ending:
            self.close()

    def close(self) -> None:
        """At once, also in the middle of a write."""
        self._waiting.clear()
        if self._fd is not None:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = None
