"""Ends in the way named by its first argument."""

import os
import signal
import subprocess
import sys
import time

how = sys.argv[1]
if how == "exit":
    os.write(1, b"last words\n" * 10_000)
    os.write(3, bytes(200_000))
    os._exit(int(sys.argv[2]))
elif how == "signal":
    os.kill(os.getpid(), int(sys.argv[2]))
elif how == "first-exits":
    # Rank 0 ends when told; the others stay.
    os.read(0, 1)
    os._exit(7)
elif how == "stays":
    # Neither the end of its input nor SIGTERM ends it, and it has a child that holds its pipes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "1000"])
    os.write(3, b"up")
    while True:
        time.sleep(1000)
elif how == "left-behind":
    # A child with a session of its own and nothing in its environment.
    child = subprocess.Popen(["/usr/bin/env", "sleep", "1000"], start_new_session=True, env={})
    os.write(3, b"%d\n" % child.pid)
    while True:
        time.sleep(1000)
elif how == "eats":
    eaten = []
    while True:
        eaten.append(b"x" * 2**24)
