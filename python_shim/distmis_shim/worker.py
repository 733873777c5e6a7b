"""The Ray actor: one trainer process and its pipes. It is sent to the nodes by value (see ray_runtime.py), so it may
import only what a bare Ray installation has, and speaks in built-in types."""

import asyncio
import os
import signal
import socket
from typing import Any

import ray

from distmis_shim import device, link, oom, trainer_process

_OOM_SAMPLE_SECONDS = 1.0
_EXEC_SECONDS = 10.0


class Worker:
    """Its methods run in one event loop whose thread lives as long as the actor; so does the trainer, which dies with
    the thread that spawned it."""

    async def start(
        self,
        command: list[str],
        environment: dict[str, str],
        working_directory: str,
        cpus: float,
        meeting: link.Meeting,
    ) -> dict[str, Any]:
        """Spawns the trainer. {"error": text}, or who and where it is and where its link listens."""
        loop = asyncio.get_running_loop()
        gpu_ids = [str(gpu) for gpu in ray.get_runtime_context().get_accelerator_ids().get("GPU", [])]
        env = trainer_process.own_environment()
        env["DISTMIS_CPUS"] = f"{cpus:g}"
        env["DISTMIS_RAY_VERSION"] = ray.__version__
        env.update(environment)
        # Ray leaves the variable alone for an actor without GPUs, which would then see all of them.
        env["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "") if gpu_ids else ""
        self._oom_files = oom.own_counter_files()
        self._oom_seen = [oom.kills(self._oom_files)] * 2
        try:
            trainer = trainer_process.spawn(command, env, working_directory)
        except trainer_process.StartError as error:
            return {"error": str(error)}
        self._trainer = trainer
        self._killed = False
        self._ended = asyncio.Event()
        self._exit: dict[str, Any] = {}
        self._link = link.Link(loop, trainer, meeting)
        trainer_process.watch_exit(trainer.pid, loop, lambda: setattr(self, "_ending", loop.create_task(self._end())))
        self._sampling = loop.create_task(self._sample_oom())
        if not await trainer_process.wait_executed(trainer.pid, _EXEC_SECONDS):
            await self._ended.wait()
            said = self._link.output.held()
            if self._exit["exit_code"] in (1, 126, 127) and said.startswith(b"setpriv: failed to execute"):
                return {"error": said.decode(errors="replace").strip().removeprefix("setpriv: ")}
        address = ray.util.get_node_ip_address()
        try:
            place = await self._link.listen(address)
        except OSError as error:
            return {"error": f"its worker cannot listen on {address}: {error.strerror or error}"}
        return {
            "node_id": ray.get_runtime_context().get_node_id(),
            "host_name": socket.gethostname(),
            "address": address,
            "link": place,
            "gpu_ids": gpu_ids,
            "actor_pid": os.getpid(),
            "trainer_pid": trainer.pid,
            "device": device.gpu_model() if gpu_ids else device.cpu_model(),
            "cpu_model": device.cpu_model(),
        }

    async def _sample_oom(self) -> None:
        # Two samples, so that an older kill of somebody else on the machine is not taken for this trainer's.
        while True:
            await asyncio.sleep(_OOM_SAMPLE_SECONDS)
            self._oom_seen = [self._oom_seen[1], oom.kills(self._oom_files)]

    async def _end(self) -> None:
        await trainer_process.kill_session(self._trainer.pid)
        exit_code, signal_number = trainer_process.reap(self._trainer.pid)
        self._sampling.cancel()
        out_of_memory = (
            signal_number == signal.SIGKILL and not self._killed and oom.kills(self._oom_files) > self._oom_seen[0]
        )
        self._exit = {"exit_code": exit_code, "signal": signal_number, "out_of_memory": out_of_memory}
        self._link.input.close()
        self._link.output.finish()
        self._ended.set()

    async def ping(self) -> None:
        """Returns at once, as long as this process runs and is reached."""

    async def exit(self) -> dict[str, Any]:
        """How the trainer ended, once all its output is on its way."""
        await self._ended.wait()
        return self._exit

    async def kill(self) -> None:
        """Returns when every process of the trainer's session is gone. Harmless where none was started."""
        if not hasattr(self, "_trainer"):
            return
        if not self._ended.is_set():
            self._killed = True
            await trainer_process.kill_session(self._trainer.pid)
            await self._ended.wait()
