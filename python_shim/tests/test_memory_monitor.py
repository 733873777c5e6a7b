"""Ray's memory monitor, which kills workers before the kernel has to."""

import pytest
from distmis_shim.contract import pb
from harness import RunningGang, Shim, gang, trainer

# So little that any node is over it: the worker is killed as soon as the monitor looks.
_ALWAYS = {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "1500"}


@pytest.mark.parametrize("replicas", [1, 2])
async def test_its_kill_is_told_as_such(replicas):
    shim = Shim("--num-cpus", "2", "--num-gpus", "0", env=_ALWAYS)
    try:
        await shim.connect()
        async with RunningGang(shim.stub, gang(replicas), trainer("echo")) as running:
            end = await running.ended()
    finally:
        await shim.close()
    assert end.cause == pb.GANG_END_CAUSE_OUT_OF_MEMORY
    assert end.node_id
    assert "as the node ran out of memory: use a smaller batch" in end.message
