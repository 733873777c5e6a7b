"""The arithmetic of placement, without a Ray."""

import itertools

import pytest
from distmis_shim import placement
from distmis_shim.cluster_view import NodeView
from distmis_shim.contract import pb
from distmis_shim.demand import UNITS, Demand, InvalidRequest, check_request, check_start
from harness import gang, trainer

STRATEGIES = {
    "PACK": pb.PLACEMENT_STRATEGY_PACK,
    "STRICT_PACK": pb.PLACEMENT_STRATEGY_STRICT_PACK,
    "SPREAD": pb.PLACEMENT_STRATEGY_SPREAD,
    "STRICT_SPREAD": pb.PLACEMENT_STRATEGY_STRICT_SPREAD,
}


def node(name: str, free: dict[str, float] | None = None, labels: dict[str, str] | None = None, **total: float):
    return NodeView(name, name, "host", "10.0.0.1", True, total, total if free is None else free, labels or {})


NODES = [node("gpu-3", CPU=8, GPU=4, memory=8 * 2**30), node("cpu-1", CPU=32, labels={"zone": "a"})]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (gang(gpus=8), "a replica needs 8 GPU; the largest node (gpu-3) has 4 GPU"),
        (gang(memory_bytes=64 * 2**30), "a replica needs 64 GiB of memory; the largest node (gpu-3) has 8 GiB of mem"),
        (
            gang(custom={"accelerator_type:H100": 0.001}),
            "needs an accelerator of type H100; the largest node (gpu-3) has none of type H100",
        ),
        (gang(custom={"fpga": 1}), "a replica needs 1 fpga; the largest node (gpu-3) has 0 fpga"),
        (gang(gpus=1, node_labels={"zone": "a"}), "needs 1 GPU; the largest node with its labels (cpu-1) has 0 GPU"),
        (gang(node_labels={"zone": "c"}), "needs a node with the label zone=c; none of the 2 nodes alive has it"),
        (gang(gpus=4, cpus=16), "needs 16 CPU and 4 GPU on one node; gpu-3 has 8 CPU and 4 GPU; cpu-1 has 32 CPU and"),
        (gang(5, gpus=1), "the gang needs room for 5 replicas; all nodes together have room for 4"),
        (
            gang(3, STRATEGIES["STRICT_PACK"], gpus=2),
            "STRICT_PACK needs room for 3 replicas on one node; the largest (gpu-3) has room for 2",
        ),
        (
            gang(3, STRATEGIES["STRICT_SPREAD"]),
            "STRICT_SPREAD needs 3 nodes, each with room for a replica; 2 of the 2 nodes alive have it",
        ),
        (gang(2, STRATEGIES["STRICT_SPREAD"]), ""),
        (gang(2, STRATEGIES["STRICT_PACK"], gpus=2), ""),
    ],
)
def test_says_what_is_missing(request_, text):
    said = placement.missing(NODES, check_request(request_))
    assert text in said
    assert bool(said) == bool(text)


def _without(request: pb.GangRequest, *nodes: str) -> Demand:
    return check_request(pb.GangRequest(**{**_fields(request), "excluded_nodes": nodes}))


def _fields(request: pb.GangRequest) -> dict:
    return {"replicas": request.replicas, "per_replica": request.per_replica, "strategy": request.strategy}


