"""The worker's end of the way between its trainer and the shim: a TCP connection of their own.

A call of Ray costs a millisecond of CPU, shared by its two ends; bytes cost a twentieth of that here, and the
back-pressure is TCP's. The worker listens. Whoever connects and says the secret first, which only the shim has (it
gave it to the worker by a Ray call), is the shim. From then on it sends the bytes of the trainer's input, and gets the
chunks of its output (see pump.CHUNK_HEAD). The end of either direction is that of the stream.
"""

import asyncio
import hmac
import socket
from typing import cast

from distmis_shim import pump, trainer_process

SECRET_BYTES = 32
# In each direction and at each end; without it the kernel would hold megabytes for a side that does not read.
SOCKET_BYTES = 64 * 1024
_SECRET_SECONDS = 10.0


class Link:
    """`output` may be finished before or after the shim has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, trainer: trainer_process.Trainer, secret: bytes) -> None:
        self._loop = loop
        self._secret = secret
        self._transport: asyncio.Transport | None = None
        self.output = pump.OutputPump(loop, trainer.bytes_out, trainer.stdout, trainer.stderr)
        self.input = pump.InputPipe(
            loop,
            trainer.stdin,
            on_full=lambda: self._transport and self._transport.pause_reading(),
            on_room=lambda: self._transport and self._transport.resume_reading(),
        )

    async def listen(self, address: str) -> int:
        """The port, on this address of the node."""
        self._server = await self._loop.create_server(lambda: _Visitor(self), host=address, port=0)
        return self._server.sockets[0].getsockname()[1]

    def accept(self, secret: bytes, transport: asyncio.Transport) -> bool:
        if self._transport is not None or not hmac.compare_digest(secret, self._secret):
            return False
        self._transport = transport
        self._server.close()
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        transport.set_write_buffer_limits(high=pump.CHUNK_BYTES)
        self.output.attach(transport)
        return True


class _Visitor(asyncio.Protocol):
    def __init__(self, link: Link) -> None:
        self._link = link
        self._said = b""
        self._welcome = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._late = asyncio.get_running_loop().call_later(_SECRET_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._welcome:
            self._link.input.write(data)
            return
        self._said += data
        if len(self._said) < SECRET_BYTES:
            return
        self._late.cancel()
        self._welcome = self._link.accept(self._said[:SECRET_BYTES], self._transport)
        if not self._welcome:
            self._transport.abort()
        elif rest := self._said[SECRET_BYTES:]:
            self._link.input.write(rest)

    def eof_received(self) -> bool:
        """The other direction stays open."""
        if self._welcome:
            self._link.input.end()
        return self._welcome

    def pause_writing(self) -> None:
        self._link.output.pause()

    def resume_writing(self) -> None:
        self._link.output.resume()

    def connection_lost(self, _error: Exception | None) -> None:
        # The shim notices too, and ends the gang. Whatever else comes is not taken from the pipes.
        self._late.cancel()
        if self._welcome:
            self._link.output.pause()
