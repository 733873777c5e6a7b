"""Bytes and logs, both ways, on a local Ray."""

import asyncio
import json
import os
import tempfile
from pathlib import Path

from distmis_shim.contract import pb
from harness import RunningGang, gang, resident_bytes, trainer, until

MIB = 2**20


async def test_twenty_megabytes_there_and_back(local):
    data = os.urandom(20_000_000)
    async with RunningGang(local.stub, gang(), trainer("echo")) as running:
        await running.placed()

        async def send() -> None:
            for start in range(0, len(data), MIB):
                await running.send(data[start : start + MIB])

        sending = asyncio.create_task(send())
        assert await running.read(len(data)) == data
        await sending
        await running.stop()
        assert (await running.ended()).cause == pb.GANG_END_CAUSE_STOPPED


async def test_each_rank_has_its_own_bytes(local):
    async with RunningGang(local.stub, gang(3), trainer("echo")) as running:
        await running.placed()
        for rank in range(3):
            await running.send(b"rank %d" % rank, rank)
        for rank in range(3):
            assert await running.read(6, rank) == b"rank %d" % rank


async def test_what_was_sent_before_stop_arrives(local):
    async with RunningGang(local.stub, gang(), trainer("echo")) as running:
        await running.send(b"a" * MIB)
        await running.placed()
        await running.send(b"b" * MIB)
        await running.stop(10)
        await running.ended()
        assert running.output[0] == b"a" * MIB + b"b" * MIB


async def test_logs_printed_before_bytes_arrive_before_them(local):
    lines = 3000
    async with RunningGang(local.stub, gang(), trainer("logs", str(lines))) as running:
        await running.placed()
        while len(running.output.get(0, b"")) < lines * 7:
            await running.next()
            sent = running.output.get(0, b"")
            if sent.endswith(b"\n"):
                assert sent[-7:] in running.log + running.errors
        assert running.output[0] == b"".join(b"%06d\n" % number for number in range(lines))
        assert running.log == b"".join(b"%06d\n" % number for number in range(0, lines, 2))
        assert running.errors == b"".join(b"%06d\n" % number for number in range(1, lines, 2))


async def test_a_client_that_does_not_read_stops_the_trainer(local):
    with tempfile.TemporaryDirectory() as folder:
        counter = Path(folder) / "count"
        async with RunningGang(local.stub, gang(), trainer("flood", str(counter))) as running:
            [worker] = await running.placed()
            await until(counter.exists, 5, "first piece")
            sizes = [-1]

            def stalled() -> bool:
                sizes.append(counter.stat().st_size)
                return len(sizes) > 50 and sizes[-1] == sizes[-50]

            # Unchanged for a second.
            await until(stalled, 20, "stall of the trainer")
            before = resident_bytes(local.processes()["shim"]), resident_bytes(worker.actor_pid)
            stuck = counter.stat().st_size
            assert stuck * 65536 < 8 * MIB
            # It goes on when the client does.
            await running.read(stuck * 65536 + 16 * MIB)
            after = resident_bytes(local.processes()["shim"]), resident_bytes(worker.actor_pid)
            assert after[0] - before[0] < 32 * MIB
            assert after[1] - before[1] < 32 * MIB


async def test_a_trainer_that_does_not_read_stops_the_client(local):
    async with RunningGang(local.stub, gang(), trainer("ends", "stays")) as running:
        await running.placed()
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await running.send(bytes(MIB // 2))
                sent += 1

        sending = asyncio.create_task(send())
        seen = [-1]

        def stalled() -> bool:
            seen.append(sent)
            return len(seen) > 50 and seen[-1] == seen[-50]

        await until(stalled, 20, "stall of the client")
        assert sent < 20
        # Another gang is not held up.
        async with RunningGang(local.stub, gang(), trainer("echo")) as other:
            await other.placed()
            await other.send(b"hello")
            await other.read(5)
        sending.cancel()


async def _environment(local, request, **env: str) -> dict:
    async with RunningGang(local.stub, request, trainer("environment", "a b", "$HOME", **env)) as running:
        workers = await running.placed()
        while not running.output.get(0, b"").endswith(b"\n"):
            await running.next()
        return {**json.loads(running.output[0]), "worker": workers[0]}


async def test_the_trainer_gets_what_it_was_promised(local):
    said = await _environment(local, gang(gpus=1, cpus=2), DISTMIS_TEST_GIVEN="given")
    environment = said["environment"]
    assert [environment["CUDA_VISIBLE_DEVICES"]] == said["worker"].gpu_ids
    assert environment["DISTMIS_TEST_GIVEN"] == "given"
    assert environment["DISTMIS_CPUS"] == "2"
    assert "RAY_AUTH_TOKEN" not in environment
    assert said["directory"] == "/tmp"
    assert said["arguments"] == ["a b", "$HOME"]
    assert said["session"] == said["worker"].trainer_pid
    assert said["descriptors"] == [0, 1, 2, 3]


async def test_without_gpus_the_trainer_sees_none(local):
    said = await _environment(local, gang(), CUDA_VISIBLE_DEVICES="0,1")
    assert said["environment"]["CUDA_VISIBLE_DEVICES"] == ""
