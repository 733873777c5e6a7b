"""A Ray of several nodes on this machine, made by `ray start` as on a real cluster."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from harness import environment, marked, until

_RAY = str(Path(sys.executable).with_name("ray"))
_GIB = 2**30

# By Ray's own settings a node that answers no more is given up after a good 15 s.
_QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
}

# name: CPUs, GPUs, GiB, custom resources, further labels
NODES = {
    "head": (2, 0, 1, {}, {"zone": "a"}),
    "large": (6, 0, 8, {"fpga": 2}, {"zone": "a"}),
    "gpu": (4, 4, 2, {}, {"zone": "b"}),
    "doomed": (1, 0, 1, {"doomed": 1}, {}),
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


class RayCluster:
    """`names`: of NODES, the head first. Without a token it is open to everybody."""

    def __init__(self, names: tuple[str, ...] = tuple(NODES), with_token: bool = True) -> None:
        self.names = names
        self.folder = Path(tempfile.mkdtemp(prefix="dmc"))
        self.mark = uuid.uuid4().hex
        secret = self.folder / "token"
        secret.touch(0o600)
        secret.write_text(secrets.token_hex(32))
        self.token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(secret)} if with_token else {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = (self.folder / "log").open("wb")

    async def start(self) -> None:
        port = _free_port()
        self.address = f"{socket.gethostbyname(socket.gethostname())}:{port}"
        self._start_node(
            "head", "--head", f"--port={port}", "--include-dashboard=false", f"--ray-client-server-port={_free_port()}"
        )
        await until(lambda: self._says(b"Ray runtime started"), 40, "head node")
        # Ray writes it after it has said so.
        current = self.folder / "head" / "ray_current_cluster"
        await until(current.exists, 10, "the head's address")
        address = current.read_text().strip()
        self.address = address
        # One after the other: on a small machine several at once miss Ray's own deadlines.
        for count, name in enumerate(self.names[1:], start=2):
            self._start_node(name, f"--address={address}")
            await until(lambda count=count: self._says(b"Ray runtime started", count), 60, f"node {name}")

    def _says(self, text: bytes, times: int = 1) -> bool:
        assert all(process.poll() is None for process in self._processes), (self.folder / "log").read_text()
        return (self.folder / "log").read_bytes().count(text) >= times

    def _start_node(self, name: str, *options: str) -> None:
        cpus, gpus, gib, custom, labels = NODES[name]
        marks = ",".join(f"{key}={value}" for key, value in {**labels, "name": name}.items())
        self._processes.append(
            subprocess.Popen(
                [
                    *[_RAY, "start", *options, "--block", "--disable-usage-stats", f"--node-name={name}"],
                    *[f"--num-cpus={cpus}", f"--num-gpus={gpus}", f"--memory={gib * _GIB}"],
                    *[f"--resources={json.dumps(custom)}", f"--labels={marks}"],
                    *["--object-store-memory=80000000", "--min-worker-port=0", "--max-worker-port=0"],
                    *["--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0"],
                    # Raylets that start at the same time in one folder take each other's socket.
                    f"--temp-dir={self.folder / name}",
                ],
                env=environment(self.node_mark(name)) | self.token | _QUICK_TO_NOTICE,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        )

    def node_mark(self, name: str) -> str:
        return f"{self.mark}-{name}"

    def kill_raylet(self, name: str) -> None:
        for pid, command in marked(self.node_mark(name)).items():
            if "/raylet/raylet " in command:
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        return {pid: command for name in self.names for pid, command in marked(self.node_mark(name)).items()}

    async def close(self) -> None:
        for process in self._processes:
            process.terminate()
        with contextlib.suppress(AssertionError):
            await until(lambda: not self.processes(), 5, "end of the cluster")
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            await asyncio.to_thread(process.wait)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
