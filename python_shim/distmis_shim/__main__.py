"""Starts Ray, serves until the parent closes standard input or sends SIGTERM, and ends everything."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from distmis_shim import guard, ray_environment

# For gangs to end and Ray to stop; then whatever is left dies with this process.
_END_SECONDS = 8


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="distmis_shim", description=__doc__)
    parser.add_argument("--listen", required=True, help="unix:<path>")
    parser.add_argument("--ray-address", help="join this Ray instead of starting one")
    parser.add_argument("--num-gpus", type=float, help="of the Ray that is started; default: those of the machine")
    parser.add_argument("--num-cpus", type=float, help="of the Ray that is started; default: those of the machine")
    parser.add_argument("--temp-dir", required=True, help="of Ray; short, as sockets lie in it")
    parser.add_argument("--log-dir", help="for the logs of shim and Ray; default: --temp-dir")
    arguments = parser.parse_args()
    if not arguments.listen.startswith("unix:"):
        parser.error("--listen must be unix:<path>")
    return arguments


class _Ending:
    """Whether the process is to end, asked for from any thread; once asked, a deadline runs."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        if not self._asked.is_set():
            self._asked.set()
            # By default SIGALRM ends the process, even one in which no Python thread runs any more.
            signal.alarm(_END_SECONDS)
        if self._loop and self._wake:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def wait(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        if self._asked.is_set():
            return
        await self._wake.wait()


def _watch_parent(ending: _Ending) -> None:
    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        ending.ask()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _watch_head(address: str, ending: _Ending, tell) -> None:
    def watch() -> None:
        loss = ray_head.wait_for_loss(address, ending.asked)
        if loss and not ending.asked():
            tell({"error": loss})
            logging.error(loss)
            # Calls of Ray would wait for the head; what was started ends with this process.
            os._exit(1)

    from distmis_shim import ray_head

    threading.Thread(target=watch, name="head", daemon=True).start()


async def _serve(arguments: argparse.Namespace, address: str, ending: _Ending, tell) -> None:
    import ray

    from distmis_shim.server import serve

    # After ray.init, which sets a handler of its own.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.ask)
    server, service = await serve(arguments.listen, address)
    _watch_head(address, ending, tell)
    tell({"ready": True, "ray_address": address, "ray_version": ray.__version__})
    await ending.wait()
    await service.close()
    await server.stop(grace=1.0)


def main() -> int:
    arguments = _arguments()
    # A terminal sends Ctrl-C to the parent too, and that decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard.enter()
    # Standard output is the parent's for one line; whatever else is printed goes where errors go.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(what: dict) -> None:
        print(json.dumps(what), file=answer, flush=True)

    ending = _Ending()
    _watch_parent(ending)
    ray_environment.prepare(own_ray=arguments.ray_address is None)
    log_dir = Path(arguments.log_dir or arguments.temp_dir)
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=log_dir / "shim.log", level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        from distmis_shim import ray_runtime

        if arguments.ray_address:
            address = ray_runtime.join(arguments.ray_address)
        else:
            address = ray_runtime.start_local(arguments.temp_dir, arguments.num_gpus, arguments.num_cpus)
        asyncio.run(_serve(arguments, address, ending, tell))
        ray_runtime.stop(arguments.temp_dir, None if arguments.ray_address else arguments.log_dir)
    except Exception as error:
        logging.exception("the shim failed")
        tell({"error": " ".join(f"{error or type(error).__name__}".split())})
        return 1
    finally:
        with contextlib.suppress(OSError):
            os.unlink(arguments.listen.removeprefix("unix:"))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Threads of Ray and gRPC must not hold the end up.
    os._exit(code)
