"""Alarms on the cluster, the dashboard, and who is told; and that every alarm is one that CloudWatch takes.

What no unit test can prove: that CloudWatch takes the dashboard, and that a person on call can read it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import botocore.loaders  # type: ignore[import-untyped]
import pytest

from components.alarms import Alarm
from components.monitoring import Monitoring, cluster_alarms, dashboard_body
from tests.cloudwatch import FUNCTIONS, WORDS, Series, expression_of, fires, ids_in, metrics_of
from tests.recording import ACCOUNT, EVERYTHING, Resource, Run, record, run_program, settings_of

SHAPES: Final = botocore.loaders.Loader().load_service_model("cloudwatch", "service-2")["shapes"]

REPLICATOR_METRICS: Final = {
    "ReplicationLatency": "Maximum",
    "MessageLag": "Sum",
    "ReplicatorBytesInPerSec": "Sum",
    "ReplicatorThroughput": "Sum",
    "ReplicationFailures": "Sum",
    "ReplicatorFailure": "Sum",
    "AuthError": "Sum",
    "ThrottleTime": "Maximum",
    "KafkaClusterPingSuccessCount": "Sum",
    "ConsumerGroupCount": "Maximum",
    "ConsumerGroupOffsetSyncFailure": "Sum",
    "TopicCount": "Maximum",
}
"""Metrics of a Replicator and the statistic that says something (developer guide, metrics reference, 2026-09), but for
`OffsetLag`, which is of a partition."""

CLUSTER_METRICS: Final = {
    "ActiveControllerCount",
    "StorageUsed",
    "CpuUser",
    "CpuSystem",
    "BytesInPerSec",
    "BytesOutPerSec",
    "PartitionCount",
    "ProduceThrottleTime",
    "FetchThrottleTime",
}
"""Metrics of Express clusters that alarms use (developer guide, metrics for Express brokers, 2026-09)."""

HEALTHY: Final[dict[str, Series]] = {
    "ActiveControllerCount": [1.0] * 30,
    "CpuUser": [30.0] * 30,
    "CpuSystem": [10.0] * 30,
    "BytesInPerSec": [10e6] * 30,
    "BytesOutPerSec": [20e6] * 30,
    "PartitionCount": [900.0] * 30,
    "ProduceThrottleTime": [0.0] * 30,
    "FetchThrottleTime": [0.0] * 30,
}


def monitoring(**config: Any) -> Run:
    """The component alone."""
    settings = settings_of("primary", **config).monitoring
    return record(lambda: Monitoring("m", settings, after=[]))


def alarms(run: Run) -> dict[str, Resource]:
    """The cluster's alarms by what follows the cluster's name."""
    return {
        alarm.inputs["name"].removeprefix("msk-dr-primary-"): alarm
        for alarm in run.of("cloudwatch.MetricAlarm")
        if alarm.parent_kind == "Monitoring"
    }


each_alarm = pytest.mark.parametrize(
    "alarm", run_program("primary", "bidirectional").of("cloudwatch.MetricAlarm"), ids=lambda alarm: alarm.name
)


def widgets(**config: Any) -> list[dict[str, Any]]:
    """The dashboard's widgets, with names in the place of the alarms' ARNs."""
    settings = settings_of("primary", **config).monitoring
    body = dashboard_body(settings, [alarm.name for alarm in cluster_alarms(settings)])
    assert body.keys() == {"widgets"}
    return list(body["widgets"])


def shown() -> Iterator[str]:
    """Names of the metrics on the dashboard."""
    for widget in widgets():
        for entry in widget["properties"].get("metrics", []):
            yield (
                entry[1]
                if isinstance(entry[0], str)
                else re.findall('MetricName="([A-Za-z]+)"', entry[0]["expression"])[0]
            )


# Alarms


@each_alarm
def test_an_alarm_is_one_that_cloudwatch_takes(alarm: Resource) -> None:
    inputs, metrics, expression = alarm.inputs, metrics_of(alarm.inputs), expression_of(alarm.inputs)
    assert 1 <= len(metrics) <= 10
    for query in inputs["metricQueries"]:
        assert re.fullmatch(r"[a-z][a-zA-Z0-9_]*", query["id"])
        assert len(query.get("expression", "")) <= SHAPES["MetricExpression"]["max"]
    assert len({query["id"] for query in inputs["metricQueries"]}) == len(inputs["metricQueries"])
    if expression:
        assert ids_in(expression) == metrics.keys()
        assert {word for word in WORDS.findall(expression) if word.isupper()} <= FUNCTIONS | {"AND"}
    assert inputs["comparisonOperator"] in SHAPES["ComparisonOperator"]["enum"]
    assert inputs["treatMissingData"] in ("breaching", "notBreaching")
    assert 1 <= inputs["evaluationPeriods"] <= 24 * 60  # a day of minutes
    assert len(inputs["name"]) <= SHAPES["AlarmName"]["max"]
    assert len(inputs["alarmDescription"]) <= SHAPES["AlarmDescription"]["max"]


@each_alarm
def test_an_alarm_compares_one_result_with_one_threshold(alarm: Resource) -> None:
    """CloudWatch wants exactly one query that returns data; with a band there are two, the metric and its band."""
    returning = [query["id"] for query in alarm.inputs["metricQueries"] if query["returnData"]]
    if "thresholdMetricId" in alarm.inputs:
        assert returning == ["used", "result"]
        assert alarm.inputs["thresholdMetricId"] == "result"
        assert alarm.inputs["comparisonOperator"] == "GreaterThanUpperThreshold"
        assert "threshold" not in alarm.inputs
    else:
        assert len(returning) == 1
        assert "threshold" in alarm.inputs


@each_alarm
def test_an_alarm_watches_metrics_that_exist_by_the_minute(alarm: Resource) -> None:
    for metric in metrics_of(alarm.inputs).values():
        assert (metric["namespace"], metric["period"]) == ("AWS/Kafka", 60)
        if "ReplicatorName" in metric["dimensions"]:
            assert metric["stat"] == REPLICATOR_METRICS[metric["metricName"]]
            assert metric["dimensions"].keys() <= {"ReplicatorName", "ClusterAlias"}
        else:
            assert metric["metricName"] in CLUSTER_METRICS
            assert metric["dimensions"].keys() <= {"Cluster Name", "Broker ID"}


@each_alarm
def test_an_alarm_says_what_is_wrong_and_what_to_do(alarm: Resource) -> None:
    what, *then = re.split(r"(?<=\.) ", alarm.inputs["alarmDescription"])
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in (what, *then))
    assert re.match("(See|Take|Look|Raise|Find|Exclude) ", then[-1])


@pytest.mark.parametrize(
    ("situation", "data", "expected"),
    [
        ("healthy", {}, set()),
        ("no controller", {"ActiveControllerCount": [0.0] * 5}, {"controller"}),
        ("no data at all", dict.fromkeys(HEALTHY, ()), {"controller"}),
        ("a controller election", {"ActiveControllerCount": [1.0, 0.0, 0.0]}, set()),
        ("busy", {"CpuUser": [50.0] * 15, "CpuSystem": [10.1] * 15}, {"cpu"}),
        ("as busy as may be", {"CpuUser": [50.0] * 30, "CpuSystem": [10.0] * 30}, set()),
        ("80 % of the ingress quota", {"BytesInPerSec": [12.49e6] * 15}, {"bytes-in"}),
        ("less than 80 % of the ingress quota", {"BytesInPerSec": [12.47e6] * 15}, set()),
        ("80 % of the egress quota", {"BytesOutPerSec": [24.97e6] * 15}, {"bytes-out"}),
        ("less than 80 % of the egress quota", {"BytesOutPerSec": [24.95e6] * 15}, set()),
        ("many partitions", {"PartitionCount": [1201.0] * 15}, {"partitions"}),
        ("producers throttled", {"ProduceThrottleTime": [0.5] * 15}, {"throttled"}),
        (
            "consumers throttled, producers silent",
            {"FetchThrottleTime": [1.0] * 15, "ProduceThrottleTime": []},
            {"throttled"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_these_alarms_fire_when(situation: str, data: dict[str, Series], expected: set[str]) -> None:
    """Every broker sees the same data, so that its alarms fire together."""
    found = {
        name
        for name, a in alarms(run_program("primary")).items()
        if name != "storage" and fires(a.inputs, {**HEALTHY, **data})
    }
    of_brokers = {f"broker-{broker}-{name}" for broker in (1, 2, 3) for name in expected - {"controller"}}
    assert found == of_brokers | expected & {"controller"}


def described(**config: Any) -> dict[str, Alarm]:
    """The program's descriptions of the cluster's alarms."""
    return {alarm.name: alarm for alarm in cluster_alarms(settings_of("primary", **config).monitoring)}


def test_each_broker_has_alarms_of_its_own_and_the_cluster_has_two() -> None:
    found = alarms(run_program("primary"))
    assert len(found) == 2 + 3 * 5
    assert len(described(brokerCount=6)) == 2 + 6 * 5
    for name, alarm in found.items():
        dimensions = [metric["dimensions"] for metric in metrics_of(alarm.inputs).values()]
        broker = re.match(r"broker-(\d+)-", name)
        expected = {"Cluster Name": "msk-dr-primary"} | ({"Broker ID": broker[1]} if broker else {})
        assert dimensions == [expected] * len(dimensions)


def test_quotas_are_those_of_the_instance_type() -> None:
    large, larger = (described(instanceType=f"express.m7g.{size}") for size in ("large", "4xlarge"))
    names = ("broker-1-bytes-in", "broker-1-bytes-out", "broker-1-partitions")
    assert [large[name].threshold for name in names] == [12_480_000, 24_960_000, 1200]
    assert [larger[name].threshold for name in names] == [99_920_000, 199_840_000, 6400]


def test_throttling_is_watched_where_its_metrics_exist() -> None:
    """ProduceThrottleTime and FetchThrottleTime come with PER_BROKER."""
    for level, expected in (("DEFAULT", 0), ("PER_BROKER", 3), ("PER_TOPIC_PER_PARTITION", 3)):
        assert sum("throttled" in name for name in described(enhancedMonitoring=level)) == expected


def test_growing_storage_is_compared_with_its_own_past() -> None:
    storage = alarms(run_program("primary"))["storage"].inputs
    assert expression_of(storage) == "ANOMALY_DETECTION_BAND(used, 3)"


def test_alarms_on_the_cluster_come_after_it() -> None:
    """Before it, the one for which missing data is bad would tell for an hour that there is no controller."""
    run = run_program("primary")
    cluster = run.one("msk.Cluster")
    assert all(run.waits_for(alarm, cluster) for alarm in alarms(run).values())


# Who is told


def actions(run: Run) -> set[tuple[str, ...]]:
    found = {(*a.inputs["alarmActions"], "ok", *a.inputs["okActions"]) for a in run.of("cloudwatch.MetricAlarm")}
    return found


def test_nobody_is_told_unless_asked_for() -> None:
    run = run_program("primary", "bidirectional")
    assert actions(run) == {("ok",)}
    assert run.of("sns.Topic") == run.of("sns.TopicSubscription") == []


def test_an_address_is_told_of_every_alarm_and_of_its_end() -> None:
    run = run_program("primary", "bidirectional", **EVERYTHING)
    topic, subscription = run.one("sns.Topic"), run.one("sns.TopicSubscription")
    assert actions(run) == {(topic.id, "ok", topic.id)}
    assert topic.inputs["name"] == "msk-dr-primary-alarms"
    assert subscription.inputs == {"topic": topic.id, "protocol": "email", "endpoint": "on-call@example.org"}


def test_a_topic_that_exists_is_told_instead() -> None:
    arn = f"arn:aws:sns:us-east-1:{ACCOUNT}:on-call"
    run = monitoring(alarmTopicArn=arn)
    assert actions(run) == {(arn, "ok", arn)}
    assert run.of("sns.Topic") == []


# Dashboard


@pytest.mark.parametrize("brokers", [3, 60])
def test_widgets_fill_the_dashboard_without_overlap(brokers: int) -> None:
    taken: set[tuple[int, int]] = set()
    found = widgets(brokerCount=brokers)
    for widget in found:
        assert widget.keys() == {"type", "x", "y", "width", "height", "properties"}
        assert 0 <= widget["x"] < widget["x"] + widget["width"] <= 24
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        taken |= cells
    height = 1 + max(y for _, y in taken)
    assert len(taken) == 24 * height
    assert len(found) <= 500


@pytest.mark.parametrize("brokers", [3, 60])
def test_every_alarm_on_the_cluster_is_on_the_dashboard_a_hundred_in_a_widget(brokers: int) -> None:
    lists = [w["properties"]["alarms"] for w in widgets(brokerCount=brokers) if w["type"] == "alarm"]
    assert all(1 <= len(listed) <= 100 for listed in lists)
    assert sum(map(len, lists)) == len({name for listed in lists for name in listed}) == 2 + 5 * brokers


def test_the_dashboard_lists_the_alarms_by_their_arns() -> None:
    run = run_program("primary")
    body = json.loads(run.one("cloudwatch.Dashboard").inputs["dashboardBody"])
    (listed,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    names = [alarm.inputs["name"] for alarm in alarms(run).values()]
    assert sorted(listed) == sorted(f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:{name}" for name in names)


def test_graphs_are_of_this_region_by_the_minute_and_hold_no_more_than_cloudwatch_shows() -> None:
    graphs = [widget for widget in widgets(brokerCount=60) if widget["type"] == "metric"]
    assert len(graphs) == 15
    for graph in graphs:
        properties = graph["properties"]
        assert (properties["region"], properties["view"], properties["period"]) == ("us-east-1", "timeSeries", 60)
        assert 1 <= len(properties["metrics"]) <= 500
        assert properties["title"]
        for line in properties.get("annotations", {"horizontal": []})["horizontal"]:
            assert line["label"] and line["value"] > 0


def test_every_metric_of_a_replicator_is_on_the_dashboard() -> None:
    assert REPLICATOR_METRICS.keys() <= set(shown())


def test_every_metric_of_a_replicator_is_shown_with_the_statistic_that_says_something() -> None:
    for widget in widgets():
        for entry in widget["properties"].get("metrics", []):
            if isinstance(entry[0], str) and "ReplicatorName" in entry:
                assert entry[-1]["stat"] == REPLICATOR_METRICS[entry[1]]
            elif not isinstance(entry[0], str) and "ReplicatorName" in entry[0]["expression"]:
                name, statistic = re.findall(r"""MetricName="([A-Za-z]+)"', '([A-Za-z]+)'""", entry[0]["expression"])[0]
                assert statistic == REPLICATOR_METRICS[name]


def test_the_dashboard_shows_the_replicator_that_this_region_hosts_when_it_is_the_target() -> None:
    body = run_program("primary").one("cloudwatch.Dashboard").inputs["dashboardBody"]
    assert "msk-dr-secondary-to-primary" in body
    assert "msk-dr-primary-to-secondary" not in body


def test_the_dashboard_tells_a_person_on_call_what_to_do() -> None:
    (text,) = [widget for widget in widgets() if widget["type"] == "text"]
    for said in ("# msk-dr-primary (us-east-1)", "**Fail over**", "**Fail back**", "MessageLag is 0"):
        assert said in text["properties"]["markdown"]


def test_the_recovery_point_objective_is_a_line_in_the_graph_of_the_latency() -> None:
    (latency,) = [w for w in widgets(rpoSeconds=30) if "latency" in w["properties"].get("title", "")]
    (line,) = latency["properties"]["annotations"]["horizontal"]
    assert (line["label"], line["value"]) == ("RPO 30 s", 30_000)
