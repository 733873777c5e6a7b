"""The head of a Ray cluster, asked directly: Ray itself retries for up to a minute and says little of what is wrong."""

import json
import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Set
from pathlib import Path

import grpc
import ray
from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private import services
from ray._private.grpc_utils import init_grpc_channel
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoRequest, InternalKVGetRequest
from ray.core.generated.gcs_service_pb2_grpc import InternalKVGcsServiceStub, NodeInfoGcsServiceStub
from ray.exceptions import AuthenticationError

from distmis_shim.words import one_line

_ANSWER_SECONDS = 5.0
_WATCH_SECONDS = 2.0
# In a row; a head that is only busy answers one of them.
_MISSED_ANSWERS = 4
_OPTIONS = [("grpc.enable_http_proxy", 0)]
_TOKEN = "RAY_AUTH_MODE=token and the token of its nodes, in a file that RAY_AUTH_TOKEN_PATH names (~/.ray/auth_token)"

log = logging.getLogger(__name__)


class RayError(Exception):
    """Ray could not be started or joined; the text is one line for a person."""


def _channel(address: str, with_token: bool) -> grpc.Channel:
    tls = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    return init_grpc_channel(address, _OPTIONS) if with_token or tls else grpc.insecure_channel(address, _OPTIONS)


def _metadata(address: str, with_token: bool = True) -> dict[str, str]:
    """What the head says of its versions. Raises grpc.RpcError, AuthenticationError, ValueError."""
    with _channel(address, with_token) as channel:
        request = InternalKVGetRequest(namespace=KV_NAMESPACE_CLUSTER, key=CLUSTER_METADATA_KEY)
        answer = InternalKVGcsServiceStub(channel).InternalKVGet(request, timeout=_ANSWER_SECONDS)
    return json.loads(answer.value)


def _token_is_on() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def _refused(address: str, error: grpc.RpcError) -> str:
    """Why, and what to do."""
    at = f"the Ray at {address}"
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return f"{at} {'does not take this token' if _token_is_on() else 'asks for a token'}: set {_TOKEN}"
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"{at} has not answered for {_ANSWER_SECONDS:g} s: is its head stopped, or has it too much to do?"
    return (
        f"what listens at {address} is not the head of a Ray cluster: expected HOST:PORT as in `ray start --head "
        f"--port=PORT`, 6379 by default ({error.details()})"
    )


def check(address: str) -> None:
    """Raises RayError if the Ray there can't be joined from here."""
    try:
        found = _metadata(address)
        _check_versions(address, found)
        _check_place(address)
    except AuthenticationError as error:
        raise RayError(f"RAY_AUTH_MODE is token, but there is no token here: set {_TOKEN}") from error
    except grpc.RpcError as error:
        raise RayError(one_line(_refused(address, error))) from error
    except ValueError as error:
        raise RayError(f"the Ray at {address} does not say its version: is it still starting?") from error
    if _token_is_on() and _is_open(address):
        raise RayError(
            f"the Ray at {address} asks nobody for a token, while RAY_AUTH_MODE is token here: start all its nodes "
            "with RAY_AUTH_MODE=token, or unset it here to join a Ray that is open to everybody who reaches it"
        )


def _check_versions(address: str, found: dict[str, str]) -> None:
    theirs, ours = (found.get("ray_version"), found.get("python_version")), (ray.__version__, platform.python_version())
    if theirs != ours:
        raise RayError(
            f"the Ray at {address} has version {theirs[0]} and Python {theirs[1]}, distmis here {ours[0]} and Python "
            f"{ours[1]}, and Ray joins only its like: start the cluster with the `ray` of distmis's own environment "
            "(.venv/bin/ray) on all nodes"
        )


def _is_open(address: str) -> bool:
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return False
    try:
        _metadata(address, with_token=False)
    except (grpc.RpcError, ValueError):
        return False
    return True


def _check_place(address: str) -> None:
    """A driver works through the raylet of its own host."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not (here := _alive(address, services.find_node_ids())):
        if time.monotonic() > deadline:
            raise RayError(
                f"no node of the Ray at {address} runs on this machine, {socket.gethostname()}: start distmis on one "
                "of its nodes, or add this machine to it, without work: "
                f"`ray start --address={address} --num-cpus=0 --num-gpus=0`"
            )
        time.sleep(0.5)
    if not any(Path(node.raylet_socket_name).exists() for node in here):
        raise RayError(
            f"the node of the Ray at {address} on this machine has its sockets in "
            f"{Path(here[0].raylet_socket_name).parent}, which can't be seen from here: start distmis in its "
            "container, or share that folder"
        )


def _alive(address: str, node_ids: Set[str]) -> list[GcsNodeInfo]:
    """Those of these nodes that belong to the cluster and are alive. Raises grpc.RpcError."""
    with _channel(address, with_token=True) as channel:
        nodes = NodeInfoGcsServiceStub(channel).GetAllNodeInfo(GetAllNodeInfoRequest(), timeout=_ANSWER_SECONDS)
    return [
        node
        for node in nodes.node_info_list
        if node.state == GcsNodeInfo.GcsNodeState.ALIVE and node.node_id.hex() in node_ids
    ]


def wait_for_loss(address: str, ended: Callable[[], bool]) -> str:
    """Asks the head until it does not answer any more; then how that looks. Empty if `ended` comes first. Blocks."""
    missed = 0
    last = ""
    while not ended():
        try:
            _metadata(address)
            missed = 0
        except Exception as error:
            missed += 1
            last = str(error.details()) if isinstance(error, grpc.RpcError) else str(error)
            log.warning("the head of Ray at %s does not answer (%s): %s", address, missed, one_line(last))
            if missed == _MISSED_ANSWERS:
                return one_line(
                    f"the head of Ray at {address} does not answer any more, and with it the cluster is gone: see its "
                    f"logs there, start the cluster again ({last})"
                )
        time.sleep(_WATCH_SECONDS)
    return ""
