"""StudyService: the gRPC side of studies."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import grpc

from distmis_shim.contract import study_grpc
from distmis_shim.contract import study_pb as pb
from distmis_shim.demand import InvalidRequest
from distmis_shim.words import one_line

log = logging.getLogger(__name__)


class _Thread:
    """One study and the thread in which Optuna computes, one request at a time."""

    def __init__(self) -> None:
        self._study = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="study")

    async def answer(self, request: pb.RunStudyRequest) -> pb.RunStudyResponse:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._answer, request)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _answer(self, request: pb.RunStudyRequest) -> pb.RunStudyResponse:
        # Only where a study is wanted: Optuna takes memory and some tenths of a second.
        from distmis_shim import study

        kind = request.WhichOneof("message")
        if (kind == "open") != (self._study is None):
            raise InvalidRequest(f"the first message of RunStudy must be `open`, and no other; found {kind}")
        if kind == "open":
            self._study = study.Study(request.open)
        elif kind == "replay":
            self._study.replay(request.replay.events)
        elif kind == "ask":
            values = self._study.ask(request.ask.trial)
            return pb.RunStudyResponse(drawn=pb.DrawnParameters(parameters=study.values_to_messages(values)))
        elif kind == "begin":
            self._study.begin(request.begin.trial, request.begin.parameters, request.begin.drawn)
        elif kind == "report":
            at = request.report.at
            prune = self._study.report(request.report.trial, at.epoch, at.value)
            return pb.RunStudyResponse(decision=pb.Decision(prune=prune))
        elif kind == "tell":
            self._study.tell(request.tell.trial, request.tell.finish)
        else:
            raise InvalidRequest("a message of RunStudy is empty; expected replay, ask, begin, report or tell")
        return pb.RunStudyResponse(done=pb.Done())


class StudyService(study_grpc.StudyServiceServicer):
    async def RunStudy(self, request_iterator, context: grpc.aio.ServicerContext) -> None:
        thread = _Thread()
        try:
            while (request := await context.read()) is not grpc.aio.EOF:
                try:
                    response = await thread.answer(request)
                except InvalidRequest as error:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, one_line(str(error)))
                except Exception as error:
                    log.exception("Optuna failed")
                    text = f"Optuna failed: {type(error).__name__}: {error}"
                    await context.abort(grpc.StatusCode.INTERNAL, one_line(text))
                await context.write(response)
        finally:
            thread.close()
