"""CloudWatch as far as the alarms need it: whether an alarm is well formed, and whether it would fire on given data.

`fires` reads an alarm's recorded inputs, not the program's own description of it. It knows the few functions of metric
math that the alarms use, and how CloudWatch treats missing data; it does not know anomaly detection.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Series = Sequence[float | None]
"""A metric's values by the minute, the newest last; None where there is none."""

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}

FUNCTIONS: Final = frozenset({"IF", "FILL", "MAX", "DIFF", "ANOMALY_DETECTION_BAND"})
WORDS: Final = re.compile(r"[A-Za-z_]\w*")


def metrics_of(alarm: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """An alarm's metrics by their ids, without expressions."""
    return {query["id"]: query["metric"] for query in alarm["metricQueries"] if "metric" in query}


def expression_of(alarm: Mapping[str, Any]) -> str | None:
    expressions = [query["expression"] for query in alarm["metricQueries"] if "expression" in query]
    assert len(expressions) <= 1
    return expressions[0] if expressions else None


def ids_in(expression: str) -> set[str]:
    """The metric ids that an expression refers to."""
    return set(WORDS.findall(expression)) - FUNCTIONS - {"AND"}


def fires(alarm: Mapping[str, Any], data: Mapping[str, Series]) -> bool:
    """Whether an alarm is in ALARM after the given minutes. `data` is by metric name; an absent one has no data."""
    minutes = alarm["evaluationPeriods"]
    assert alarm.get("datapointsToAlarm", minutes) == minutes
    length = minutes + 1  # DIFF needs the minute before
    series = {id_: _last(data.get(metric["metricName"], ()), length) for id_, metric in metrics_of(alarm).items()}
    results = _evaluate(expression_of(alarm), series, length)[-minutes:]
    compare, threshold = COMPARISONS[alarm["comparisonOperator"]], alarm["threshold"]
    missing = {"breaching": True, "notBreaching": False}[alarm["treatMissingData"]]
    return all(missing if value is None else compare(value, threshold) for value in results)


def _last(series: Series, length: int) -> list[float | None]:
    padded = [None] * length + list(series)
    return padded[-length:]


def _evaluate(expression: str | None, series: Mapping[str, list[float | None]], length: int) -> list[float | None]:
    if expression is None:
        (only,) = series.values()
        return only
    python = expression.replace(" AND ", " and ")
    results: list[float | None] = []
    for at in range(length):
        names: dict[str, Any] = {id_: _Point(values, at) for id_, values in series.items()}
        try:
            value = eval(python, {"__builtins__": {}}, {**names, **_MATH})  # the program's own text
        except _Missing:
            results.append(None)
        else:
            results.append(float(value.value() if isinstance(value, _Point) else value))
    return results


class _Missing(Exception):
    """An expression meets a minute without data: it has none either."""


class _Point:
    """A metric at one minute. Using it while there is no data makes the result missing."""

    def __init__(self, values: Sequence[float | None], at: int) -> None:
        self.values, self.at = values, at

    def value(self, back: int = 0) -> float:
        found = self.values[self.at - back] if self.at >= back else None
        if found is None:
            raise _Missing
        return found

    def __gt__(self, other: float) -> bool:
        return self.value() > other

    def __add__(self, other: "_Point") -> float:
        return self.value() + other.value()


def _fill(point: _Point, default: float) -> float:
    try:
        return point.value()
    except _Missing:
        return default


_MATH: Final[dict[str, Any]] = {
    "IF": lambda condition, yes, no: yes if condition else no,
    "FILL": _fill,
    "MAX": max,
    "DIFF": lambda point: point.value() - point.value(1),
}
