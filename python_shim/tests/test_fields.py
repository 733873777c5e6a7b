"""Each field of the request changes the placement, on a Ray of several unlike nodes (see ray_cluster.py)."""

import time

import pytest
from distmis_shim import device
from distmis_shim.contract import pb
from harness import RunningGang, gang, trainer, until
from ray_cluster import NODES


async def _names(stub) -> dict[str, str]:
    answer = await stub.DescribeCluster(pb.DescribeClusterRequest())
    return {node.node_id: node.labels["name"] for node in answer.nodes}


async def _places(shim, request: pb.GangRequest) -> list[str]:
    names = await _names(shim.stub)
    async with RunningGang(shim.stub, request, trainer("echo"), deadline=20) as running:
        workers = await running.placed()
        assert [worker.rank for worker in workers] == list(range(request.replicas))
        await running.stop()
        assert (await running.ended()).cause == pb.GANG_END_CAUSE_STOPPED
    return sorted(names[worker.node_id] for worker in workers)


async def _check(shim, request: pb.GangRequest) -> tuple[int, int]:
    answer = await shim.stub.CheckGang(pb.CheckGangRequest(gang=request))
    return answer.gangs_in_total, answer.gangs_in_free


async def test_describes_the_nodes(joined, cluster):
    answer = await joined.stub.DescribeCluster(pb.DescribeClusterRequest())
    nodes = {node.labels["name"]: node for node in answer.nodes}
    assert set(nodes) == {"head", "large", "gpu", "doomed"}
    assert all(node.alive and node.host_name and node.address for node in answer.nodes)
    assert nodes["gpu"].total["GPU"] == nodes["gpu"].free["GPU"] == 4
    assert nodes["large"].total["memory"] == 8 * 2**30
    assert nodes["large"].total["fpga"] == 2
    assert not any(name.startswith("node:") for node in answer.nodes for name in node.total)
    assert answer.ray_address == cluster.address


async def test_replicas(joined):
    assert len(await _places(joined, gang(1, cpus=2))) == 1
    assert await _places(joined, gang(3, cpus=2)) != await _places(joined, gang(1, cpus=2))


async def test_gpus(joined):
    assert await _places(joined, gang(gpus=1)) == ["gpu"]


async def test_cpus(joined):
    assert await _places(joined, gang(cpus=5)) == ["large"]


async def test_memory_bytes(joined):
    assert await _places(joined, gang(memory_bytes=4 * 2**30)) == ["large"]


async def test_custom(joined):
    assert await _places(joined, gang(custom={"doomed": 0.5})) == ["doomed"]


async def test_node_labels(joined):
    assert await _places(joined, gang(cpus=2, node_labels={"zone": "b"})) == ["gpu"]
    assert await _places(joined, gang(cpus=2, node_labels={"name": "head"})) == ["head"]


async def test_excluded_nodes(joined):
    large = [node_id for node_id, name in (await _names(joined.stub)).items() if name == "large"]
    five = gang(cpus=3)
    five.excluded_nodes.extend(large)
    assert await _places(joined, five) == ["gpu"]
    assert await _check(joined, five) == (1, 1)
    five.per_replica.cpus = 5
    async with RunningGang(joined.stub, five, trainer("echo")) as running:
        end = await running.ended()
    assert (end.cause, end.message) == (
        pb.GANG_END_CAUSE_REFUSED,
        "a replica needs 5 CPU; the largest node that is not left out (gpu) has 4 CPU",
    )


async def test_strategy_pack_fills_a_node_and_goes_on_to_the_next(joined):
    assert len(set(await _places(joined, gang(2, pb.PLACEMENT_STRATEGY_PACK, cpus=1)))) == 1
    assert len(set(await _places(joined, gang(4, pb.PLACEMENT_STRATEGY_PACK, cpus=2)))) == 2


async def test_strategy_strict_pack_keeps_to_one_node(joined):
    assert await _places(joined, gang(3, pb.PLACEMENT_STRATEGY_STRICT_PACK, cpus=2)) == ["large"] * 3
    assert await _check(joined, gang(4, pb.PLACEMENT_STRATEGY_STRICT_PACK, cpus=2)) == (0, 0)


async def test_strategy_spread_uses_many_nodes_and_then_some_twice(joined):
    assert len(set(await _places(joined, gang(3, pb.PLACEMENT_STRATEGY_SPREAD, cpus=2)))) == 3
    assert len(set(await _places(joined, gang(4, pb.PLACEMENT_STRATEGY_SPREAD, cpus=2)))) == 3