def test_a_node_that_is_left_out_holds_nothing():
    nodes = [node("aa", CPU=8, GPU=4), node("bb", CPU=4, labels={"zone": "a"})]
    assert placement.room(nodes, _without(gang(), "aa")) == [0, 4]
    assert placement.missing(nodes, _without(gang(), "aa")) == ""
    assert placement.missing(nodes, _without(gang(gpus=1), "aa")) == (
        "a replica needs 1 GPU; the largest node that is not left out (bb) has 0 GPU"
    )
    assert placement.missing(nodes, _without(gang(), "aa", "bb")) == "all 2 nodes alive are left out"
    assert placement.missing(nodes, _without(gang(node_labels={"zone": "a"}), "bb")) == (
        "a replica needs a node with the label zone=a; none of the 2 nodes alive, of which 1 left out, has it"
    )
    assert _without(gang(node_labels={"zone": "a"}), "bb", "aa").selector() == {
        "zone": "a",
        "ray.io/node-id": "!in(aa,bb)",
    }
    # Whoever names a node means it; one that is both named and left out is refused before Ray is asked.
    named = _without(gang(node_labels={"ray.io/node-id": "cc"}), "aa")
    assert named.selector() == {"ray.io/node-id": "cc"}


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            pb.GangRequest(**{**_fields(gang()), "excluded_nodes": ["a, b"]}),
            "excluded_nodes has 'a, b'; expected Ray's id",
        ),
        (gang(cpus=0), "per_replica.cpus is 0; expected more than 0"),
        (gang(cpus=float("nan")), "per_replica.cpus is nan"),
        (gang(cpus=float("inf")), "per_replica.cpus is inf"),
        (gang(cpus=0.00001), "per_replica.cpus is 1e-05; the smallest share that Ray counts is 0.0001"),
        (gang(gpus=1.5), "per_replica.gpus is 1.5; above 1 it must be a whole number"),
        (gang(gpus=-1), "per_replica.gpus is -1; expected 0 or more"),
        (gang(0), "replicas is 0; expected at least 1"),
        (gang(strategy=pb.PLACEMENT_STRATEGY_UNSPECIFIED), "strategy is not set"),
        (gang(custom={"fpga": 0}), "per_replica.custom[fpga] is 0"),
        (gang(custom={"GPU": 1}), "per_replica.custom has the name 'GPU': use per_replica.gpus"),
        (gang(node_labels={"zone": "!a"}), "per_replica.node_labels[zone] is '!a'; expected a plain value"),
    ],
)
def test_refuses_nonsense(request_, text):
    with pytest.raises(InvalidRequest) as caught:
        check_request(request_)
    assert text in str(caught.value)


def test_refuses_a_start_without_program_or_with_a_bad_deadline():
    with pytest.raises(InvalidRequest, match=r"trainer\.command is empty"):
        check_start(pb.StartGang(gang=gang()))
    with pytest.raises(InvalidRequest, match="placement_deadline_seconds is -1"):
        check_start(pb.StartGang(gang=gang(), trainer=trainer("echo"), placement_deadline_seconds=-1))


def _greatest(counts: tuple[int, ...], replicas: int, strategy: str) -> int:
    """By trying all ways to place one gang after the other."""

    def ways():
        if strategy == "STRICT_PACK":
            for index in range(len(counts)):
                yield tuple(replicas if index == other else 0 for other in range(len(counts)))
        elif strategy == "STRICT_SPREAD":
            for chosen in itertools.combinations(range(len(counts)), replicas):
                yield tuple(int(other in chosen) for other in range(len(counts)))
        else:
            for way in itertools.product(range(replicas + 1), repeat=len(counts)):
                if sum(way) == replicas:
                    yield way

    best = 0
    for way in ways():
        left = tuple(count - used for count, used in zip(counts, way, strict=True))
        if min(left) >= 0:
            best = max(best, 1 + _greatest(left, replicas, strategy))
    return best


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_counts_gangs_as_trying_all_ways_does(strategy):
    for counts in itertools.combinations_with_replacement(range(4), 3):
        for replicas in (1, 2, 3):
            demand = Demand(replicas, strategy, {"CPU": UNITS})
            assert placement.gangs(counts, demand) == _greatest(counts, replicas, strategy), (counts, replicas)


def test_a_share_lies_on_one_gpu():
    nodes = [node("n", CPU=64, GPU=2)]
    assert placement.room(nodes, check_request(gang(gpus=0.6))) == [2]
    assert placement.room(nodes, check_request(gang(gpus=0.5))) == [4]
    assert placement.room(nodes, check_request(gang(gpus=1 / 3))) == [6]
    # 0.4 and 0.4 are free, on different GPUs.
    used = [node("n", CPU=64, GPU=2, free={"CPU": 62, "GPU": 0.8})]
    ours = {"n": {"0": 6000, "1": 6000}}
    assert placement.free_room(used, check_request(gang(gpus=0.6)), ours) == [0]
    assert placement.free_room(used, check_request(gang(gpus=0.4)), ours) == [2]
    # Half of one is in use, so only the other one is whole.
    half = [node("n", CPU=64, GPU=2, free={"CPU": 62, "GPU": 1.5})]
    assert placement.free_room(half, check_request(gang(gpus=1)), {"n": {"0": 5000}}) == [1]
    # Whoever holds it.
    assert placement.free_room(half, check_request(gang(gpus=1)), {}) == [1]


def test_ten_shares_of_a_tenth_fit():
    assert placement.room([node("n", CPU=1)], check_request(gang(cpus=0.1))) == [10]


def test_dead_nodes_hold_nothing():
    dead = NodeView("d", "d", "d", "10.0.0.2", False, {}, {}, {}, "gone")
    assert placement.room([dead], check_request(gang())) == [0]
    assert placement.missing([dead], check_request(gang())) == "no node is alive"
