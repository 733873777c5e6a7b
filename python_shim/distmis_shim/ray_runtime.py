"""The Ray that the shim drives: one of its own, or an existing one."""

import logging
import os
import shutil
import socket
from pathlib import Path

import ray
from ray import cloudpickle
from ray._private import services

import distmis_shim
from distmis_shim import ray_head
from distmis_shim.ray_head import RayError
from distmis_shim.words import one_line

log = logging.getLogger(__name__)

# Nothing large goes through it; Ray's least is 75 MiB.
_OBJECT_STORE_BYTES = 100 * 1024 * 1024
_REACH_SECONDS = 5.0
# sun_path holds 107 bytes and a zero.
_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET = "/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"


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


def _found(address: str) -> str:
    """HOST:PORT of an address; Ray itself would try for minutes whether anybody is there."""
    if address == "auto":
        try:
            address = services.canonicalize_bootstrap_address_or_die("auto")
        except (ConnectionError, ValueError) as error:
            several = "multiple" in str(error)
            raise RayError(
                f"{'several Rays run' if several else 'no Ray runs'} on this machine: "
                f"give --ray-address HOST:PORT of {'the one that is meant' if several else 'its head, or start one'}"
            ) from error
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise RayError(f"--ray-address is {address!r}; expected host:port, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RayError(
            f"no connection to the Ray at {address}: {error}; is it running there, and does no firewall lie between?"
        ) from error
    return address


def join(address: str) -> str:
    """Connects to a Ray made by `ray start`. Returns its address."""
    address = _found(address)
    ray_head.check(address)
    try:
        context = ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise RayError(one_line(f"the Ray at {address} can't be joined: {error}")) from error
    _by_value()
    return context.address_info["gcs_address"]


def stop(temp_dir: str, log_dir: str | None) -> None:
    """Ends what start_local or join began; keeps the logs of a local Ray where they are wanted."""
    ray.shutdown()
    logs = Path(temp_dir) / "session_latest" / "logs"
    if log_dir and logs.is_dir():
        shutil.copytree(logs, Path(log_dir) / "ray", dirs_exist_ok=True, ignore_dangling_symlinks=True)
