"""Studies over gRPC: one for each stream, answers in order, errors that end it, and clients that vanish."""

import asyncio
import threading

import grpc
import pytest
import pytest_asyncio
from distmis_shim.contract import study_grpc
from distmis_shim.contract import study_pb as pb
from distmis_shim.study_service import StudyService
from harness import until
from studies import GIVEN, PRUNERS, SAMPLERS, completed, opening, value


@pytest_asyncio.fixture
async def stub(tmp_path):
    server = grpc.aio.server()
    study_grpc.add_StudyServiceServicer_to_server(StudyService(), server)
    server.add_insecure_port(f"unix:{tmp_path}/s")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        yield study_grpc.StudyServiceStub(channel)
    await server.stop(grace=None)


async def _ask(call, **message) -> pb.RunStudyResponse:
    await call.write(pb.RunStudyRequest(**message))
    return await asyncio.wait_for(call.read(), 30)


async def _refusal(call, *requests: pb.RunStudyRequest) -> tuple[grpc.StatusCode, str]:
    for request in requests:
        await call.write(request)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        while await asyncio.wait_for(call.read(), 30) is not grpc.aio.EOF:
            pass
    return refusal.value.code(), refusal.value.details()


OPEN = pb.RunStudyRequest(open=opening(SAMPLERS["tpe"], PRUNERS["median"]))


async def test_a_search(stub):
    call = stub.RunStudy()
    assert (await _ask(call, open=OPEN.open)).HasField("done")
    for number in range(6):
        drawn = (await _ask(call, ask=pb.AskParameters(trial=str(number)))).drawn
        assert drawn.parameters.keys() == {"rate", "beta", "filters"}
        at = pb.EpochValue(epoch=1, value=number)
        decision = (await _ask(call, report=pb.ReportValue(trial=str(number), at=at))).decision
        assert decision.prune == (number == 5)
        tell = pb.TellOutcome(trial=str(number), finish=completed(number))
        assert (await _ask(call, tell=tell)).HasField("done")
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() == grpc.StatusCode.OK


async def test_answers_come_in_order_to_a_client_that_does_not_wait(stub):
    call = stub.RunStudy()
    await call.write(pb.RunStudyRequest(open=opening(GIVEN)))
    trials = [str(number) for number in range(200)]
    point = {"rate": value(1e-3), "beta": value(0.5), "filters": value(8)}
    begun = [pb.StudyEvent(begin=pb.BeginTrial(trial=trial, parameters=point)) for trial in trials]
    await call.write(pb.RunStudyRequest(replay=pb.ReplayEvents(events=begun)))
    for trial in trials:
        await call.write(pb.RunStudyRequest(report=pb.ReportValue(trial=trial, at=pb.EpochValue(epoch=1, value=1))))
        await call.write(pb.RunStudyRequest(tell=pb.TellOutcome(trial=trial, finish=completed(1))))
    kinds = [(await call.read()).WhichOneof("message") for _ in range(2 + 2 * len(trials))]
    assert kinds == ["done", "done", *["decision", "done"] * len(trials)]
    call.cancel()


async def test_studies_at_the_same_time_know_nothing_of_each_other(stub):
    calls = [stub.RunStudy() for _ in range(4)]
    for call in calls:
        await _ask(call, open=OPEN.open)
    drawn = await asyncio.gather(*(_ask(call, ask=pb.AskParameters(trial="1")) for call in calls))
    assert all(each == drawn[0] for each in drawn)
    for call in calls:
        call.cancel()


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([pb.RunStudyRequest()], "the first message of RunStudy must be `open`, and no other; found None"),
        ([pb.RunStudyRequest(ask=pb.AskParameters(trial="1"))], "found ask"),
        ([OPEN, OPEN], "found open"),
        ([OPEN, pb.RunStudyRequest()], "a message of RunStudy is empty"),
        ([pb.RunStudyRequest(open=pb.OpenStudy())], "open.sampler has no kind"),
        ([OPEN, pb.RunStudyRequest(tell=pb.TellOutcome(trial="7"))], "tell.trial is '7', which does not run"),
    ],
)
async def test_what_makes_no_sense_ends_the_stream(stub, requests, words):
    code, details = await _refusal(stub.RunStudy(), *requests)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert words in details


async def test_an_error_of_optuna_comes_with_its_text(stub, monkeypatch):
    from distmis_shim.study import Study

    def fails(*_):
        raise RuntimeError("no more\npoints")

    monkeypatch.setattr(Study, "ask", fails)
    code, details = await _refusal(stub.RunStudy(), OPEN, pb.RunStudyRequest(ask=pb.AskParameters(trial="1")))
    assert code == grpc.StatusCode.INTERNAL
    assert details == "Optuna failed: RuntimeError: no more points"


async def test_garbage_ends_its_stream_alone(stub, tmp_path):
    good = stub.RunStudy()
    await _ask(good, open=OPEN.open)
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        call = channel.stream_stream("/distmis.v1.StudyService/RunStudy")()
        await call.write(b"\xff" * 1000)
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
    assert (await _ask(good, ask=pb.AskParameters(trial="1"))).HasField("drawn")
    good.cancel()


async def test_the_thread_of_a_client_that_vanishes_ends(stub):
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("study")]

    calls = [stub.RunStudy() for _ in range(3)]
    for call in calls:
        await _ask(call, open=OPEN.open)
    assert len(threads()) == 3
    for call in calls:
        call.cancel()
    await until(lambda: not threads(), 10, "end of the threads")
