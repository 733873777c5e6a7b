"""Runs beside the shim and outlives it by a moment: when the shim is gone, however it went, everything that it or its
local Ray started is killed.

Needed because a SIGKILL of the shim ends Ray's own daemons at once, but not their helpers, which look for their parent
every few seconds and then talk to a dead server; nor what a trainer started. Only the standard library is imported, so
that it starts in milliseconds and stays small.
"""

import os
import signal
import subprocess
import sys
import time

# In the environment of every process below the shim; its value is the run's alone.
MARK = "DISTMIS_SHIM_RUN"
_SECONDS = 8.0


def start() -> None:
    """Marks this process's environment, and so its children's, and starts the guard; call it before anything else is
    started."""
    value = os.urandom(16).hex()
    # The guard itself is not marked, and holds the only read end: the write end closes when this process ends.
    reader, writer = os.pipe()
    subprocess.Popen([sys.executable, "-I", "-S", __file__, value], stdin=reader, start_new_session=True)
    os.close(reader)
    os.set_inheritable(writer, False)
    os.environ[MARK] = value


def _marked(entry: bytes) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if entry in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


def main(value: str) -> None:
    # A terminal's or a scheduler's signal to all processes must not end it before the shim.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    deadline = time.monotonic() + _SECONDS
    while (pids := _marked(f"{MARK}={value}".encode())) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
