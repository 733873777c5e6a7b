import pytest_asyncio
from harness import Shim
from ray_cluster import RayCluster


@pytest_asyncio.fixture(scope="session")
async def local():
    """A shim with a Ray of its own: 4 CPUs and 2 logical GPUs."""
    shim = Shim("--num-cpus", "4", "--num-gpus", "2")
    try:
        yield await shim.connect()
    finally:
        await shim.close()


@pytest_asyncio.fixture(scope="session")
async def cluster():
    """A Ray of several unlike nodes made by `ray start`."""
    ray = RayCluster()
    try:
        await ray.start()
        yield ray
    finally:
        await ray.close()


@pytest_asyncio.fixture(scope="session")
async def joined(cluster):
    """A shim that joined it."""
    shim = Shim("--ray-address", cluster.address, env=cluster.token)
    try:
        yield await shim.connect()
    finally:
        await shim.close()
