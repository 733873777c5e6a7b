"""A study as a whole, for the programs that do not search: read from standard input, made into Optuna's trials."""

import sys
import warnings
from collections.abc import Callable
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from distmis_shim.contract import study_pb as pb
from distmis_shim.demand import InvalidRequest
from distmis_shim.study import finish_of
from distmis_shim.study_space import Space
from distmis_shim.words import one_line


def trials(record: pb.StudyRecord) -> list[FrozenTrial]:
    """In the order in which they began; one that was not told is running. Raises InvalidRequest."""
    space = Space(record.open.parameters)
    found: dict[str, FrozenTrial] = {}
    for event in record.events:
        kind = event.WhichOneof("event")
        at = datetime.fromtimestamp(event.time / 1000)
        if kind == "begin":
            values = space.read(event.begin.parameters, f"trial {event.begin.trial!r}")
            trial = create_trial(
                state=TrialState.RUNNING,
                params=values,
                distributions=space.active(values),
                user_attrs={"trial": event.begin.trial},
            )
            trial.datetime_start = at
            found[event.begin.trial] = trial
        elif kind == "report":
            found[event.report.trial].intermediate_values[event.report.at.epoch] = event.report.at.value
        elif kind == "tell":
            trial = found[event.tell.trial]
            trial.state, trial.value = finish_of(event.tell.finish, f"trial {event.tell.trial!r}")
            if trial.state == TrialState.PRUNED and trial.intermediate_values:
                trial.value = trial.intermediate_values[max(trial.intermediate_values)]
            trial.datetime_complete = at
        elif kind != "go_on":
            raise InvalidRequest(f"an event of a record is {kind}; expected begin, report, tell or go_on")
    return list(found.values())


def main(program: Callable[[pb.StudyRecord], None]) -> int:
    """Runs it with the record on standard input; what goes wrong is one line on standard error."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        program(pb.StudyRecord.FromString(sys.stdin.buffer.read()))
    except Exception as error:
        text = str(error) if isinstance(error, InvalidRequest | OSError) else f"{type(error).__name__}: {error}"
        print(one_line(text), file=sys.stderr)
        return 1
    return 0
