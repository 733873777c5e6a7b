"""The export of a study and the importance of its parameters, by the programs that do it."""

import json
import math
import subprocess
import sys

import optuna
import pytest
from distmis_shim.contract import study_pb as pb
from distmis_shim.study import Study, values_to_messages
from harness import environment
from optuna.trial import TrialState
from studies import PRUNERS, SAMPLERS, Search, completed, conditional, opening, value


def _run(program: str, record: pb.StudyRecord | bytes, *arguments: str) -> subprocess.CompletedProcess:
    data = record if isinstance(record, bytes) else record.SerializeToString()
    command = [sys.executable, "-m", f"distmis_shim.{program}", *arguments]
    return subprocess.run(command, input=data, capture_output=True, env=environment("record"), timeout=60)


@pytest.fixture(scope="module")
def search() -> Search:
    return Search(Study(opening(SAMPLERS["tpe"], PRUNERS["median"], conditional()))).run(15)


def _record(search: Search) -> pb.StudyRecord:
    record = pb.StudyRecord(open=opening(SAMPLERS["tpe"], PRUNERS["median"], conditional()))
    for minute, event in enumerate(search.events):
        record.events.add().CopyFrom(event)
        record.events[-1].time = 1_700_000_000_000 + minute * 60_000
    return record


@pytest.mark.parametrize("name", ["study.db", "study.journal"])
def test_an_export_holds_all_that_is_known(search, tmp_path, name):
    file = tmp_path / name
    done = _run("study_export", _record(search), str(file))
    assert (done.returncode, done.stderr) == (0, b"")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    journal = optuna.storages.journal.JournalFileBackend(str(file))
    storage = optuna.storages.JournalStorage(journal) if name.endswith("journal") else f"sqlite:///{file}"
    study = optuna.load_study(study_name="test", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert len(study.trials) == len(search.asked)
    for trial, values in zip(study.trials, search.asked, strict=True):
        name = trial.user_attrs["trial"]
        assert name == f"{trial.number + 1:04}"
        assert trial.params == values
        if name in search.losses:
            assert (trial.state, trial.value) == (TrialState.COMPLETE, search.losses[name])
        elif name in search.pruned:
            assert (trial.state, trial.last_step) == (TrialState.PRUNED, search.pruned[name])
        else:
            assert trial.state == TrialState.RUNNING
        assert trial.datetime_start.timestamp() >= 1_700_000_000
        assert (trial.datetime_complete is None) == (trial.state == TrialState.RUNNING)


def test_an_export_takes_no_file_of_others(search, tmp_path):
    file = tmp_path / "study.db"
    file.write_text("mine")
    done = _run("study_export", _record(search), str(file))
    assert done.returncode == 1
    assert done.stderr.decode() == f"{file} exists: delete it, or name another file\n"
    assert file.read_text() == "mine"


def test_an_export_that_fails_leaves_nothing(search, tmp_path):
    (tmp_path / "folder").mkdir()
    done = _run("study_export", b"\xff\xff", str(tmp_path / "folder" / "study.db"))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    done = _run("study_export", _record(search), str(tmp_path / "missing" / "study.db"))
    assert done.returncode == 1 and b"missing" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "folder").iterdir())


def _importance(record: pb.StudyRecord) -> dict[str, float]:
    done = _run("importance", record)
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def test_importance_of_all_parameters_also_of_conditional_ones():
    found = _importance(_record(Search(Study(opening(SAMPLERS["qmc"], None, conditional()))).run(100)))
    assert found.keys() == {"rate", "beta", "filters", "norm", "groups"}
    assert math.isclose(sum(found.values()), 1)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found)) == "rate"


def _told(values: list[float], points: list[dict]) -> pb.StudyRecord:
    more = [
        pb.StudyParameter(name="one", choices=pb.Choices(values=[value(7)])),
        pb.StudyParameter(name="side", choices=pb.Choices(values=[value("left"), value("right")])),
    ]
    record = pb.StudyRecord(open=opening(SAMPLERS["tpe"], None, [*conditional(), *more]))
    common = {"beta": 0.5, "norm": "batch", "one": 7}
    for number, (at, point) in enumerate(zip(values, points, strict=True)):
        parameters = values_to_messages({**common, **point})
        record.events.add(begin=pb.BeginTrial(trial=str(number), parameters=parameters))
        record.events.add(tell=pb.TellOutcome(trial=str(number), finish=completed(at)))
    return record


def test_importance_of_odd_trials():
    points = [{"rate": 1e-3, "filters": 1 + number % 6, "side": "left"} for number in range(20)]
    found = _importance(_told([*range(18), math.inf, 6], points))
    assert found.keys() == {"rate", "beta", "filters", "norm", "one", "side"}
    assert all(0 <= share <= 1 for share in found.values())


@pytest.mark.parametrize("count", [0, 6, 20])
def test_importance_of_trials_that_do_not_differ(count):
    assert _importance(_told([1.0] * count, [{"rate": 1e-3, "filters": 4, "side": "left"}] * count)) == {}


def test_a_range_is_not_important_for_being_one():
    points = [
        {"rate": 10 ** (-4 + number / 8), "filters": 4, "side": ("left", "right")[number % 3 == 0]}
        for number in range(16)
    ]
    values = [(0.5 if point["side"] == "right" else 0.9) + number % 5 / 100 for number, point in enumerate(points)]
    assert next(iter(_importance(_told(values, points)))) == "side"
