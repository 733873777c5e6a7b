"""Runs a command in a terminal of its own: in_terminal.py COLUMNS ROWS COMMAND...

What it writes comes on standard output; lines on standard input are `resize COLUMNS ROWS`, `signal NUMBER`, `hold`
(takes nothing more) or `go`. Ends as the command does.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios


def resize(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main() -> int:
    columns, rows, *command = sys.argv[1:]
    # The size is there before the command asks for it.
    go, ready = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.read(go, 1)
        os.execvp(command[0], command)
    resize(terminal, int(columns), int(rows))
    os.write(ready, b"x")
    asked = b""
    listening = [terminal, 0]
    while True:
        for fd in select.select(listening, [], [])[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # EIO: nobody has the terminal open any more.
                data = b""
            if fd == terminal:
                if data == b"":
                    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256
                os.write(1, data)
                continue
            if data == b"":
                listening.remove(0)
            *lines, asked = (asked + data).split(b"\n")
            for line in lines:
                what, *numbers = line.split()
                if what == b"resize":
                    resize(terminal, *map(int, numbers))
                elif what == b"signal":
                    os.kill(pid, int(numbers[0]))
                elif what == b"hold":
                    listening.remove(terminal)
                elif what == b"go" and terminal not in listening:
                    listening.append(terminal)


sys.exit(main())
