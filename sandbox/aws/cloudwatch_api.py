"""Alarms and dashboards that live behind the API, where they are evaluated on what the real processes measure.

Schema, defaults, differences, and what the service refuses are those of the types in `cloudwatch`; what differs is
where the resources are. The order of the calls is the real provider's [P]. The SNS topics that alarms name are still
the sandbox's own records: nothing is sent from here, so that a topic is only looked for.
"""

from collections.abc import Mapping
from typing import Any, Final

from sandbox.aws import cloudwatch
from sandbox.aws.api_client import Answer, ServiceClient
from sandbox.aws.base import Handler, admit_tags, described_tags
from sandbox.cloud import Aws, AwsError
from sandbox.diff import changes, merged
from sandbox.wire import Props

_MEMBERS: Final = {
    "name": "AlarmName",
    "alarmDescription": "AlarmDescription",
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "statistic": "Statistic",
    "extendedStatistic": "ExtendedStatistic",
    "period": "Period",
    "unit": "Unit",
    "evaluationPeriods": "EvaluationPeriods",
    "datapointsToAlarm": "DatapointsToAlarm",
    "threshold": "Threshold",
    "thresholdMetricId": "ThresholdMetricId",
    "comparisonOperator": "ComparisonOperator",
    "treatMissingData": "TreatMissingData",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
}
"""Properties of an alarm that the API takes and gives as they are; dimensions and queries are written differently."""

_NOT_SERVED: Final = ("evaluationCriteria", "evaluationInterval", "evaluationWindow", "warmUpConfiguration")


def handlers(client: ServiceClient) -> tuple[Handler, ...]:
    """MetricAlarm and Dashboard behind the API."""
    return MetricAlarm(client), Dashboard(client)


class MetricAlarm(cloudwatch.MetricAlarm):
    """An alarm that goes off."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def admit(self, aws: Aws, inputs: Props) -> None:
        super().admit(aws, inputs)
        for name in _NOT_SERVED:
            if name in inputs:
                raise _not_served(name)
        for query in inputs.get("metricQueries", []):
            if "accountId" in query:
                raise _not_served("metricQueries[].accountId")

    def create(self, aws: Aws, inputs: Props) -> str:
        self._put(aws, inputs)
        return str(inputs["name"])

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        answer = self._client.call(aws, "DescribeAlarms", AlarmNames=[id_], AlarmTypes=["MetricAlarm"])
        if not answer["MetricAlarms"]:
            return None
        (found,) = answer["MetricAlarms"]
        tags = self._client.call(aws, "ListTagsForResource", ResourceARN=found["AlarmArn"])["Tags"]
        return {
            **_settings(found, known),
            **described_tags(known, {tag["Key"]: tag["Value"] for tag in tags}),
            "arn": found["AlarmArn"],
            "region": aws.region,
        }

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """Tags first, then PutMetricAlarm with everything; it takes tags of a new alarm only [P]."""
        found = {change.path.partition(".")[0] for change in changes(self.schema, self.rules, state, inputs)}
        if found & {"tags", "tagsAll"}:
            self._tag(aws, state, inputs)
        if found - {"tags", "tagsAll"}:
            self._put(aws, merged(self.schema, self.rules, state, inputs))

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        self._client.find(aws, "DeleteAlarms", AlarmNames=[id_])

    def _put(self, aws: Aws, inputs: Props) -> None:
        with aws.call(self.creates):
            admit_tags(inputs)
            self.admit(aws, inputs)
            self._client.request(aws, "PutMetricAlarm", **_request(inputs))

    def _tag(self, aws: Aws, state: Props, inputs: Props) -> None:
        before, after = state.get("tagsAll", {}), inputs.get("tagsAll", {})
        if gone := sorted(before.keys() - after.keys()):
            self._client.call(aws, "UntagResource", ResourceARN=state["arn"], TagKeys=gone)
        if new := {key: value for key, value in after.items() if before.get(key) != value}:
            with aws.call("cloudwatch:TagResource"):
                admit_tags(inputs)
                self._client.request(aws, "TagResource", ResourceARN=state["arn"], Tags=_pairs("Key", new))


class Dashboard(cloudwatch.Dashboard):
    """A dashboard in the API's CloudWatch."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def create(self, aws: Aws, inputs: Props) -> str:
        self._put(aws, inputs)
        return str(inputs["dashboardName"])

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        found = self._client.find(aws, "GetDashboard", DashboardName=id_)
        return found and {
            "dashboardArn": found["DashboardArn"],
            "dashboardBody": found["DashboardBody"],
            "dashboardName": found["DashboardName"],
            "region": aws.region,
        }

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._put(aws, inputs)

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        self._client.find(aws, "DeleteDashboards", DashboardNames=[id_])

    def _put(self, aws: Aws, inputs: Props) -> None:
        with aws.call(self.creates):
            self.admit(aws, inputs)
            body = inputs["dashboardBody"]
            self._client.request(aws, "PutDashboard", DashboardName=inputs["dashboardName"], DashboardBody=body)


