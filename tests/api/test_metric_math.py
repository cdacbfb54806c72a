"""The metric math that alarms use."""

import pytest

from sandbox.api.metric_math import MathError, evaluate

GRID = [0, 60, 120]
METRICS = {
    "lag": {0: 1.0, 60: 5.0, 120: 5.0},
    "latency": {60: 0.0, 120: 3.0},
    "zero": {0: 0.0},
    "none": {},
}

CASES = {
    "lag": {0: 1, 60: 5, 120: 5},
    "lag + latency": {60: 5, 120: 8},
    "lag - 1": {0: 0, 60: 4, 120: 4},
    "2 * lag / 4": {0: 0.5, 60: 2.5, 120: 2.5},
    "-lag": {0: -1, 60: -5, 120: -5},
    "lag / zero": {},
    "lag > 4": {0: 0, 60: 1, 120: 1},
    "lag >= 5 AND latency == 0": {60: 1, 120: 0},
    "lag < 2 OR lag != 5": {0: 1, 60: 0, 120: 0},
    "FILL(latency, 9)": {0: 9, 60: 0, 120: 3},
    "FILL(none, 0)": {0: 0, 60: 0, 120: 0},
    "FILL(latency, lag)": {0: 1, 60: 0, 120: 3},
    "DIFF(lag)": {60: 4, 120: 0},
    "DIFF(zero)": {},
    "ABS(-lag)": {0: 1, 60: 5, 120: 5},
    "MAX([lag, latency])": {0: 1, 60: 5, 120: 5},
    "MIN([lag, latency])": {0: 1, 60: 0, 120: 3},
    "SUM([lag, latency])": {0: 1, 60: 5, 120: 8},
    "AVG([lag, latency])": {0: 1, 60: 2.5, 120: 4},
    "lag - MIN(lag)": {0: 0, 60: 4, 120: 4},
    "IF(lag > 4, 1, 0)": {0: 0, 60: 1, 120: 1},
    "IF(lag > 4, latency, 7)": {0: 7, 60: 0, 120: 3},
    # Those of the program's own alarms.
    "IF(DIFF(lag) > 0, 1, 0)": {60: 1, 120: 0},
    "IF(lag > 0 AND FILL(latency, 0) == 0, 1, 0)": {0: 1, 60: 1, 120: 0},
    "MAX([FILL(latency, 0), FILL(none, 0)])": {0: 0, 60: 0, 120: 3},
}

NOT_SERVED = [
    "ANOMALY_DETECTION_BAND(lag, 3)",
    "SEARCH('{AWS/Kafka}', 'Sum', 60)",
    "missing + 1",
    "RATE(lag)",
    "lag.real",
    "lag[0]",
    "__import__('os')",
    "lag +",
    "[lag]",
    "1 + 1",
    "FILL(1, 0)",
    "MAX(none)",
    "[lag] + 1",
    "lag % 2",
]


@pytest.mark.parametrize("expression", CASES)
def test_it_has_the_value_of(expression: str) -> None:
    assert evaluate(expression, METRICS, GRID) == CASES[expression]


@pytest.mark.parametrize("expression", NOT_SERVED)
def test_it_refuses_rather_than_guess(expression: str) -> None:
    with pytest.raises(MathError):
        evaluate(expression, METRICS, GRID)
