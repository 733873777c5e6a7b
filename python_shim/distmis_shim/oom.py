"""The kernel's counts of out-of-memory kills: the only difference between such a kill and any other SIGKILL."""

from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")


def counter_files(own_cgroups: str, root: Path = _CGROUP_ROOT) -> list[Path]:
    """Files with an `oom_kill` line for the cgroups in the text of /proc/self/cgroup.

    Inside a container the path there may not exist below the mount; the mount's root is then the own cgroup.
    """
    files = []
    for line in own_cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts, name = [root, root / "unified"], "memory.events"
        elif "memory" in controllers.split(","):
            mounts, name = [root / "memory"], "memory.oom_control"
        else:
            continue
        for mount in mounts:
            for folder in (mount / path.lstrip("/"), mount):
                if (folder / name).exists():
                    files.append(folder / name)
                    break
    return files


def kills(files: list[Path]) -> int:
    """Sum of the counters; a file that cannot be read counts as 0."""
    total = 0
    for file in files:
        try:
            for line in file.read_text().splitlines():
                if line.startswith("oom_kill "):
                    total += int(line.split()[1])
        except (OSError, ValueError):
            continue
    return total


def own_counter_files() -> list[Path]:
    """The counters of this process's cgroups, and the whole machine's for kills that no cgroup's limit caused."""
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        own = ""
    return [*counter_files(own), Path("/proc/vmstat")]
