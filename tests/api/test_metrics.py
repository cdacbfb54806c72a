"""CloudWatch: metrics by their exact dimensions, aligned periods, alarms that go off."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from sandbox.api.metrics import KEPT
from tests.api.world import PRIMARY, SECONDARY, World, refusal

NAMES = count()


NOW = datetime.now(UTC).replace(second=0, microsecond=0)
"""The same for all tests: a minute may end in the middle of one."""


def minute(ago: int) -> datetime:
    """The beginning of the minute that was `ago` minutes ago."""
    return NOW - timedelta(minutes=ago)


def dimensions(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def put(world: World, name: str, *values: tuple[int, float], region: str = PRIMARY, **where: str) -> None:
    """Values by how many minutes ago."""
    world.client("cloudwatch", region).put_metric_data(
        Namespace="Test",
        MetricData=[
            {"MetricName": name, "Dimensions": dimensions(**where), "Timestamp": minute(ago), "Value": value}
            for ago, value in values
        ],
    )


def statistics(world: World, name: str, statistic: str, region: str = PRIMARY, **where: str) -> list[float]:
    answer = world.client("cloudwatch", region).get_metric_statistics(
        Namespace="Test",
        MetricName=name,
        Dimensions=dimensions(**where),
        StartTime=minute(10),
        EndTime=minute(0),
        Period=60,
        Statistics=[statistic],
    )
    return [point[statistic] for point in sorted(answer["Datapoints"], key=lambda point: str(point["Timestamp"]))]


def stat(id_: str, name: str, statistic: str = "Sum", **where: str) -> dict[str, Any]:
    metric = {"Namespace": "Test", "MetricName": name, "Dimensions": dimensions(**where)}
    return {"Id": id_, "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic}}


def data(world: World, *queries: dict[str, Any], **more: Any) -> dict[str, dict[datetime, float]]:
    answer = world.client("cloudwatch", PRIMARY).get_metric_data(
        MetricDataQueries=list(queries), StartTime=minute(10), EndTime=minute(0), **more
    )
    return {
        result["Id"]: dict(zip(result["Timestamps"], result["Values"], strict=True))
        for result in answer["MetricDataResults"]
    }


@pytest.fixture
def name() -> str:
    return f"metric{next(NAMES)}"


def test_a_metric_is_its_exact_dimensions(world: World, name: str) -> None:
    put(world, name, (2, 7), ReplicatorName="r")
    put(world, name, (2, 3), ReplicatorName="r", Topic="orders")
    put(world, name, (2, 100), ReplicatorName="other")
    assert statistics(world, name, "Sum", ReplicatorName="r") == [7]
    assert statistics(world, name, "Sum", Topic="orders", ReplicatorName="r") == [3]
    assert statistics(world, name, "Sum") == []
    found = data(
        world, stat("a", name, ReplicatorName="r"), stat("b", name), stat("c", name, ReplicatorName="r", Topic="orders")
    )
    assert {key: list(values.values()) for key, values in found.items()} == {"a": [7], "b": [], "c": [3]}


@pytest.mark.parametrize(
    "statistic, expected", [("Sum", 6), ("Average", 2), ("Minimum", 1), ("Maximum", 3), ("SampleCount", 3)]
)
def test_a_period_has_the_statistic(world: World, name: str, statistic: str, expected: float) -> None:
    put(world, name, (3, 1), (3, 2), (3, 3), (2, 9))
    assert statistics(world, name, statistic)[0] == expected
    assert data(world, stat("a", name, statistic))["a"][minute(3)] == expected


def test_regions_have_metrics_of_their_own(world: World, name: str) -> None:
    put(world, name, (2, 1), region=SECONDARY)
    assert statistics(world, name, "Sum") == []
    assert statistics(world, name, "Sum", region=SECONDARY) == [1]


def test_metrics_are_listed_once_each(world: World, name: str) -> None:
    put(world, name, (3, 1), (2, 1), ReplicatorName="r")
    put(world, name, (3, 1), ReplicatorName="r", Topic="orders")
    cloudwatch = world.client("cloudwatch", PRIMARY)
    found = cloudwatch.list_metrics(Namespace="Test", MetricName=name)["Metrics"]
    assert sorted(len(metric["Dimensions"]) for metric in found) == [1, 2]
    only = cloudwatch.list_metrics(Namespace="Test", MetricName=name, Dimensions=dimensions(Topic="orders"))["Metrics"]
    assert [len(metric["Dimensions"]) for metric in only] == [2]


def test_values_come_in_the_asked_order_and_hidden_queries_do_not_come(world: World, name: str) -> None:
    put(world, name, (3, 1), (2, 2))
    hidden = stat("a", name) | {"ReturnData": False}
    expression = {"Id": "e", "Expression": "a * 10"}
    ascending = data(world, hidden, expression, ScanBy="TimestampAscending")
    assert list(ascending) == ["e"] and list(ascending["e"].values()) == [10, 20]
    assert list(data(world, stat("a", name))["a"].values()) == [2, 1], "CloudWatch's own order is newest first"


def test_math_that_is_not_served_is_told(world: World, name: str) -> None:
    cloudwatch = world.client("cloudwatch", PRIMARY)
    queries = [stat("a", name), {"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(a, 2)"}]
    window = {"StartTime": minute(10), "EndTime": minute(0)}
    code, message = refusal(cloudwatch.get_metric_data, MetricDataQueries=queries, **window)
    assert code == "ValidationError" and "ANOMALY_DETECTION_BAND" in message


def test_old_values_are_dropped(world: World, name: str) -> None:
    # Old values go once something twice as old as what is kept is there and a new value comes.
    put(world, name, (int(2 * KEPT.total_seconds() / 60) + 2, 1), (1, 1))
    with world.api._services.lock:
        series = world.api._services.cloudwatch(PRIMARY)._series
        kept = [len(each) for metric, by_unit in series.items() if metric.name == name for each in by_unit.values()]
    assert kept == [1]


def test_a_value_has_a_unit_and_may_be_a_whole_set(world: World, name: str) -> None:
    cloudwatch = world.client("cloudwatch", PRIMARY)
    values = (
        {"Value": 2, "Unit": "Count"},
        {"Value": 300, "Unit": "Bytes"},
        {"StatisticValues": {"Sum": 8, "Minimum": 1, "Maximum": 7, "SampleCount": 2}, "Unit": "Count"},
    )
    data = [{"MetricName": name, "Timestamp": minute(2), **value} for value in values]
    cloudwatch.put_metric_data(Namespace="Test", MetricData=data)

    def found(**more: str) -> tuple[float, float]:
        window = {"StartTime": minute(10), "EndTime": minute(0), "Period": 60, "Statistics": ["Sum", "Maximum"]}
        (point,) = cloudwatch.get_metric_statistics(Namespace="Test", MetricName=name, **window, **more)["Datapoints"]
        return point["Sum"], point["Maximum"]

    assert found(Unit="Count") == (10, 7)
    assert found(Unit="Bytes") == (300, 300)
    assert found() == (310, 300)
    assert len(cloudwatch.list_metrics(Namespace="Test", MetricName=name)["Metrics"]) == 1


def alarm(name: str, **changes: Any) -> dict[str, Any]:
    settings = {
        "AlarmName": name,
        "Namespace": "Test",
        "MetricName": name,
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    return {key: value for key, value in (settings | changes).items() if value is not None}


def evaluated(world: World, settings: dict[str, Any]) -> str:
    """The alarm's state as it is at `NOW`, whatever the API itself makes of it meanwhile."""
    world.client("cloudwatch", PRIMARY).put_metric_alarm(**settings)
    with world.api._services.lock:
        cloudwatch = world.api._services.cloudwatch(PRIMARY)
        cloudwatch.evaluate_alarms(NOW)
        return cloudwatch.alarms[settings["AlarmName"]].state_value


