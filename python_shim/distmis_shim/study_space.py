"""The search space of a study: from its messages to Optuna's distributions, values there and back."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from distmis_shim.contract import study_pb as pb
from distmis_shim.demand import InvalidRequest

Value = bool | int | float | str
Values = dict[str, Value]

_LARGEST_INTEGER = 2**53


@dataclass(frozen=True)
class Parameter:
    """`when`: the parameters before it that decide on it, each with the values of which it must have one."""

    name: str
    distribution: BaseDistribution
    when: Mapping[str, tuple[Value, ...]]

    def applies(self, values: Mapping[str, Value]) -> bool:
        return all(name in values and values[name] in allowed for name, allowed in self.when.items())


def from_message(value: pb.StudyValue, where: str) -> Value:
    """Whole numbers come out as int. Raises InvalidRequest."""
    kind = value.WhichOneof("value")
    if kind is None:
        raise InvalidRequest(f"{where} has no value; expected a number, a text or a truth")
    found = getattr(value, kind)
    if kind != "number":
        return found
    if not math.isfinite(found):
        raise InvalidRequest(f"{where} is {found:g}; expected a finite number")
    return int(found) if found.is_integer() and abs(found) <= _LARGEST_INTEGER else found


def to_message(value: Value) -> pb.StudyValue:
    if isinstance(value, bool):
        return pb.StudyValue(truth=value)
    return pb.StudyValue(text=value) if isinstance(value, str) else pb.StudyValue(number=value)


def _distribution(parameter: pb.StudyParameter) -> BaseDistribution:
    where = f"parameter {parameter.name!r}"
    kind = parameter.WhichOneof("values")
    if kind == "choices":
        choices = [from_message(value, f"a choice of {where}") for value in parameter.choices.values]
        # Python holds 1, 1.0 and True for equal.
        if not choices or len(set(choices)) < len(choices):
            raise InvalidRequest(f"{where} has the choices {choices}; expected one or more that differ")
        return CategoricalDistribution(choices)
    if kind == "integer":
        whole = parameter.integer
        if whole.step < 1 or (whole.log and whole.step != 1):
            raise InvalidRequest(f"{where} has the step {whole.step}; expected 1 or more, and 1 with log")
        high = whole.high - (whole.high - whole.low) % whole.step
        return _range(where, lambda: IntDistribution(whole.low, high, log=whole.log, step=whole.step))
    if kind == "float":
        real = parameter.float
        if not all(map(math.isfinite, (real.low, real.high, real.step))) or real.step < 0:
            raise InvalidRequest(f"{where} has a bound or a step that is no number, or a step below 0")
        step = real.step or None
        return _range(where, lambda: FloatDistribution(real.low, real.high, log=real.log, step=step))
    raise InvalidRequest(f"{where} has no values; expected choices, float or integer")


def _range(where: str, make: Callable[[], BaseDistribution]) -> BaseDistribution:
    try:
        with warnings.catch_warnings():
            # A high that is no multiple of the step away from low is lowered, as it should be.
            warnings.simplefilter("ignore")
            return make()
    except ValueError as error:
        raise InvalidRequest(f"{where}: {error}") from error


class Space:
    """Its parameters in an order in which each stands behind those that decide on it."""

    def __init__(self, parameters: Any) -> None:
        """Raises InvalidRequest."""
        self.parameters: list[Parameter] = []
        known: dict[str, Parameter] = {}
        for parameter in parameters:
            name = parameter.name
            if not name or name in known:
                raise InvalidRequest(f"a parameter has the name {name!r}; expected one that no other has")
            when = {}
            for condition in parameter.when:
                if condition.parameter not in known:
                    raise InvalidRequest(
                        f"parameter {name!r} depends on {condition.parameter!r}, which is not before it"
                    )
                allowed = [from_message(value, f"a condition of parameter {name!r}") for value in condition.values]
                when[condition.parameter] = tuple(allowed)
            known[name] = Parameter(name, _distribution(parameter), when)
            self.parameters.append(known[name])
        self._known = known
        self.conditional = any(parameter.when for parameter in self.parameters)

    def active(self, values: Mapping[str, Value]) -> dict[str, BaseDistribution]:
        """The parameters that a trial with these values has."""
        return {each.name: each.distribution for each in self.parameters if each.applies(values)}

    def read(self, messages: Mapping[str, pb.StudyValue], where: str) -> Values:
        """The values of a trial: each one that the space has, and all that their conditions let it have.
        Raises InvalidRequest."""
        values: Values = {}
        for name, message in messages.items():
            if name not in self._known:
                raise InvalidRequest(f"{where} has a parameter {name!r}, which the space does not have")
            value = from_message(message, f"parameter {name!r} of {where}")
            if not _contains(self._known[name].distribution, value):
                raise InvalidRequest(
                    f"parameter {name!r} of {where} is {value!r}, which {self._known[name].distribution} does not have"
                )
            values[name] = value
        if values.keys() != (expected := self.active(values)).keys():
            raise InvalidRequest(
                f"{where} has the parameters {sorted(values)}; expected {sorted(expected)} by their conditions"
            )
        return values


def _contains(distribution: BaseDistribution, value: Value) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return any(type(choice) is type(value) and choice == value for choice in distribution.choices)
    if isinstance(value, bool | str) or (isinstance(distribution, IntDistribution) and isinstance(value, float)):
        return False
    return distribution._contains(value)
