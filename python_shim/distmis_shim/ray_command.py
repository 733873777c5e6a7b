"""Ray's command line, loaded before its arguments are known: a node that waits for its head has the longest part of its
own start behind it then. The arguments come as one line of JSON on standard input, whose end is the end.

A script, to be run by its path with a Python that has Ray; the package around it is none of Ray's business."""

import json
import sys

del sys.path[0]

from ray.scripts import scripts  # noqa: E402

# Drivers join as nodes do, never through Ray Client, whose server would be one more process and port of each head. Ray
# has no option to do without it, but does where its packages are missing.
scripts.get_ray_client_dependency_error = lambda: ImportError("not wanted")

line = sys.stdin.readline()
if line:
    sys.argv = ["ray", *json.loads(line)]
    sys.exit(scripts.main())