def _not_served(name: str) -> AwsError:
    return AwsError("ValidationError", f"{name} is given; the sandbox evaluates no such alarm. Leave it out.")


def _request(inputs: Props) -> Answer:
    """The parameters of PutMetricAlarm."""
    plain = {member: inputs[name] for name, member in _MEMBERS.items() if inputs.get(name) not in (None, "", [])}
    if "thresholdMetricId" not in inputs:
        plain["Threshold"] = inputs.get("threshold", 0)
    return {
        **plain,
        **({"Dimensions": _pairs("Name", inputs["dimensions"])} if inputs.get("dimensions") else {}),
        **({"Metrics": [_query(each) for each in inputs["metricQueries"]]} if inputs.get("metricQueries") else {}),
        **({"Tags": _pairs("Key", inputs["tagsAll"])} if inputs.get("tagsAll") else {}),
    }


def _query(query: Props) -> Answer:
    """One of an alarm's metrics. What returns nothing says so: left out, CloudWatch would take it to return [P]."""
    named = {"id": "Id", "expression": "Expression", "label": "Label", "period": "Period"}
    plain = {member: query[name] for name, member in named.items() if name in query}
    if "metric" not in query:
        return {**plain, "ReturnData": bool(query.get("returnData"))}
    metric = query["metric"]
    return {
        **plain,
        "ReturnData": bool(query.get("returnData")),
        "MetricStat": {
            "Metric": {
                "MetricName": metric["metricName"],
                **({"Namespace": metric["namespace"]} if "namespace" in metric else {}),
                **({"Dimensions": _pairs("Name", metric["dimensions"])} if metric.get("dimensions") else {}),
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
            **({"Unit": metric["unit"]} if "unit" in metric else {}),
        },
    }


def _settings(alarm: Answer, known: Props) -> Props:
    """The properties that are inputs, of a described alarm."""
    plain = {name: alarm[member] for name, member in _MEMBERS.items() if member in alarm}
    dimensions = _mapping(alarm.get("Dimensions", []))
    return {
        **{name: value for name, value in plain.items() if value not in ("", []) or name in known},
        **({"dimensions": dimensions} if dimensions or "dimensions" in known else {}),
        **({"metricQueries": [_described(each) for each in alarm["Metrics"]]} if alarm.get("Metrics") else {}),
        "evaluateLowSampleCountPercentiles": alarm.get("EvaluateLowSampleCountPercentile", ""),
    }


def _described(query: Answer) -> Props:
    named = {"Id": "id", "Expression": "expression", "Label": "label", "Period": "period", "ReturnData": "returnData"}
    plain = {name: query[member] for member, name in named.items() if member in query}
    if "MetricStat" not in query:
        return plain
    measured = query["MetricStat"]
    metric, dimensions = measured["Metric"], _mapping(measured["Metric"].get("Dimensions", []))
    return {
        **plain,
        "metric": {
            "metricName": metric["MetricName"],
            **({"namespace": metric["Namespace"]} if "Namespace" in metric else {}),
            **({"dimensions": dimensions} if dimensions else {}),
            "period": measured["Period"],
            "stat": measured["Stat"],
            **({"unit": measured["Unit"]} if "Unit" in measured else {}),
        },
    }


def _pairs(key: str, values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{key: name, "Value": value} for name, value in values.items()]


def _mapping(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in pairs}
