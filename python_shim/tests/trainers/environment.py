"""Sends its environment, directory, session and open file descriptors, then waits for the end of its input."""

import json
import os
import sys

os.write(
    3,
    json.dumps(
        {
            "environment": dict(os.environ),
            "directory": os.getcwd(),
            "session": os.getsid(0),
            "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
            "arguments": sys.argv[1:],
        }
    ).encode()
    + b"\n",
)
while os.read(0, 65536):
    pass
