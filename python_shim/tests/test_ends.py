"""How gangs end, on a local Ray."""

import os
import signal
import time
from pathlib import Path

import grpc
import pytest
from distmis_shim.contract import pb
from harness import RunningGang, gang, marked, trainer, until


async def _free(local) -> bool:
    answer = await local.stub.CheckGang(pb.CheckGangRequest(gang=gang(4)))
    return answer.gangs_in_free == answer.gangs_in_total == 1


async def test_stop_closes_the_input(local):
    async with RunningGang(local.stub, gang(2), trainer("echo")) as running:
        workers = await running.placed()
        await running.stop()
        end = await running.ended()
        assert (end.cause, end.message) == (pb.GANG_END_CAUSE_STOPPED, "stopped")
        assert not {worker.trainer_pid for worker in workers} & set(marked(local.mark))
        assert await _free(local)


async def test_stop_kills_after_the_grace_and_whatever_the_trainer_started(local):
    before = set(marked(local.mark))
    async with RunningGang(local.stub, gang(), trainer("ends", "stays")) as running:
        await running.placed()
        await running.read(2)
        began = time.monotonic()
        await running.stop(0.5)
        end = await running.ended()
    assert end.cause == pb.GANG_END_CAUSE_STOPPED
    assert end.message == "stopped; 1 of 1 trainers were killed after 0.5 s"
    assert 0.5 <= time.monotonic() - began < 4
    new = [command for pid, command in marked(local.mark).items() if pid not in before]
    assert not [command for command in new if "ends.py" in command or "sleep" in command]


async def test_a_trainer_that_exits_is_heard_to_the_end(local):
    async with RunningGang(local.stub, gang(), trainer("ends", "exit", "3")) as running:
        end = await running.ended()
    assert (end.cause, end.rank, end.exit_code) == (pb.GANG_END_CAUSE_TRAINER_EXITED, 0, 3)
    assert not end.HasField("signal")
    assert "ended with exit code 3" in end.message
    assert running.log == b"last words\n" * 10_000
    assert running.output[0] == bytes(200_000)


async def test_a_trainer_that_exits_takes_the_others_along(local):
    async with RunningGang(local.stub, gang(2), trainer("ends", "first-exits")) as running:
        workers = await running.placed()
        await running.send(b"x", rank=1)
        end = await running.ended()
    assert (end.cause, end.rank, end.exit_code) == (pb.GANG_END_CAUSE_TRAINER_EXITED, 1, 7)
    assert end.node_id == workers[1].node_id
    assert not {worker.trainer_pid for worker in workers} & set(marked(local.mark))


async def test_a_signal_is_named(local):
    async with RunningGang(local.stub, gang(), trainer("ends", "signal", str(int(signal.SIGSEGV)))) as running:
        end = await running.ended()
    assert (end.cause, end.signal) == (pb.GANG_END_CAUSE_TRAINER_EXITED, signal.SIGSEGV)
    assert "Segmentation fault" in end.message


async def test_a_kill_from_outside_is_not_out_of_memory(local):
    async with RunningGang(local.stub, gang(), trainer("echo")) as running:
        [worker] = await running.placed()
        os.kill(worker.trainer_pid, signal.SIGKILL)
        end = await running.ended()
    assert (end.cause, end.signal) == (pb.GANG_END_CAUSE_TRAINER_EXITED, signal.SIGKILL)


@pytest.fixture
def small_cgroup():
    """A memory cgroup of 64 MiB, where this user may make one."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    folder = Path(f"/sys/fs/cgroup/memory{own.get('memory', '')}/distmis-test-{os.getpid()}")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(64 * 2**20))
    except OSError as error:
        pytest.skip(f"no memory cgroup of version 1 can be made here: {error}")
    yield folder
    folder.rmdir()


async def test_the_kernels_kill_for_memory_is_told_as_such(local, small_cgroup):
    # What the trainer does first: it moves itself into the cgroup, below the one whose kills its worker counts.
    enter = (
        f"import os, sys; open('{small_cgroup}/cgroup.procs', 'w').write(str(os.getpid())); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    program = trainer("ends", "eats")
    program.command[:] = [program.command[0], "-c", enter, *program.command]
    async with RunningGang(local.stub, gang(), program) as running:
        end = await running.ended()
    assert (end.cause, end.signal) == (pb.GANG_END_CAUSE_OUT_OF_MEMORY, signal.SIGKILL)
    assert "memory" in end.message


async def test_a_lost_actor_takes_its_trainer_along(local):
    async with RunningGang(local.stub, gang(2), trainer("ends", "stays")) as running:
        workers = await running.placed()
        began = time.monotonic()
        os.kill(workers[1].actor_pid, signal.SIGKILL)
        end = await running.ended()
    assert (end.cause, end.rank) == (pb.GANG_END_CAUSE_ACTOR_LOST, 1)
    assert "while its node lives" in end.message
    assert time.monotonic() - began < 10
    assert not {worker.trainer_pid for worker in workers} & set(marked(local.mark))


async def test_an_actor_that_hangs_is_given_up(local):
    async with RunningGang(local.stub, gang(2), trainer("echo")) as running:
        workers = await running.placed()
        began = time.monotonic()
        os.kill(workers[1].actor_pid, signal.SIGSTOP)
        end = await running.ended()
    assert (end.cause, end.rank) == (pb.GANG_END_CAUSE_ACTOR_LOST, 1)
    assert "it has not answered for 4.5 s" in end.message
    assert time.monotonic() - began < 10
    pids = {pid for worker in workers for pid in (worker.trainer_pid, worker.actor_pid)}
    await until(lambda: not pids & set(marked(local.mark)), 5, "end of all processes of the gang")


async def test_a_program_that_is_not_there(local):
    program = trainer("echo")
    program.command[:] = ["/no/such/program"]
    async with RunningGang(local.stub, gang(), program) as running:
        end = await running.ended()
    assert (end.cause, end.rank) == (pb.GANG_END_CAUSE_START_FAILED, 0)
    assert "no such program: /no/such/program" in end.message


async def test_a_program_without_its_interpreter(local, tmp_path):
    file = tmp_path / "trainer"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o700)
    program = trainer("echo")
    program.command[:] = [str(file)]
    async with RunningGang(local.stub, gang(), program) as running:
        end = await running.ended()
    assert end.cause == pb.GANG_END_CAUSE_START_FAILED
    assert f"failed to execute {file}: No such file" in end.message


async def test_a_directory_that_is_not_there(local):
    program = trainer("echo")
    program.working_directory = "/no/such/folder"
    async with RunningGang(local.stub, gang(), program) as running:
        end = await running.ended()
    assert end.cause == pb.GANG_END_CAUSE_START_FAILED
    assert "trainer.working_directory /no/such/folder: No such file" in end.message


async def test_a_client_that_cancels_ends_the_gang(local):
    async with RunningGang(local.stub, gang(), trainer("ends", "stays")) as running:
        [worker] = await running.placed()
        running.call.cancel()
        await until(lambda: worker.trainer_pid not in marked(local.mark), 5, "end of the trainer")


async def test_the_stream_must_begin_with_start(local):
    call = local.stub.RunGang()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.write(pb.RunGangRequest(stop=pb.StopGang()))
        await call.read()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_bytes_for_a_rank_that_is_not_there(local):
    async with RunningGang(local.stub, gang(), trainer("echo")) as running:
        [worker] = await running.placed()
        await running.send(b"x", rank=1)
        with pytest.raises(grpc.aio.AioRpcError, match=r"bytes\.rank is 1; the gang has 1 replicas"):
            await running.next()
    assert worker.trainer_pid not in marked(local.mark)
