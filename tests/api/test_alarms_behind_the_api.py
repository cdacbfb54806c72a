"""The provider's alarms and dashboards when they live behind the API: the same rules, and the API shows them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi_aws import cloudwatch

from sandbox.api.account import REGIONS
from sandbox.api.server import Api
from sandbox.aws import HANDLERS, cloudwatch_api
from sandbox.aws.api_client import ServiceClient
from sandbox.cloud import Cloud
from sandbox.wire import Props
from tests.api.world import PRIMARY, client, refusal
from tests.sandbox.kit import Client, Refused

# Each of them runs here again, on an `east` behind the API.
from tests.sandbox.test_services import (  # noqa: F401
    QUERY,
    alarm,
    body,
    test_a_dashboard_that_passes_has_an_arn_and_is_overwritten_by_its_namesake,
    test_an_alarm_tells_a_topic_of_its_own_region,
    test_an_alarm_that_passes_has_an_arn,
    test_an_anomaly_alarm_returns_the_metric_and_its_band,
    test_the_provider_refuses_an_alarm,
    test_the_provider_refuses_the_queries_of_an_alarm,
    test_the_service_refuses_a_dashboard,
    test_the_service_refuses_an_alarm,
    test_the_service_refuses_the_queries_of_an_alarm,
    without_none,
)

FULL: Props = alarm(
    alarmDescription="The backlog grows.",
    datapointsToAlarm=3,
    dimensions={"ReplicatorName": "r", "Topic": "orders"},
    treatMissingData="breaching",
    unit="Count",
    actionsEnabled=False,
    insufficientDataActions=["arn:aws:lambda:us-east-1:1:function:x"],
    tags={"team": "orders"},
)
TEXT: Props = {"type": "text", "properties": {"markdown": "# Orders"}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture
def east(cloud: Cloud, api: Api) -> Client:
    served = cloudwatch_api.handlers(ServiceClient("cloudwatch", api.endpoint, REGIONS))
    made = Client(cloud, PRIMARY)
    made.provider._handlers = {**HANDLERS, **{handler.kind: handler for handler in served}}
    return made


@pytest.fixture
def aws(api: Api) -> Any:
    return client(api, "cloudwatch", PRIMARY)


@pytest.fixture(autouse=True)
def nothing_left(aws: Any) -> Iterator[None]:
    yield
    aws.delete_alarms(AlarmNames=[found["AlarmName"] for found in aws.describe_alarms()["MetricAlarms"]])


def described(aws: Any, name: str = "lag") -> dict[str, Any]:
    (found,) = aws.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found)


@pytest.mark.parametrize(
    "inputs",
    [
        FULL,
        without_none(alarm(statistic=None, extendedStatistic="p99", evaluateLowSampleCountPercentiles="ignore")),
        without_none(alarm(**QUERY)),
        without_none(
            alarm(
                **{
                    **QUERY,
                    "metricQueries": [
                        {
                            "id": "lag",
                            "label": "behind",
                            "returnData": True,
                            "metric": {
                                "metricName": "MessageLag",
                                "namespace": "AWS/Kafka",
                                "period": 60,
                                "stat": "Sum",
                                "unit": "Count",
                                "dimensions": {"ReplicatorName": "r"},
                            },
                        },
                        {"id": "band", "expression": "ANOMALY_DETECTION_BAND(lag, 3)", "returnData": True},
                    ],
                },
                threshold=None,
                thresholdMetricId="band",
                comparisonOperator="GreaterThanUpperThreshold",
            )
        ),
    ],
    ids=["all there is", "percentile", "math", "band"],
)
def test_an_alarm_is_read_as_it_was_written(east: Client, inputs: Props) -> None:
    made = east.make(cloudwatch.MetricAlarm, "a", inputs)
    found = east.read(made)
    assert found is not None and found.outputs == made.outputs
    assert not east.diff(found, inputs).diffs
    assert {name: made[name] for name in inputs if name != "metricQueries"} == {
        name: value for name, value in inputs.items() if name != "metricQueries"
    }
    assert made["region"] == PRIMARY


def test_the_calls_are_those_of_the_provider(east: Client, cloud: Cloud) -> None:
    cloud.forget_calls()
    made = east.make(cloudwatch.MetricAlarm, "a", {**FULL, "name": "calls"})
    east.change(made, {**FULL, "name": "calls", "threshold": 5, "tags": {"owner": "me"}})
    east.delete(made)
    dashboard = east.make(cloudwatch.Dashboard, "d", body(TEXT))
    east.change(dashboard, body(TEXT, TEXT))
    east.delete(dashboard)
    read = ["DescribeAlarms", "ListTagsForResource"]
    assert [call.operation.removeprefix("cloudwatch:") for call in cloud.calls(PRIMARY)] == [
        *("PutMetricAlarm", *read),
        *("UntagResource", "TagResource", "PutMetricAlarm", *read),
        "DeleteAlarms",
        *("PutDashboard", "GetDashboard"),
        *("PutDashboard", "GetDashboard"),
        "DeleteDashboards",
    ]


def test_the_api_shows_what_the_provider_made_and_the_provider_sees_what_was_changed(east: Client, aws: Any) -> None:
    made = east.make(cloudwatch.MetricAlarm, "a", FULL)
    shown = described(aws)
    assert (shown["Threshold"], shown["DatapointsToAlarm"], shown["ActionsEnabled"]) == (1000, 3, False)
    assert shown["StateValue"] == "INSUFFICIENT_DATA"

    aws.enable_alarm_actions(AlarmNames=["lag"])
    aws.tag_resource(ResourceARN=made["arn"], Tags=[{"Key": "by", "Value": "hand"}])
    found = east.read(made)
    assert found is not None
    assert found["actionsEnabled"] is True
    assert found["tags"] == {"team": "orders", "by": "hand"}
    assert set(east.diff(found, FULL).diffs) == {"actionsEnabled", "tags", "tagsAll"}
    repaired = east.change(found, FULL)
    assert described(aws)["ActionsEnabled"] is False
    assert repaired["tags"] == {"team": "orders"}

    aws.delete_alarms(AlarmNames=["lag"])
    assert east.read(made) is None
    east.delete(made)
    assert east.make(cloudwatch.MetricAlarm, "a", without_none({**FULL, "tags": None}))["tagsAll"] == {}


def test_a_dashboard_is_the_apis(east: Client, aws: Any) -> None:
    made = east.make(cloudwatch.Dashboard, "d", body(TEXT))
    assert json.loads(aws.get_dashboard(DashboardName="d")["DashboardBody"]) == {"widgets": [TEXT]}
    aws.put_dashboard(DashboardName="d", DashboardBody=json.dumps({"widgets": []}))
    found = east.read(made)
    assert found is not None and east.diff(found, body(TEXT)).diffs == ["dashboardBody"]
    aws.delete_dashboards(DashboardNames=["d"])
    assert east.read(made) is None
    east.delete(made)


@pytest.mark.parametrize(
    "other",
    [
        {"evaluationInterval": 10},
        {
            **QUERY,
            "metricQueries": [{**QUERY["metricQueries"][0], "accountId": "1"}, QUERY["metricQueries"][1]],
        },
    ],
    ids=["interval", "another account's metric"],
)
def test_what_would_be_forgotten_is_refused(east: Client, other: Props) -> None:
    with pytest.raises(Refused, match="the sandbox evaluates no such alarm"):
        east.make(cloudwatch.MetricAlarm, "a", without_none(alarm(**other)))


def test_tags_are_taken_of_a_new_alarm_only_and_go_with_it(aws: Any) -> None:
    def put(owner: str) -> None:
        aws.put_metric_alarm(
            AlarmName="tagged",
            Namespace="Test",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Tags=[{"Key": "owner", "Value": owner}],
        )

    def owners() -> list[str]:
        found = aws.list_tags_for_resource(ResourceARN=described(aws, "tagged")["AlarmArn"])["Tags"]
        return [tag["Value"] for tag in found]

    put("first")
    put("second")
    assert owners() == ["first"]
    aws.delete_alarms(AlarmNames=["tagged"])
    put("third")
    assert owners() == ["third"]
    assert refusal(aws.get_dashboard, DashboardName="none")[0] == "ResourceNotFound"
