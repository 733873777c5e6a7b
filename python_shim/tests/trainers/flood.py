"""Sends for ever; the size of the file named by its argument is the number of 64 KiB pieces that were taken."""

import os
import sys

counter = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
piece = bytes(65536)
while True:
    left = piece
    while left:
        left = left[os.write(3, left) :]
    os.write(counter, b".")
