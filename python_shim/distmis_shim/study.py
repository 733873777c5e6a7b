"""One Optuna study. Its methods block, for milliseconds once there are thousands of trials, and are not thread-safe."""

import math
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import BasePruner, PercentilePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from distmis_shim.contract import study_pb as pb
from distmis_shim.demand import InvalidRequest
from distmis_shim.study_space import Parameter, Space, Value, Values, to_message

optuna.logging.set_verbosity(optuna.logging.ERROR)
# Of `group` and `source_trials`, whose use is decided here and not by whoever would read the warning.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

# The start of CMA-ES is made from their best tenth.
_LEAST_SOURCES = 10
# To which multiples of a step are rounded.
_STEP_DIGITS = 12

_DIRECTIONS = {pb.STUDY_DIRECTION_MINIMIZE: "minimize", pb.STUDY_DIRECTION_MAXIMIZE: "maximize"}
_STATES = {
    pb.STUDY_OUTCOME_COMPLETED: TrialState.COMPLETE,
    pb.STUDY_OUTCOME_FAILED: TrialState.FAIL,
    pb.STUDY_OUTCOME_PRUNED: TrialState.PRUNED,
}


@dataclass
class _Running:
    trial: Trial
    reported: set[int] = field(default_factory=set)
    pruned: bool = False


def finish_of(finish: pb.TrialFinish, where: str) -> tuple[TrialState, float | None]:
    """Optuna's state and value; a completed trial without a value counts as failed. Raises InvalidRequest."""
    if finish.outcome not in _STATES:
        raise InvalidRequest(f"{where} has no outcome; expected completed, failed or pruned")
    state = _STATES[finish.outcome]
    if state != TrialState.COMPLETE:
        return state, None
    known = finish.HasField("value") and not math.isnan(finish.value)
    return (state, finish.value) if known else (TrialState.FAIL, None)


def direction_of(message: pb.OpenStudy) -> str:
    """Raises InvalidRequest."""
    if message.direction not in _DIRECTIONS:
        raise InvalidRequest("open.direction is not set; expected MINIMIZE or MAXIMIZE")
    return _DIRECTIONS[message.direction]


