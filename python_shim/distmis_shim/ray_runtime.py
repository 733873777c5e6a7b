"""The Ray that the shim drives: one of its own, or an existing one."""

import logging
import os
import shutil
import socket
from pathlib import Path

import ray
from ray import cloudpickle

import distmis_shim

log = logging.getLogger(__name__)

# Nothing large goes through it; Ray's least is 75 MiB.
_OBJECT_STORE_BYTES = 100 * 1024 * 1024
_REACH_SECONDS = 5.0
# sun_path holds 107 bytes and a zero.
_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET = "/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"


class RayError(Exception):
    """Ray could not be started or joined; the text is for a person."""


def _by_value() -> None:
    # Workers on other nodes need no installation of the shim, and can have no other version of it.
    cloudpickle.register_pickle_by_value(distmis_shim)


def start_local(temp_dir: str, gpus: float | None, cpus: float | None) -> str:
    """Starts a Ray for this process alone: it dies with the calling thread, even by SIGKILL. Returns its address."""
    room = _SOCKET_PATH_BYTES - len(_LONGEST_SOCKET)
    if len(os.fsencode(temp_dir)) > room:
        raise RayError(f"--temp-dir {temp_dir} is too long for Ray's sockets: at most {room} bytes")
    context = ray.init(
        address="local",
        num_cpus=cpus,
        num_gpus=gpus,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=temp_dir,
    )
    _by_value()
    return context.address_info["address"]


def _reach(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        if address == "auto":
            return
        raise RayError(f"--ray-address is {address!r}; expected host:port, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RayError(f"no connection to the Ray at {address}: {error}; is it running there?") from error


def join(address: str) -> str:
    """Connects to a Ray made by `ray start`. Returns its address."""
    _reach(address)
    try:
        context = ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        # Ray does not say so, but a secret that is missing or wrong looks like this.
        hint = "is RAY_AUTH_MODE set here as on its nodes, with the same token?"
        raise RayError(f"no connection to the Ray at {address}: {error}; {hint}") from error
    _by_value()
    return context.address_info["gcs_address"]


def stop(temp_dir: str, log_dir: str | None) -> None:
    """Ends what start_local or join began; keeps the logs of a local Ray where they are wanted."""
    ray.shutdown()
    logs = Path(temp_dir) / "session_latest" / "logs"
    if log_dir and logs.is_dir():
        shutil.copytree(logs, Path(log_dir) / "ray", dirs_exist_ok=True, ignore_dangling_symlinks=True)
