"""Studies: every sampler and pruner, a study that is told its history, and what is refused."""

import math
import statistics

import pytest
from distmis_shim.contract import study_pb as pb
from distmis_shim.demand import InvalidRequest
from distmis_shim.study import Study, values_to_messages
from studies import EPOCHS, GIVEN, PRUNERS, SAMPLERS, Search, completed, conditional, loss, opening, parameters, value

FAILED = pb.TrialFinish(outcome=pb.STUDY_OUTCOME_FAILED)
PRUNED = pb.TrialFinish(outcome=pb.STUDY_OUTCOME_PRUNED)


def given(**values: bool | float | str) -> dict[str, pb.StudyValue]:
    return {name: value(each) for name, each in values.items()}


def warm(of: dict[str, pb.StudyValue], at: float) -> pb.StudyEvent:
    reports = [pb.EpochValue(epoch=1, value=at)]
    return pb.StudyEvent(warm=pb.WarmTrial(parameters=of, reports=reports, finish=completed(at)))


POINT = {"rate": 1e-3, "beta": 0.5, "filters": 8}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_lie_in_the_space(sampler):
    for values in Search(Study(opening(SAMPLERS[sampler], space=conditional()))).run(40).asked:
        assert 1e-5 <= values["rate"] <= 1e-1
        assert 0 <= values["beta"] <= 1
        assert values["beta"] in [round(0.05 * step, 2) for step in range(21)]
        assert values["filters"] in range(1, 17) and type(values["filters"]) is int
        assert ("groups" in values) == (values["norm"] == "group")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("space", [parameters, conditional])
def test_a_study_that_is_told_its_history_goes_on_as_the_one_that_lived_it(sampler, pruner, space):
    message = opening(SAMPLERS[sampler], PRUNERS[pruner], space())
    lived = Search(Study(message)).run(30)
    told = Study(message)
    told.replay(lived.events)
    ahead = [f"next {number}" for number in range(4)]
    assert [told.ask(name) for name in ahead] == [lived.study.ask(name) for name in ahead]
    for epoch in range(1, EPOCHS + 1):
        for name in ahead:
            assert told.report(name, epoch, epoch / 7) == lived.study.report(name, epoch, epoch / 7)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_decides(sampler):
    def asked(seed: int) -> list:
        chosen = pb.StudySampler()
        chosen.CopyFrom(SAMPLERS[sampler])
        chosen.seed = seed
        return Search(Study(opening(chosen))).run(10).asked

    assert asked(1) == asked(1) != asked(2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_parallel_asks_differ(sampler):
    study = Search(Study(opening(SAMPLERS[sampler]))).run(20).study
    drawn = [tuple(study.ask(f"at once {number}").values()) for number in range(16)]
    assert len(set(drawn)) == 16


@pytest.mark.parametrize("sampler", ["tpe", "multivariate tpe", "cmaes"])
def test_they_learn(sampler):
    """Better than the same number of scrambled points, by the median of the last trials."""
    last = {}
    for name in (sampler, "qmc"):
        asked = Search(Study(opening(SAMPLERS[name]))).run(60).asked[-20:]
        last[name] = statistics.median(loss(values, EPOCHS) for values in asked)
    assert last[sampler] < last["qmc"] / 2


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "none"])
def test_pruners_end_bad_trials_and_keep_good_ones(pruner):
    search = Search(Study(opening(SAMPLERS["qmc"], PRUNERS[pruner]))).run(60)
    assert 15 < len(search.pruned) < 60
    ended = {name: loss(search.asked[int(name) - 1], EPOCHS) for name in search.pruned}
    assert statistics.median(search.losses.values()) < statistics.median(ended.values())
    assert min(search.losses.values()) <= sorted({**search.losses, **ended}.values())[3]


