"""The worker's end of the way between its trainer and the shim: a TCP connection of their own.

A call of Ray costs a millisecond of CPU, shared by its two ends; bytes cost a twentieth of that here, and the
back-pressure is TCP's. The worker listens: on loopback if the shim is on this host, else on its node's address and with
TLS. Whoever connects and says the secret first, which only the shim has (it gave it to the worker by a Ray call), is
the shim. From then on both sides send chunks (see pump.CHUNK_HEAD): the trainer's input, and its output.
"""

import asyncio
import hmac
import os
import socket
import ssl
from pathlib import Path
from typing import NamedTuple, cast

from distmis_shim import pump, trainer_process

SECRET_BYTES = 32
# In each direction and at each end; without it the kernel would hold megabytes for a side that does not read.
SOCKET_BYTES = 64 * 1024
_SECRET_SECONDS = 10.0
# A node that is cut off has to end its trainer before its trial goes on elsewhere: the shim gives a silent worker up
# after 4.5 s (replica.py), and both write into the trial's folder. Kernels answer, however busy their processes are.
_CUT_OFF_SECONDS = 3

# Strangers at once; the shim is let in as soon as one of them is late.
_VISITORS = 8
LOOPBACK = "127.0.0.1"


class Meeting(NamedTuple):
    """How shim and worker find and know each other; goes from the one to the other by a Ray call."""

    secret: bytes
    # The shim's, see this_host.
    host: str
    # Key and certificate of the worker's TLS, which the shim takes for the only ones.
    pem: bytes


def this_host() -> str:
    """Equal for two processes that reach each other over loopback."""
    return Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/net")


def _tls(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # OpenSSL reads keys from files alone; this one is on no disk.
    file = os.memfd_create("distmis-link")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    return context


class Link:
    """`output` may be finished before or after the shim has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, trainer: trainer_process.Trainer, meeting: Meeting) -> None:
        self._loop = loop
        self._meeting = meeting
        self._transport: asyncio.Transport | None = None
        self.visitors = 0
        self.output = pump.OutputPump(loop, trainer.bytes_out, trainer.stdout, trainer.stderr)
        self.input = pump.InputPipe(
            loop,
            trainer.stdin,
            on_full=lambda: self._transport and self._transport.pause_reading(),
            on_room=lambda: self._transport and self._transport.resume_reading(),
        )

    async def listen(self, address: str) -> tuple[str, int]:
        """Where: on loopback, or on this address of the node."""
        near = self._meeting.host == this_host()
        host, tls = (LOOPBACK, None) if near else (address, _tls(self._meeting.pem))
        late = None if near else _SECRET_SECONDS
        self._server = await self._loop.create_server(
            lambda: _Visitor(self), host=host, port=0, ssl=tls, ssl_handshake_timeout=late
        )
        return host, self._server.sockets[0].getsockname()[1]

    def accept(self, secret: bytes, transport: asyncio.Transport) -> bool:
        if self._transport is not None or not hmac.compare_digest(secret, self._meeting.secret):
            return False
        self._transport = transport
        self._server.close()
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _CUT_OFF_SECONDS * 1000)
        transport.set_write_buffer_limits(high=pump.CHUNK_BYTES)
        self.output.attach(transport)
        return True


class _Visitor(asyncio.Protocol):
    def __init__(self, link: Link) -> None:
        self._link = link
        self._said = bytearray()
        self._welcome = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._late = asyncio.get_running_loop().call_later(_SECRET_SECONDS, self._transport.abort)
        self._link.visitors += 1
        if self._link.visitors > _VISITORS:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._said += data
        if not self._welcome:
            if len(self._said) < SECRET_BYTES:
                return
            self._late.cancel()
            self._welcome = self._link.accept(bytes(self._said[:SECRET_BYTES]), self._transport)
            del self._said[:SECRET_BYTES]
            if not self._welcome:
                self._transport.abort()
                return
        for kind, chunk in pump.whole_chunks(self._said):
            if kind == pump.END:
                self._link.input.end()
            else:
                self._link.input.write(chunk)

    def pause_writing(self) -> None:
        self._link.output.pause()

    def resume_writing(self) -> None:
        self._link.output.resume()

    def connection_lost(self, _error: Exception | None) -> None:
        self._link.visitors -= 1
        self._late.cancel()
        # The shim notices too, and ends the gang. Whatever else comes is not taken from the pipes.
        if self._welcome:
            self._link.output.pause()
            self._link.input.close()