ALL, SOME, GOOD, NOTHING = ((3, 11), (2, 12), (1, 13)), ((3, 11), (1, 13)), ((3, 11), (2, 1), (1, 13)), ()

STATES: dict[str, tuple[tuple[tuple[int, float], ...], dict[str, Any], str]] = {
    "three of three": (ALL, {}, "ALARM"),
    "two of three": (GOOD, {}, "OK"),
    "two of three, two are enough": (GOOD, {"DatapointsToAlarm": 2}, "ALARM"),
    "nothing": (NOTHING, {}, "INSUFFICIENT_DATA"),
    "nothing, and that is bad": (NOTHING, {"TreatMissingData": "breaching"}, "ALARM"),
    "nothing, and that is good": (NOTHING, {"TreatMissingData": "notBreaching"}, "OK"),
    "nothing, and that says nothing": (NOTHING, {"TreatMissingData": "ignore"}, "INSUFFICIENT_DATA"),
    "one missing, and that is bad": (SOME, {"TreatMissingData": "breaching"}, "ALARM"),
    "one missing, and that is good": (SOME, {"TreatMissingData": "notBreaching"}, "OK"),
    "the other way round": (ALL, {"ComparisonOperator": "LessThanThreshold"}, "OK"),
    "as low as the threshold": (
        ALL,
        {"ComparisonOperator": "LessThanOrEqualToThreshold", "Threshold": 13},
        "ALARM",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_an_alarm_sees(world: World, name: str, case: str) -> None:
    values, changes, state = STATES[case]
    if values:
        put(world, name, *values)
    assert evaluated(world, alarm(name, **changes)) == state


def test_an_alarm_computes(world: World, name: str) -> None:
    put(world, name, (4, 1), (3, 2), (2, 3), (1, 4), ReplicatorName="r")
    queries = [
        stat("lag", name, ReplicatorName="r") | {"ReturnData": False},
        {"Id": "result", "Expression": "IF(DIFF(lag) > 0, 1, 0)", "ReturnData": True},
    ]
    single = {"Namespace": None, "MetricName": None, "Statistic": None, "Period": None}
    settings = alarm(name, **single, Metrics=queries, Threshold=0, EvaluationPeriods=2)
    assert evaluated(world, settings) == "ALARM"
    put(world, name, (2, 8), ReplicatorName="r")  # a sum: 11 two minutes ago, so that it fell since
    assert evaluated(world, settings) == "OK"


def test_an_alarm_on_a_band_stays_undecided(world: World, name: str) -> None:
    put(world, name, *ALL)
    queries = [stat("used", name), {"Id": "result", "Expression": "ANOMALY_DETECTION_BAND(used, 3)"}]
    changes = {"Namespace": None, "MetricName": None, "Statistic": None, "Period": None, "Threshold": None}
    band = {"ComparisonOperator": "GreaterThanUpperThreshold", "ThresholdMetricId": "result", "Metrics": queries}
    assert evaluated(world, alarm(name, **changes, **band)) == "INSUFFICIENT_DATA"


def test_alarms_are_looked_at_without_being_asked(world: World, name: str) -> None:
    put(world, name, *((ago, 11) for ago in range(-10, 10)))
    cloudwatch = world.client("cloudwatch", PRIMARY)
    cloudwatch.put_metric_alarm(**alarm(name))

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    world.wait_for(lambda: state() == "ALARM")
    cloudwatch.put_metric_alarm(**alarm(name, AlarmDescription="changed"))
    assert state() == "ALARM", "a changed alarm keeps its state"
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