async def test_strategy_strict_spread_uses_each_node_once(joined):
    assert await _places(joined, gang(3, pb.PLACEMENT_STRATEGY_STRICT_SPREAD, cpus=2)) == ["gpu", "head", "large"]
    assert await _check(joined, gang(4, pb.PLACEMENT_STRATEGY_STRICT_SPREAD, cpus=2)) == (0, 0)


async def test_deadline_and_what_is_free(joined):
    whole = gang(gpus=4)
    assert await _check(joined, whole) == (1, 1)
    async with RunningGang(joined.stub, whole, trainer("echo")) as first:
        await first.placed()
        assert await _check(joined, whole) == (1, 0)
        began = time.monotonic()
        async with RunningGang(joined.stub, whole, trainer("echo"), deadline=0.6) as second:
            end = await second.ended()
        assert end.cause == pb.GANG_END_CAUSE_PLACEMENT_DEADLINE
        assert "1 x (1 CPU, 4 GPU) (PACK) within 0.6 s" in end.message
        assert 0.5 < time.monotonic() - began < 5
        async with RunningGang(joined.stub, whole, trainer("echo"), deadline=20) as third:
            await first.stop()
            await first.ended()
            # Its place is free by then, so the one that waits gets it.
            await third.placed()
    await _free_again(joined, whole)


async def _free_again(shim, request: pb.GangRequest) -> None:
    free = (0, 0)

    async def ask() -> None:
        nonlocal free
        free = await _check(shim, request)

    began = time.monotonic()
    while free[0] != free[1] or free[0] == 0:
        assert time.monotonic() - began < 10
        await ask()


async def test_shares_of_a_gpu(joined):
    assert await _check(joined, gang(4, gpus=0.6)) == (1, 1)
    assert await _check(joined, gang(5, gpus=0.6)) == (0, 0)
    async with RunningGang(joined.stub, gang(4, gpus=0.6), trainer("echo")) as running:
        workers = await running.placed()
        assert sorted(gpu for worker in workers for gpu in worker.gpu_ids) == ["0", "1", "2", "3"]
        # They are GPUs for Ray alone.
        assert {worker.device for worker in workers} == {device.cpu_model()}
        assert await _check(joined, gang(gpus=0.6)) == (4, 0)
        await running.stop()
        await running.ended()


async def test_what_can_never_be_is_refused_at_once(joined):
    async with RunningGang(joined.stub, gang(gpus=8), trainer("echo")) as running:
        began = time.monotonic()
        end = await running.ended()
    assert end.cause == pb.GANG_END_CAUSE_REFUSED
    assert end.message == "a replica needs 8 GPU; the largest node (gpu) has 4 GPU"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("way", ["close", "kill -9"])
async def test_a_shim_that_ends_leaves_nothing_in_a_cluster_of_others(joined, cluster, way):
    from harness import Shim

    shim = Shim("--ray-address", cluster.address, env=cluster.token)
    try:
        await shim.connect()
        whole = gang(gpus=4)
        async with RunningGang(shim.stub, whole, trainer("echo")) as running:
            workers = await running.placed()
            assert await _check(joined, whole) == (1, 0)
            if way == "close":
                await shim.disconnect()
                await shim.close()
            else:
                shim.process.kill()
            left = {worker.trainer_pid for worker in workers} | {worker.actor_pid for worker in workers}
            await until(lambda: not left & set(cluster.processes()), 10, "end of the workers")
            await _free_again(joined, whole)
    finally:
        await shim.close()


async def test_a_lost_node_is_named_and_ends_the_gang_on_all_nodes(joined, cluster):
    names = await _names(joined.stub)
    everywhere = gang(len(NODES), pb.PLACEMENT_STRATEGY_STRICT_SPREAD)
    async with RunningGang(joined.stub, everywhere, trainer("ends", "stays")) as running:
        workers = await running.placed()
        [worker] = [worker for worker in workers if names[worker.node_id] == "doomed"]
        began = time.monotonic()
        cluster.kill_raylet("doomed")
        end = await running.ended()
    assert end.cause == pb.GANG_END_CAUSE_NODE_LOST, end
    assert time.monotonic() - began < 10
    assert (end.node_id, end.rank) == (worker.node_id, worker.rank)
    assert "doomed" in end.message
    assert not {worker.trainer_pid for worker in workers} & set(cluster.processes())
    began = time.monotonic()
    dead: list[pb.Node] = []
    while not dead:
        assert time.monotonic() - began < 20, "Ray does not notice"
        answer = await joined.stub.DescribeCluster(pb.DescribeClusterRequest())
        dead = [node for node in answer.nodes if not node.alive]
    assert [node.node_id for node in dead] == [worker.node_id]
    assert dead[0].death_cause
