"""Prints the requirements of a lock, with their hashes, that apply to one Python version on x86-64 Linux.

`pip download` looks up wheels for another Python, but evaluates the lock's markers for the Python that runs it.
Usage: python requirements.py LOCK VERSION, for example 3.12.
"""

import re
import sys

from packaging.requirements import Requirement


def main() -> None:
    lock, version = sys.argv[1:]
    target = {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }
    with open(lock, encoding="utf-8") as file:
        lines = file.read().replace("\\\n", " ").splitlines()
    for line in lines:
        text, *hashes = re.split(r"\s+--hash=", line)
        if not text.strip() or text.startswith("#"):
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(target):
            requirement.marker = None
            print(" ".join([str(requirement), *(f"--hash={digest.strip()}" for digest in hashes)]))


main()
