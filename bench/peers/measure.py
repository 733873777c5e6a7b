"""Runs a command and prints, as one line of JSON, its wall time and the largest resident size of its process."""

import json
import resource
import subprocess
import sys
import time

start = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)
seconds = time.monotonic() - start
if done.returncode != 0:
    sys.exit(f"{' '.join(sys.argv[1:])} ended with code {done.returncode}:\n{done.stdout}\n{done.stderr}")
# Linux counts in KiB; threads of a process share its resident pages.
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
print(json.dumps({"seconds": [seconds], "peakMegabytes": peak}))
