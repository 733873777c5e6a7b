"""What computes on a node, by the names of its makers. It goes to the nodes with the worker, see there."""

import platform
from collections.abc import Mapping
from pathlib import Path

_TYPE = "accelerator_type:"


def gpu_model(driver: str = "/proc/driver/nvidia/gpus") -> str:
    """As NVIDIA's driver tells it, "NVIDIA H200"; several with " / ", as nothing says which of them is whose. Empty
    without a driver."""
    return " / ".join(sorted({_value(file, "Model") for file in Path(driver).glob("*/information")} - {""}))


def cpu_model(info: str = "/proc/cpuinfo") -> str:
    """As the kernel tells it, else the architecture."""
    return _value(Path(info), "model name") or platform.machine()


def _value(file: Path, key: str) -> str:
    """Of the first line "key : value" with this key; empty where there is none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    values = (value for name, _, value in (line.partition(":") for line in lines) if name.strip() == key)
    return " ".join(next(values, "").split())


def accelerator_type(resources: Mapping[str, float]) -> str:
    """Ray's name for the kind of GPU that a node with these resources has; empty where Ray has found none."""
    return next((name.removeprefix(_TYPE) for name in sorted(resources) if name.startswith(_TYPE)), "")
