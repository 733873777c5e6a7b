"""Search spaces, samplers and pruners for the tests of studies, and a search of a known function in parallel."""

import math
import random

from distmis_shim.contract import study_pb as pb
from distmis_shim.study import Study, values_to_messages
from distmis_shim.study_space import Values

EPOCHS = 9


def value(of: bool | float | str) -> pb.StudyValue:
    if isinstance(of, bool):
        return pb.StudyValue(truth=of)
    return pb.StudyValue(text=of) if isinstance(of, str) else pb.StudyValue(number=of)


def parameters() -> list[pb.StudyParameter]:
    return [
        pb.StudyParameter(name="rate", float=pb.FloatRange(low=1e-5, high=1e-1, log=True)),
        pb.StudyParameter(name="beta", float=pb.FloatRange(low=0, high=1, step=0.05)),
        pb.StudyParameter(name="filters", integer=pb.IntegerRange(low=1, high=16, step=1)),
    ]


def conditional() -> list[pb.StudyParameter]:
    """The same and `groups`, which trials with `norm` group have."""
    return [
        *parameters(),
        pb.StudyParameter(name="norm", choices=pb.Choices(values=[value("batch"), value("group")])),
        pb.StudyParameter(
            name="groups",
            choices=pb.Choices(values=[value(2), value(4)]),
            when=[pb.StudyCondition(parameter="norm", values=[value("group")])],
        ),
    ]


SAMPLERS = {
    "tpe": pb.StudySampler(seed=7, tpe=pb.TpeSampler(startup_trials=5)),
    "multivariate tpe": pb.StudySampler(seed=7, tpe=pb.TpeSampler(startup_trials=5, multivariate=True)),
    "cmaes": pb.StudySampler(seed=7, cmaes=pb.CmaesSampler(startup_trials=1)),
    "qmc": pb.StudySampler(seed=7, qmc=pb.QmcSampler()),
}
GIVEN = pb.StudySampler(seed=7, given=pb.GivenParameters())
PRUNERS = {
    "none": None,
    "median": pb.StudyPruner(percentile=pb.PercentilePruner(percentile=50, startup_trials=5, interval=1)),
    "percentile": pb.StudyPruner(
        percentile=pb.PercentilePruner(percentile=25, startup_trials=5, warmup_epochs=3, interval=2)
    ),
    "asha": pb.StudyPruner(successive_halving=pb.SuccessiveHalvingPruner(min_epochs=1, reduction_factor=3)),
    "hyperband": pb.StudyPruner(hyperband=pb.HyperbandPruner(min_epochs=1, max_epochs=EPOCHS, reduction_factor=3)),
}


def opening(sampler: pb.StudySampler, pruner: pb.StudyPruner | None = None, space=None) -> pb.OpenStudy:
    space = parameters() if space is None else space
    direction = pb.STUDY_DIRECTION_MINIMIZE
    return pb.OpenStudy(name="test", direction=direction, parameters=space, sampler=sampler, pruner=pruner)


def loss(values: Values, epoch: int) -> float:
    """Least, but for the epoch, at rate 1e-3, beta 0.3, filters 5."""
    bowl = (math.log10(values["rate"]) + 3) ** 2 + 4 * (values["beta"] - 0.3) ** 2 + abs(values["filters"] - 5) / 16
    return bowl + 1 / epoch


def completed(at: float) -> pb.TrialFinish:
    return pb.TrialFinish(outcome=pb.STUDY_OUTCOME_COMPLETED, value=at)


class Search:
    """Trials that run `parallel` at once; which one reports next is drawn by `seed`. Keeps what a journal would."""

    def __init__(self, study: Study, parallel: int = 3, seed: int = 1) -> None:
        self.study = study
        self.events: list[pb.StudyEvent] = []
        self.asked: list[Values] = []
        self.losses: dict[str, float] = {}
        self.pruned: dict[str, int] = {}
        self._parallel = parallel
        self._random = random.Random(seed)
        self._running: dict[str, tuple[Values, int]] = {}

    def run(self, trials: int) -> "Search":
        """So many more trials to their end; then as many run as may at once, some of them with reports."""
        last = len(self.asked) + trials
        while len(self.asked) < last or len(self._running) < self._parallel:
            while len(self._running) < self._parallel:
                self._ask()
            self._report()
        return self

    def _ask(self) -> None:
        name = f"{len(self.asked) + 1:04}"
        values = self.study.ask(name)
        self.asked.append(values)
        self._running[name] = (values, 0)
        begin = pb.BeginTrial(trial=name, parameters=values_to_messages(values), drawn=True)
        self.events.append(pb.StudyEvent(begin=begin))

    def _report(self) -> None:
        name = self._random.choice(sorted(self._running))
        values, epoch = self._running[name]
        epoch += 1
        at = pb.EpochValue(epoch=epoch, value=loss(values, epoch))
        self._running[name] = (values, epoch)
        self.events.append(pb.StudyEvent(report=pb.ReportValue(trial=name, at=at)))
        prune = self.study.report(name, epoch, at.value)
        if not prune and epoch < EPOCHS:
            return
        finish = pb.TrialFinish(outcome=pb.STUDY_OUTCOME_PRUNED) if prune else completed(at.value)
        if prune:
            self.pruned[name] = epoch
        else:
            self.losses[name] = at.value
        self.study.tell(name, finish)
        self.events.append(pb.StudyEvent(tell=pb.TellOutcome(trial=name, finish=finish)))
        del self._running[name]
