"""One program on every node."""

import asyncio
import signal

import grpc
import pytest
from distmis_shim.contract import pb
from harness import until


def program(script: str, **environment: str) -> pb.TrainerProcess:
    return pb.TrainerProcess(command=["sh", "-c", script], environment=environment, working_directory="/")


async def on_nodes(shim, script: str, deadline: float = 60) -> dict[str, pb.RunOnNodesResponse]:
    call = shim.stub.RunOnNodes(pb.RunOnNodesRequest(program=program(script, A="b"), deadline_seconds=deadline))
    return {result.name: result async for result in call}


@pytest.mark.asyncio(loop_scope="session")
async def test_runs_once_on_each_node_that_is_alive(joined):
    results = await on_nodes(
        joined, 'echo "$A $RAY_AUTH_TOKEN_PATH."; echo no >&2; head -c 300000 /dev/zero; (sleep 60) & exit 3'
    )
    assert set(results) >= {"head", "large", "gpu"}
    for result in results.values():
        assert (result.problem, result.exit_code, result.HasField("signal")) == ("", 3, False)
        # Without Ray's token, and no more than the limit.
        assert result.stdout[:4] == b"b .\n" and len(result.stdout) == 256 * 1024
        assert result.stderr == b"no\n"
        # One machine has one clock.
        assert abs(result.clock_offset_seconds) <= result.clock_error_seconds + 0.001


@pytest.mark.asyncio(loop_scope="session")
async def test_says_what_kept_a_program_from_its_end(joined):
    assert {r.signal for r in (await on_nodes(joined, "kill -9 $$")).values()} == {signal.SIGKILL}
    call = joined.stub.RunOnNodes(
        pb.RunOnNodesRequest(program=pb.TrainerProcess(command=["/no/such"]), deadline_seconds=60)
    )
    assert {result.problem async for result in call} == {"no such program: /no/such"}


@pytest.mark.asyncio(loop_scope="session")
async def test_a_program_that_hangs_is_killed_at_the_deadline(joined, cluster):
    results = await on_nodes(joined, "exec sleep 4711", 8)
    assert {result.problem for result in results.values()} == {"no answer within 8 s"}
    await until(lambda: not any("sleep 4711" in command for command in cluster.processes().values()), 10, "their end")


@pytest.mark.asyncio(loop_scope="session")
async def test_ends_with_the_call(joined, cluster):
    call = joined.stub.RunOnNodes(pb.RunOnNodesRequest(program=program("exec sleep 4712"), deadline_seconds=60))
    running = lambda: [pid for pid, command in cluster.processes().items() if "sleep 4712" in command]  # noqa: E731
    reading = asyncio.create_task(call.read())
    await until(lambda: len(running()) >= 3, 30, "its programs")
    call.cancel()
    await until(lambda: not running(), 10, "their end")
    await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.asyncio(loop_scope="session")
async def test_refuses_nonsense(joined):
    for request in (pb.RunOnNodesRequest(deadline_seconds=1), pb.RunOnNodesRequest(program=program("true"))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await joined.stub.RunOnNodes(request).read()
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
