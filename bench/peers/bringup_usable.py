"""Says when a program on the head sees all nodes of its Ray. Arguments: how many, the head's address."""

import sys
import time

import ray

DEADLINE_SECONDS = 300

wanted, address = int(sys.argv[1]), sys.argv[2]
ray.init(address=address, log_to_driver=False, configure_logging=False)
end = time.monotonic() + DEADLINE_SECONDS
while sum(node["Alive"] for node in ray.nodes()) < wanted:
    if time.monotonic() > end:
        sys.exit(f"{wanted} nodes are not there after {DEADLINE_SECONDS} s")
    time.sleep(0.05)
print(f"usable {time.time()}", flush=True)
