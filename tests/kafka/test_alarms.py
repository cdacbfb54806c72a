"""The stacks' own alarms, made by `pulumi up`, on what is measured of the real processes.

Alarms look at minutes, so the API gets a clock of the test's own: it stands still while everything is measured, once at
least, and then goes on by a minute. Only the time is made up, no value is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.world import client
from tests.engine.deployment import FOR_TESTS, REGIONS, Deployment, deployed
from tests.kafka.clients import consume, everything, produce
from tests.kafka.conftest import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.engine]

EAST, OHIO = REGIONS["primary"], REGIONS["secondary"]
FORWARD = "msk-dr-primary-to-secondary"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


@dataclass
class Clock:
    moment: datetime

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Both stacks on Kafka with one topic, and somebody to tell about the secondary's alarms."""
    with deployed(tmp_path_factory.mktemp("alarms"), kafka=True) as deployment:
        for stack in REGIONS:
            deployment.pulumi.init(stack)
            deployment.configure(stack, **FOR_TESTS, client=False, topics=[{"name": "orders", "partitions": 1}])
        deployment.configure("secondary", alarmEmail="oncall@example.com")
        for stack in REGIONS:
            deployment.up(stack)
        yield deployment


def cloudwatch(deployment: Deployment, region: str) -> Any:
    """CloudWatch as somebody with the SDK reaches it, past Pulumi."""
    return client(deployment.sandbox.api, "cloudwatch", region)


def alarms(deployment: Deployment, region: str, prefix: str = "") -> dict[str, dict[str, Any]]:
    found = cloudwatch(deployment, region).describe_alarms(AlarmNamePrefix=prefix or "msk-dr")["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}


def test_the_api_shows_the_alarms_and_the_dashboard_of_a_stack(pair: Deployment) -> None:
    for stack, region in REGIONS.items():
        held = {each["id"]: each["outputs"] for each in pair.pulumi.export(stack) if each["type"] == ALARM}
        shown = alarms(pair, region)
        assert shown.keys() == held.keys() and len(shown) > 15
        for name, alarm in shown.items():
            assert alarm["EvaluationPeriods"] == held[name]["evaluationPeriods"]
            assert alarm["AlarmActions"] == alarm["OKActions"] == held[name].get("alarmActions", [])
        name = pair.pulumi.outputs(stack)["dashboardName"]
        body = cloudwatch(pair, region).get_dashboard(DashboardName=name)["DashboardBody"]
        assert f"{name}-controller" in body
        pair.settled(stack)
        pair.pulumi.refresh(stack, "--expect-no-changes").check()
    (topic,) = pair.sandbox.resources(OHIO, "aws:sns/topic:Topic")
    assert {action for alarm in alarms(pair, OHIO).values() for action in alarm["AlarmActions"]} == {topic}


def test_refresh_sees_an_alarm_that_was_changed_by_hand_and_up_takes_it_back(pair: Deployment) -> None:
    client = cloudwatch(pair, OHIO)
    before = alarms(pair, OHIO, f"{FORWARD}-")["latency"]
    settable = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    client.put_metric_alarm(**{key: value for key, value in before.items() if key in settable} | {"Threshold": 1.0})
    client.delete_alarms(AlarmNames=[f"{FORWARD}-topics"])

    pair.pulumi.refresh("secondary").check()
    held = {each["id"]: each["outputs"] for each in pair.pulumi.export("secondary") if each["type"] == ALARM}
    assert held[f"{FORWARD}-latency"]["threshold"] == 1
    assert f"{FORWARD}-topics" not in held

    repaired = pair.up("secondary")
    assert repaired.changed("update") == [f"{FORWARD}-latency"]
    assert repaired.changed("create") == [f"{FORWARD}-topics"]
    after = alarms(pair, OHIO, f"{FORWARD}-")
    assert after["latency"]["Threshold"] == before["Threshold"] == 60_000
    assert "topics" in after


def newest(deployment: Deployment, region: str, name: str, dimensions: dict[str, str], since: datetime) -> float | None:
    """The last value of a metric that was measured in a second after `since` had come, as a lag gate asks for it."""
    where = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": "AWS/Kafka", "MetricName": name, "Dimensions": where}
    (found,) = cloudwatch(deployment, region).get_metric_data(
        MetricDataQueries=[{"Id": "value", "MetricStat": {"Metric": metric, "Period": 1, "Stat": "Maximum"}}],
        StartTime=since,
        EndTime=datetime.now(UTC) + timedelta(seconds=1),
        ScanBy="TimestampDescending",
    )["MetricDataResults"]
    values = [value for moment, value in zip(found["Timestamps"], found["Values"], strict=True) if moment >= since]
    return values[0] if values else None


def test_the_lags_that_gates_wait_for_come_within_seconds(pair: Deployment) -> None:
    brokers = pair.pulumi.outputs("primary")["bootstrapBrokers"]
    group = {"Cluster Name": "msk-dr-primary", "Consumer Group": "shop", "Topic": "orders"}
    replicator = {"ReplicatorName": FORWARD, "Topic": "orders"}
    produce(brokers, "orders", ["one", "two"])
    assert consume(brokers, "orders", "shop", 2) == ["one", "two"]
    read = datetime.now(UTC)
    eventually(lambda: newest(pair, EAST, "MaxOffsetLag", group, read) == 0, "the group has read everything", 5)
    eventually(lambda: newest(pair, OHIO, "MessageLag", replicator, read) == 0, "everything is copied")

    pair.sandbox.fail(OHIO)
    produce(brokers, "orders", ["three", "four", "five"])
    written = datetime.now(UTC)
    pair.sandbox.heal(OHIO)
    eventually(lambda: newest(pair, EAST, "MaxOffsetLag", group, written) == 3, "the group is behind", 5)
    eventually(lambda: newest(pair, OHIO, "MessageLag", replicator, written) == 0, "the rest is copied")


def test_the_alarm_on_the_source_goes_off_when_its_region_is_lost_and_ends_when_it_is_back(
    pair: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = pair.sandbox
    clock = Clock(datetime.now(UTC).replace(second=30, microsecond=0) + timedelta(minutes=1))
    monkeypatch.setattr(sandbox.api, "now", clock)

    def pass_minutes(count: int) -> dict[str, str]:
        """What the forward Replicator's alarms say after so many minutes more."""
        for _ in range(count):
            sandbox.api.measure()
            clock.moment += timedelta(minutes=1)
        sandbox.api.measure()
        return {name: alarm["StateValue"] for name, alarm in alarms(pair, OHIO, f"{FORWARD}-").items()}

    brokers = {stack: pair.pulumi.outputs(stack)["bootstrapBrokers"] for stack in REGIONS}
    produce(brokers["primary"], "orders", ["six"])
    eventually(lambda: "six" in everything(brokers["secondary"], "orders"), "a message copied")
    assert {*pass_minutes(2).values()} == {"OK"}

    sandbox.fail(EAST)
    # The minute in which it was lost still has the value from before.
    assert pass_minutes(5)["source-ping"] == "OK"
    lost = pass_minutes(1)
    assert {name for name, state in lost.items() if state != "OK"} == {"source-ping"}
    found = alarms(pair, OHIO, f"{FORWARD}-")["source-ping"]
    assert found["StateValue"] == "ALARM" and found["TreatMissingData"] == "breaching"

    sandbox.heal(EAST)
    assert {*pass_minutes(1).values()} == {"OK"}