def test_the_median_pruner_decides_where_it_is_told_to():
    pruner = pb.StudyPruner(
        percentile=pb.PercentilePruner(percentile=50, startup_trials=2, warmup_epochs=2, interval=3)
    )
    study = Study(opening(GIVEN, pruner))
    for name in ("a", "b"):
        study.begin(name, given(**POINT), False)
        assert not any(study.report(name, epoch, 1.0) for epoch in range(1, 10))
        study.tell(name, completed(1.0))
    decisions = {}
    for first in range(1, 10):
        study.begin(f"from {first}", given(**POINT), False)
        # Good before, bad from there on.
        reports = [study.report(f"from {first}", epoch, 0.5 if epoch < first else 2.0) for epoch in range(1, 10)]
        decisions[first] = reports.index(True) + 1 if True in reports else None
        study.tell(f"from {first}", PRUNED if True in reports else completed(2.0))
    # After two epochs of warm-up every third one decides, by the best value so far.
    assert decisions == {1: 3, **dict.fromkeys(range(2, 10))}


def test_asha_decides_at_its_rungs():
    study = Study(
        opening(GIVEN, pb.StudyPruner(successive_halving=pb.SuccessiveHalvingPruner(min_epochs=2, reduction_factor=2)))
    )
    study.begin("good", given(**POINT), False)
    assert not any(study.report("good", epoch, 0.1) for epoch in range(1, 17))
    study.begin("bad", given(**POINT), False)
    assert [study.report("bad", epoch, 9.0) for epoch in (1, 2)] == [False, True]
    # A decision stays, also for what a trial that starts again reports again.
    assert [study.report("bad", epoch, 0.0) for epoch in (1, 2, 3)] == [True, True, True]


def test_an_epoch_that_is_reported_again_counts_once():
    study = Study(opening(GIVEN, PRUNERS["median"]))
    for name in "abcde":
        study.begin(name, given(**POINT), False)
        study.report(name, 1, 1.0)
        study.tell(name, completed(1.0))
    study.begin("again", given(**POINT), False)
    assert not study.report("again", 1, 0.9)
    assert not study.report("again", 1, 5.0)


def test_what_can_not_be_ranked_fails_and_is_not_learnt_from():
    study = Study(opening(SAMPLERS["tpe"]))
    for number in range(20):
        study.ask(str(number))
        study.report(str(number), 1, math.nan)
        finish = (FAILED, completed(math.nan), pb.TrialFinish(outcome=pb.STUDY_OUTCOME_COMPLETED))[number % 3]
        study.tell(str(number), finish)
    fresh = Study(opening(SAMPLERS["tpe"]))
    assert study.ask("next") == fresh.ask("next")


def test_infinite_values_do_no_harm():
    study = Study(opening(SAMPLERS["multivariate tpe"], PRUNERS["median"]))
    for number in range(20):
        values = study.ask(str(number))
        study.tell(str(number), completed(math.inf if number % 2 else loss(values, 1)))
    assert study.ask("next").keys() == POINT.keys()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trials_of_earlier_runs_are_learnt_from(sampler):
    earlier = Search(Study(opening(SAMPLERS["qmc"]))).run(40)
    told = Study(opening(SAMPLERS[sampler]))
    for name, at in earlier.losses.items():
        told.replay([warm(values_to_messages(earlier.asked[int(name) - 1]), at)])
    cold = Search(Study(opening(SAMPLERS[sampler]))).run(8)
    warmed = Search(told).run(8)
    if sampler != "qmc":
        mean = {search: statistics.fmean(loss(values, EPOCHS) for values in search.asked) for search in (cold, warmed)}
        assert mean[warmed] < mean[cold]
    assert len(warmed.losses) > 4


def test_pruners_compare_with_earlier_runs():
    study = Study(opening(GIVEN, PRUNERS["median"]))
    study.replay([warm(given(**POINT), 1.0)] * 5)
    study.begin("bad", given(**POINT), False)
    assert study.report("bad", 1, 2.0)


