"""Ray's command line, loaded before its arguments are known: a node that waits for its head has the longest part of its
own start behind it then. The arguments come as one line of JSON on standard input, whose end is the end.

A script, to be run by its path with a Python that has Ray; the package around it is none of Ray's business."""

import json
import sys

del sys.path[0]

from ray.scripts.scripts import main  # noqa: E402

line = sys.stdin.readline()
if line:
    sys.argv = ["ray", *json.loads(line)]
    sys.exit(main())
