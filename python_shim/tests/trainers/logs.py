"""Prints a line and sends the same line, many times in turn, then waits for the end of its input."""

import os
import sys

for number in range(int(sys.argv[1])):
    line = b"%06d\n" % number
    os.write(1 + number % 2, line)
    os.write(3, line)
while os.read(0, 65536):
    pass