def test_a_trial_that_had_ended_goes_on_whatever_a_pruner_thinks_of_its_past():
    def told(*more: pb.StudyEvent) -> Study:
        study = Study(opening(GIVEN, PRUNERS["asha"]))
        for name, at in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("bad", 9.0)):
            begin = pb.BeginTrial(trial=name, parameters=given(**POINT))
            report = pb.ReportValue(trial=name, at=pb.EpochValue(epoch=1, value=at))
            study.replay([pb.StudyEvent(begin=begin), pb.StudyEvent(report=report)])
        study.replay([*more])
        return study

    assert told().report("bad", 2, 9.0)
    assert not told(pb.StudyEvent(go_on=pb.GoOn(trial="bad"))).report("bad", 2, 9.0)
    with pytest.raises(InvalidRequest):
        told(pb.StudyEvent(go_on=pb.GoOn(trial="unknown")))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"direction": 0}, "direction"),
        ({"sampler": pb.StudySampler(seed=1)}, "sampler has no kind"),
        ({"parameters": [pb.StudyParameter(name="a")]}, "no values"),
        ({"parameters": [*parameters(), parameters()[0]]}, "expected one that no other has"),
        ({"parameters": [pb.StudyParameter(name="a", choices=pb.Choices())]}, "expected one or more"),
        (
            {"parameters": [pb.StudyParameter(name="a", choices=pb.Choices(values=[value(1), value(True)]))]},
            "that differ",
        ),
        ({"parameters": [pb.StudyParameter(name="a", choices=pb.Choices(values=[pb.StudyValue()]))]}, "no value"),
        ({"parameters": [pb.StudyParameter(name="a", float=pb.FloatRange(low=2, high=1))]}, "'a'"),
        ({"parameters": [pb.StudyParameter(name="a", float=pb.FloatRange(low=0, high=1, log=True))]}, "'a'"),
        ({"parameters": [pb.StudyParameter(name="a", float=pb.FloatRange(low=0, high=math.inf))]}, "'a'"),
        ({"parameters": [pb.StudyParameter(name="a", integer=pb.IntegerRange(low=0, high=1))]}, "step 0"),
        ({"parameters": [conditional()[-1]]}, "not before it"),
        ({"pruner": pb.StudyPruner(percentile=pb.PercentilePruner(percentile=150, interval=1))}, "pruner"),
        ({"pruner": pb.StudyPruner(percentile=pb.PercentilePruner(percentile=50))}, "pruner"),
        ({"pruner": pb.StudyPruner(successive_halving=pb.SuccessiveHalvingPruner(min_epochs=1))}, "pruner"),
        ({"pruner": pb.StudyPruner(hyperband=pb.HyperbandPruner(min_epochs=3, max_epochs=2))}, "pruner"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(change, words):
    message = opening(SAMPLERS["tpe"])
    for name, to in change.items():
        message.ClearField(name)
        if isinstance(to, list):
            getattr(message, name).extend(to)
        elif isinstance(to, int):
            setattr(message, name, to)
        else:
            getattr(message, name).CopyFrom(to)
    with pytest.raises(InvalidRequest, match=words):
        Study(message)


def test_requests_that_make_no_sense_are_refused():
    study = Study(opening(GIVEN))
    study.begin("runs", given(**POINT), False)
    study.begin("ended", given(**POINT), False)
    study.tell("ended", FAILED)
    refused = [
        lambda: study.ask("runs"),
        lambda: study.ask("ended"),
        lambda: study.ask(""),
        lambda: study.begin("runs", given(**POINT), False),
        lambda: study.begin("new", given(**{**POINT, "filters": 1.5}), False),
        lambda: study.begin("new", given(**{**POINT, "filters": True}), False),
        lambda: study.begin("new", given(**{**POINT, "rate": "large"}), False),
        lambda: study.begin("new", given(**{**POINT, "rate": math.nan}), False),
        lambda: study.begin("new", given(**{**POINT, "more": 1}), False),
        lambda: study.begin("new", given(rate=1e-3), False),
        lambda: study.report("unknown", 1, 1.0),
        lambda: study.report("ended", 1, 1.0),
        lambda: study.report("runs", 0, 1.0),
        lambda: study.tell("unknown", FAILED),
        lambda: study.tell("ended", FAILED),
        lambda: study.tell("runs", pb.TrialFinish()),
        lambda: study.replay([pb.StudyEvent()]),
        lambda: study.replay([pb.StudyEvent(warm=pb.WarmTrial(parameters=given(rate=1), finish=FAILED))]),
        lambda: study.replay([pb.StudyEvent(warm=pb.WarmTrial(parameters=given(**POINT)))]),
    ]
    for request in refused:
        with pytest.raises(InvalidRequest):
            request()
    # None of that has changed anything.
    assert study.report("runs", 1, 1.0) is False
    study.begin("new", given(**POINT), False)
