"""One trainer process: spawned without a shell, in a session of its own that ends as a whole."""

import asyncio
import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_RESET_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGQUIT]
# Where file descriptors are moved before they are put on 0 to 3 of the child, so that none is overwritten on the way.
_ABOVE_STANDARD = 16

# Anyone who can read a program's environment should not thereby hold the cluster.
_WITHHELD = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
# Zombie, dead.
_ENDED = (b"Z", b"X")


class StartError(Exception):
    """The trainer could not be started; the text says why, for a person."""


@dataclass
class Trainer:
    """A running trainer; the fds are this side's non-blocking ends of its pipes."""

    pid: int
    stdin: int
    bytes_out: int
    stdout: int
    stderr: int


def _pipe(child_reads: bool) -> tuple[int, int]:
    """(our end, the child's end); ours does not block, both are closed on exec and above the standard ones."""
    ends = []
    for fd in os.pipe():
        ends.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD))
        os.close(fd)
    reader, writer = ends
    ours, child = (writer, reader) if child_reads else (reader, writer)
    os.set_blocking(ours, False)
    return ours, child


def own_environment() -> dict[str, str]:
    """This process's, without what a program that it starts is not to have."""
    return {key: value for key, value in os.environ.items() if key not in _WITHHELD}


def spawn(command: list[str], environment: dict[str, str], working_directory: str) -> Trainer:
    """Starts the trainer from the calling thread, with whose death it dies: call it in one that lives as long as the
    process. Raises StartError."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StartError("setpriv is not on the PATH of the worker's node (Debian package util-linux)")
    if not command:
        raise StartError("trainer.command is empty")
    try:
        # The worker's process is this trainer's alone, and posix_spawn takes no directory.
        os.chdir(working_directory or "/")
    except OSError as error:
        raise StartError(f"trainer.working_directory {working_directory}: {error.strerror}") from error
    program = shutil.which(command[0], path=environment.get("PATH", os.defpath))
    if program is None:
        raise StartError(f"no such program: {command[0]}")

    argv = [setpriv, "--pdeathsig", "KILL", "--", program, *command[1:]]
    ours_and_childs = [_pipe(True), _pipe(False), _pipe(False), _pipe(False)]
    # Ray's own sockets are not all closed on exec.
    inherited = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 3]
    file_actions = [(os.POSIX_SPAWN_DUP2, child, number) for number, (_, child) in enumerate(ours_and_childs)]
    file_actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in inherited]
    try:
        pid = os.posix_spawn(
            setpriv,
            argv,
            environment,
            file_actions=file_actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_RESET_SIGNALS,
        )
    except (OSError, ValueError) as error:
        for ours, _ in ours_and_childs:
            os.close(ours)
        raise StartError(f"{command[0]}: {error}") from error
    finally:
        for _, child in ours_and_childs:
            os.close(child)
    stdin, stdout, stderr, bytes_out = (ours for ours, _ in ours_and_childs)
    return Trainer(pid=pid, stdin=stdin, bytes_out=bytes_out, stdout=stdout, stderr=stderr)


def watch_exit(pid: int, loop: asyncio.AbstractEventLoop, on_exit: Callable[[], None]) -> None:
    """Calls `on_exit` in the loop when the process has ended; it stays a zombie, which keeps its session's number."""

    def wait() -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        loop.call_soon_threadsafe(on_exit)

    threading.Thread(target=wait, name="trainer-exit", daemon=True).start()


def _stat(pid: int) -> list[bytes]:
    """State, parent, process group, session, ... of a process; state X for one that is gone."""
    try:
        # The command's name, in parentheses, may hold anything.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return [b"X", b"0", b"0", b"0"]


def _command_line(pid: int) -> bytes:
    """Empty for a zombie, and for a moment while a program is replaced by another."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def wait_executed(pid: int, deadline_seconds: float) -> bool:
    """Whether setpriv has become the trainer; False if the process ended first (which may also be a short trainer)."""
    deadline = time.monotonic() + deadline_seconds
    while time.monotonic() < deadline:
        arguments = _command_line(pid)
        if arguments and b"\0--pdeathsig\0KILL\0--\0" not in arguments:
            return True
        if _stat(pid)[0] in _ENDED:
            return False
        await asyncio.sleep(0.002)
    return True


def _session_members(session: int) -> list[int]:
    """Processes of the session that are not yet zombies."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            state, _, _, its_session = _stat(int(name))[:4]
            if int(its_session) == session and state not in _ENDED:
                members.append(int(name))
    return members


async def kill_session(session: int, deadline_seconds: float = 5.0) -> bool:
    """Kills every process of the session until none is left; whether that was so within the deadline."""
    deadline = time.monotonic() + deadline_seconds
    while members := _session_members(session):
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


def reap(pid: int) -> tuple[int | None, int | None]:
    """(exit code, signal) of an ended process, one of them None."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (status, None) if status >= 0 else (None, -status)
