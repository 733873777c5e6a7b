"""The Ray actor that runs one program on its node. It is sent there by value (see ray_runtime.py), so it may import
only what a bare Ray installation has, and speaks in built-in types."""

import asyncio
import os
import time
from typing import Any

from distmis_shim import trainer_process

# Of each of its outputs; what comes after is read and dropped.
OUTPUT_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024


def _read(fd: int) -> bytes:
    """All that comes, up to the limit; blocks until no writer is left."""
    os.set_blocking(fd, True)
    kept = bytearray()
    while piece := os.read(fd, _READ_BYTES):
        kept += piece[: OUTPUT_BYTES - len(kept)]
    os.close(fd)
    return bytes(kept)


class OnNode:
    """The program dies with the actor."""

    async def clock(self) -> float:
        """Seconds since 1970, as this node has it."""
        return time.time()

    async def run(self, command: list[str], environment: dict[str, str], working_directory: str) -> dict[str, Any]:
        """{"error": text} where it could not be started, or how it ended and what it printed."""
        loop = asyncio.get_running_loop()
        env = trainer_process.own_environment() | environment
        try:
            program = trainer_process.spawn(command, env, working_directory)
        except trainer_process.StartError as error:
            return {"error": str(error)}
        os.close(program.stdin)
        os.close(program.bytes_out)
        outputs = [asyncio.to_thread(_read, fd) for fd in (program.stdout, program.stderr)]
        ended = asyncio.Event()
        trainer_process.watch_exit(program.pid, loop, ended.set)

        async def end() -> tuple[int | None, int | None]:
            await ended.wait()
            # Whatever it has started would hold its outputs open.
            await trainer_process.kill_session(program.pid)
            return trainer_process.reap(program.pid)

        (exit_code, signal), stdout, stderr = await asyncio.gather(end(), *outputs)
        return {"exit_code": exit_code, "signal": signal, "stdout": stdout, "stderr": stderr}
