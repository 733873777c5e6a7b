"""Two small processes above the shim, so that nothing that it or its local Ray started outlives it, however it goes.

Needed because a SIGKILL of the shim ends Ray's own daemons at once, but not their helpers, which look for their parent
every few seconds and then talk to a dead server; nor what a trainer started. No mark tells which processes those are:
Ray's helpers overwrite the start of their environment with their title, trainers have sessions of their own. The kernel
knows, though: an orphan becomes a child of its next living ancestor that asked for them (PR_SET_CHILD_SUBREAPER).

    front   the process that the orchestrator started and knows
    guard   in a session of its own, so that no signal to the front's group reaches it
    shim    with Ray and all the rest below it

Whichever of the three is killed, another one stays above what is left and kills it until it has no children: the guard
if front or shim go, the front if the guard goes. Only the standard library is imported.
"""

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

# Of linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Says to the guard that the front is gone.
_FRONT_GONE = signal.SIGUSR1
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, _FRONT_GONE}


def enter() -> None:
    """Returns in the process that is to be the shim; the calling one becomes the front, and ends as the shim does, once
    everything below is gone. Call it before any thread or process is started. Raises OSError."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    # Ignored, which is inherited, it would take the children's ends away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    front = os.getpid()
    _fork()
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, _FRONT_GONE)
    if os.getppid() != front:
        os._exit(1)
    _fork()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _fork() -> None:
    """Returns in the child; this process stays above it, and ends after it and all that it started."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        return
    try:
        status = _wait(child)
        _end_children()
        _end_as(status)
    finally:
        os._exit(1)


def _wait(child: int) -> int:
    """The wait status of the child, when it has ended; adopted orphans are reaped meanwhile."""
    while True:
        number = signal.sigwait(_WATCHED)
        if number == signal.SIGTERM:
            os.kill(child, signal.SIGTERM)
        elif number == _FRONT_GONE:
            os.kill(child, signal.SIGKILL)
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            if ended[0] == child:
                return ended[1]


def _end_children() -> None:
    """Kills children until there are none. Those of a killed one are children of this process by the time that its end
    is told, so nothing escapes; and only children are killed, as no other process can get the number of one that this
    process has not reaped."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in _children():
                # Not one that became another user's: its end can only be awaited.
                with contextlib.suppress(PermissionError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass


def _children() -> list[int]:
    own = str(os.getpid()).encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                # State and parent follow the command's name, which is in parentheses and may hold anything.
                if Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[1] == own:
                    found.append(int(name))
    return found


def _end_as(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
    os.kill(os.getpid(), -code)