class Study:
    """Raises InvalidRequest for what makes no sense; what Optuna raises is not caught."""

    def __init__(self, message: pb.OpenStudy) -> None:
        self._space = Space(message.parameters)
        self._message = message.sampler
        self._kind = message.sampler.WhichOneof("kind")
        if self._kind is None:
            raise InvalidRequest("open.sampler has no kind; expected given, tpe, cmaes or qmc")
        self._pruner = _pruner(message.pruner)
        self._study = optuna.create_study(
            study_name=message.name or "distmis",
            direction=direction_of(message),
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=self._pruner or optuna.pruners.NopPruner(),
        )
        self._trials: dict[str, _Running] = {}
        self._finished: set[str] = set()
        self._sources: list[FrozenTrial] = []
        # So that what they refuse is refused now.
        self._sampler(0)

    def ask(self, name: str) -> Values:
        """Parameters for a new trial."""
        trial = self._new(name)
        values: Values = {}
        for parameter in self._space.parameters:
            if parameter.applies(values):
                values[parameter.name] = self._suggest(trial, parameter)
        return values

    @staticmethod
    def _suggest(trial: Trial, parameter: Parameter) -> Value:
        value = trial._suggest(parameter.name, parameter.distribution)
        if not isinstance(parameter.distribution, FloatDistribution) or parameter.distribution.step is None:
            return value
        # As a person writes it, also in the study: 0.8 + 3 x 0.1 is 1.1.
        rounded = float(f"{value:.{_STEP_DIGITS}g}")
        trial.storage.set_trial_param(trial._trial_id, parameter.name, rounded, parameter.distribution)
        return rounded

    def begin(self, name: str, parameters: Mapping[str, pb.StudyValue], drawn: bool) -> None:
        """A new trial with these parameters."""
        values = self._space.read(parameters, f"trial {name!r}")
        trial = self._new(name, values)
        if drawn and self._kind in ("cmaes", "qmc"):
            # These keep their state with the trials that they drew.
            _ = trial.relative_params
        for parameter, distribution in self._space.active(values).items():
            trial._suggest(parameter, distribution)

    def report(self, name: str, epoch: int, value: float, replayed: bool = False) -> bool:
        """Whether the trial is to end. What it has reported before does not count again, and a decision stays."""
        running = self._running(name, "report")
        if epoch < 1:
            raise InvalidRequest(f"report.epoch of trial {name!r} is {epoch}; expected 1 or more")
        if epoch in running.reported:
            return running.pruned
        running.reported.add(epoch)
        running.trial.report(value, epoch)
        # Percentiles follow from the values alone, by a look at every trial; the other pruners mark what they decided.
        decides = self._pruner is not None and not (replayed and isinstance(self._pruner, PercentilePruner))
        running.pruned = running.pruned or (decides and running.trial.should_prune())
        return running.pruned

    def tell(self, name: str, finish: pb.TrialFinish) -> None:
        running = self._running(name, "tell")
        state, value = finish_of(finish, f"trial {name!r}")
        self._study.tell(running.trial, value, state)
        del self._trials[name]
        self._finished.add(name)

    def replay(self, events: list[pb.StudyEvent]) -> None:
        for event in events:
            kind = event.WhichOneof("event")
            if kind == "begin":
                self.begin(event.begin.trial, event.begin.parameters, event.begin.drawn)
            elif kind == "report":
                self.report(event.report.trial, event.report.at.epoch, event.report.at.value, replayed=True)
            elif kind == "tell":
                self.tell(event.tell.trial, event.tell.finish)
            elif kind == "go_on":
                self._running(event.go_on.trial, "go_on").pruned = False
            elif kind == "warm":
                self._add_warm(event.warm)
            else:
                raise InvalidRequest("an event of replay is empty; expected begin, report, tell, go_on or warm")

    def _running(self, name: str, message: str) -> _Running:
        if name not in self._trials:
            raise InvalidRequest(f"{message}.trial is {name!r}, which does not run")
        return self._trials[name]

    def _new(self, name: str, values: Values | None = None) -> Trial:
        if not name or name in self._trials or name in self._finished:
            raise InvalidRequest(f"a trial has the name {name!r}; expected one that no other has had")
        # By the trial alone, so that a study which was told the history draws as the one that lived through it.
        sequence = np.random.SeedSequence([self._message.seed, zlib.crc32(name.encode())])
        self._study.sampler = self._sampler(int(sequence.generate_state(1)[0]))
        if values is not None:
            self._study.enqueue_trial(values)
        trial = self._study.ask()
        self._trials[name] = _Running(trial)
        return trial

    def _sampler(self, seed: int) -> BaseSampler:
        """A new one for each draw: their memory is the study."""
        if self._kind == "tpe":
            tpe = self._message.tpe
            return optuna.samplers.TPESampler(
                n_startup_trials=tpe.startup_trials,
                multivariate=tpe.multivariate,
                # Without it conditional parameters would be drawn each by itself.
                group=tpe.multivariate and self._space.conditional,
                # What runs counts as bad where it is, so that parallel asks keep apart.
                constant_liar=True,
                seed=seed,
            )
        if self._kind == "cmaes":
            cmaes = self._message.cmaes
            return optuna.samplers.CmaEsSampler(
                n_startup_trials=cmaes.startup_trials,
                popsize=cmaes.population or None,
                source_trials=self._sources if len(self._sources) >= _LEAST_SOURCES else None,
                warn_independent_sampling=False,
                seed=seed,
            )
        if self._kind == "qmc":
            # Its seed makes the sequence, of which each draw takes the next point.
            return optuna.samplers.QMCSampler(
                scramble=True,
                seed=self._message.seed,
                independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
        return optuna.samplers.RandomSampler(seed=seed)

    def _add_warm(self, warm: pb.WarmTrial) -> None:
        values = self._space.read(warm.parameters, "a warm trial")
        state, value = finish_of(warm.finish, "a warm trial")
        trial = create_trial(
            state=state,
            value=value,
            params=values,
            distributions=self._space.active(values),
            intermediate_values={report.epoch: report.value for report in warm.reports},
        )
        self._study.add_trial(trial)
        if self._kind == "cmaes" and state == TrialState.COMPLETE and not self._space.conditional:
            self._sources.append(_numeric(trial))


def _numeric(trial: FrozenTrial) -> FrozenTrial:
    """What CMA-ES draws of a trial."""
    distributions = {
        name: distribution
        for name, distribution in trial.distributions.items()
        if not isinstance(distribution, CategoricalDistribution) and not distribution.single()
    }
    params = {name: trial.params[name] for name in distributions}
    return create_trial(value=trial.value, params=params, distributions=distributions)


def _pruner(message: pb.StudyPruner) -> BasePruner | None:
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    try:
        if kind == "percentile":
            percentile = message.percentile
            return optuna.pruners.PercentilePruner(
                percentile.percentile,
                n_startup_trials=percentile.startup_trials,
                # Optuna's first step that may be the last; ours count from 1.
                n_warmup_steps=percentile.warmup_epochs + 1,
                interval_steps=percentile.interval,
            )
        if kind == "successive_halving":
            halving = message.successive_halving
            return optuna.pruners.SuccessiveHalvingPruner(
                min_resource=halving.min_epochs,
                reduction_factor=halving.reduction_factor,
                min_early_stopping_rate=halving.min_early_stopping_rate,
            )
        hyperband = message.hyperband
        if not 1 <= hyperband.min_epochs <= hyperband.max_epochs or hyperband.reduction_factor < 2:
            raise ValueError("expected 1 <= min_epochs <= max_epochs and a reduction_factor of 2 or more")
        return optuna.pruners.HyperbandPruner(
            min_resource=hyperband.min_epochs,
            max_resource=hyperband.max_epochs,
            reduction_factor=hyperband.reduction_factor,
        )
    except ValueError as error:
        raise InvalidRequest(f"open.pruner: {error}") from error


def values_to_messages(values: Values) -> dict[str, pb.StudyValue]:
    return {name: to_message(value) for name, value in values.items()}
