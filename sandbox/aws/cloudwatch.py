"""CloudWatch: alarms and dashboards. Both calls that create also overwrite, silently, what has the same name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pulumi_aws import cloudwatch

from sandbox.aws.base import RecordHandler, arn, json_failures, kind_of, one_of
from sandbox.aws.sns import TOPIC
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.regions import ACCOUNT
from sandbox.rules import AutoName, Rules
from sandbox.wire import UNKNOWN, Props

ALARM = kind_of(cloudwatch.MetricAlarm)
DASHBOARD = kind_of(cloudwatch.Dashboard)

_COMPARISONS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
)
_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_ACTIONS = ("alarmActions", "okActions", "insufficientDataActions")


class MetricAlarm(RecordHandler):
    resource = cloudwatch.MetricAlarm
    label = "CloudWatch Metric Alarm"
    creates, reads = "cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms"
    updates, deletes = "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"
    rules = Rules(
        autoname=AutoName("name", 255),
        defaults={"actionsEnabled": True, "treatMissingData": "missing"},
        replace=frozenset({"name"}),
        computed=frozenset({"evaluateLowSampleCountPercentiles"}),
        sets=frozenset({*_ACTIONS, "metricQueries"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        name = inputs["name"]
        if name != UNKNOWN and not 1 <= len(name) <= 255:
            yield Failure("name", "expected length of alarm_name to be in the range (1 - 255)")
        description = inputs.get("alarmDescription", "")
        if description != UNKNOWN and len(description) > 1024:
            yield Failure("alarmDescription", "expected length of alarm_description to be in the range (0 - 1024)")
        yield from one_of(inputs, "comparisonOperator", _COMPARISONS)
        yield from one_of(inputs, "statistic", _STATISTICS)
        yield from one_of(inputs, "treatMissingData", ("breaching", "notBreaching", "ignore", "missing"))
        for one, other in (
            ("statistic", "extendedStatistic"),
            ("metricName", "metricQueries"),
            ("period", "metricQueries"),
        ):
            if one in inputs and other in inputs:
                yield Failure(one, f'"{one}": conflicts with {other}')
        if "evaluationCriteria" not in inputs:
            for needed in ("comparisonOperator", "evaluationPeriods"):
                if needed not in inputs:
                    yield Failure(needed, f"{needed} is missing; it is required without evaluationCriteria")
        for index, query in enumerate(inputs.get("metricQueries", [])):
            yield from _query_failures(query, f"metricQueries[{index}]")

    def admit(self, aws: Aws, inputs: Props) -> None:
        """PutMetricAlarm's rules."""
        if "metricName" in inputs:
            self._admit_metric(inputs)
        elif "metricQueries" in inputs:
            self._admit_queries(inputs)
        elif "evaluationCriteria" not in inputs:
            raise _invalid("Either MetricName or Metrics must be set")
        if "threshold" not in inputs and "thresholdMetricId" not in inputs and "evaluationCriteria" not in inputs:
            raise _invalid("A threshold must be given")
        if inputs.get("datapointsToAlarm", 0) > inputs.get("evaluationPeriods", 1):
            raise _invalid("EvaluationPeriods must be greater than or equal to DatapointsToAlarm")
        if len(inputs.get("dimensions", {})) > 30:
            raise _invalid("The collection Dimensions must not have a size greater than 30.")
        for name in _ACTIONS:
            if len(inputs.get(name, [])) > 5:
                raise _invalid(f"The collection {name} must not have a size greater than 5.")
            for action in inputs.get(name, []):
                _admit_action(aws, action)

    def _admit_metric(self, inputs: Props) -> None:
        for needed in ("namespace", "period"):
            if needed not in inputs:
                raise _invalid(f"{needed} is required with metric_name")
        if "statistic" not in inputs and "extendedStatistic" not in inputs:
            raise _invalid("Statistic or ExtendedStatistic is required with metric_name")
        _admit_period(inputs["period"])
        # With periods under an hour an alarm looks back a day at most.
        if inputs["period"] * inputs["evaluationPeriods"] > 86400 and inputs["period"] < 3600:
            raise _invalid(
                "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
            )

    def _admit_queries(self, inputs: Props) -> None:
        queries: list[dict[str, Any]] = inputs["metricQueries"]
        ids = [query["id"] for query in queries]
        if len(ids) > 20:
            raise _invalid("The collection MetricDataQueries must not have a size greater than 20.")
        if len({*ids}) != len(ids):
            raise _invalid("The values for parameter id in MetricDataQueries must be unique")
        returned = [query["id"] for query in queries if query.get("returnData")]
        band = inputs.get("thresholdMetricId")
        # An anomaly alarm compares two series, the metric and its band; any other compares one with a number.
        if len([id_ for id_ in returned if id_ != band]) != 1 or (band is not None and band not in returned):
            raise _invalid(
                "Exactly one element of the metrics list should return data, and the threshold metric beside it"
            )
        for query in queries:
            for used in re.findall(r"\b[a-z][a-zA-Z0-9_]*\b(?!\s*\()", _without_texts(query.get("expression", ""))):
                if used not in ids:
                    message = f"Error in expression '{query['id']}': Unknown identifier '{used}'"
                    raise _invalid(message)
            if "metric" in query:
                _admit_period(query["metric"]["period"])

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self.admit(aws, inputs)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return str(inputs["name"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": arn("cloudwatch", aws.region, f"alarm:{id_}"),
            "evaluateLowSampleCountPercentiles": inputs.get("evaluateLowSampleCountPercentiles", ""),
        }


def _query_failures(query: Props, path: str) -> Iterator[Failure]:
    if ("expression" in query) == ("metric" in query):
        yield Failure(path, f"{path} must have either expression or metric")
    if query["id"] != UNKNOWN and not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", query["id"]):
        yield Failure(
            f"{path}.id", f"{path}.id is {query['id']}; it must be a letter in lower case, then letters or digits"
        )


def _without_texts(expression: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", expression)


def _admit_period(period: int) -> None:
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise _invalid(f"Period must be 10, 20, 30 or a multiple of 60: {period}")


def _admit_action(aws: Aws, action: str) -> None:
    parts = action.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        raise _invalid(f"Invalid arn syntax: {action}")
    if parts[2] != "sns":
        return
    if parts[3] != aws.region:
        raise _invalid(f"Invalid region {parts[3]} specified. Only {aws.region} is supported.")
    # CloudWatch itself does not look; the sandbox does, because an alarm that tells nobody is a mistake.
    if parts[4] == ACCOUNT and aws.get(TOPIC, action) is None:
        raise _invalid(f"the SNS topic {action} does not exist (checked by the sandbox, not by CloudWatch)")


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)


_WIDGETS = ("alarm", "custom", "explorer", "log", "metric", "text")


class Dashboard(RecordHandler):
    resource = cloudwatch.Dashboard
    label = "CloudWatch Dashboard"
    creates, reads = "cloudwatch:PutDashboard", "cloudwatch:GetDashboard"
    updates, deletes = "cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"
    rules = Rules(replace=frozenset({"dashboardName"}), documents=frozenset({"dashboardBody"}))

    def title(self, inputs: Props) -> str:
        return f"{self.label} ({inputs['dashboardName']})"

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from json_failures(inputs, "dashboardBody")
        name = inputs["dashboardName"]
        if name != UNKNOWN and not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
            yield Failure("dashboardName", f"dashboardName is {name}; it must have 1 to 255 of A-Z, a-z, 0-9, - and _")

    def admit(self, aws: Aws, inputs: Props) -> None:
        problems = list(_body_problems(json.loads(inputs["dashboardBody"])))
        if problems:
            message = (
                f"The dashboard body is invalid, there are {len(problems)} validation errors: {json.dumps(problems)}"
            )
            raise AwsError("InvalidParameterInput", message)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self.admit(aws, inputs)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return str(inputs["dashboardName"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {"dashboardArn": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{id_}"}


def _body_problems(body: Any) -> Iterator[dict[str, str]]:
    """What PutDashboard would say about a body: its structure, not what its metrics mean."""
    widgets = body.get("widgets") if isinstance(body, dict) else None
    if not isinstance(widgets, list):
        yield {"dataPath": "", "message": "Should have required property 'widgets'"}
        return
    for index, widget in enumerate(widgets):
        where = f"/widgets/{index}"
        if widget.get("type") not in _WIDGETS:
            yield {"dataPath": f"{where}/type", "message": f"Should be one of {', '.join(_WIDGETS)}"}
        properties = widget.get("properties", {})
        if widget.get("type") == "metric":
            if "region" not in properties and "metrics" in properties:
                yield {"dataPath": f"{where}/properties", "message": "Should have required property 'region'"}
            if not {"metrics", "annotations"} & properties.keys():
                yield {"dataPath": f"{where}/properties", "message": "Should have metrics or annotations"}
        if widget.get("type") == "text" and "markdown" not in properties:
            yield {"dataPath": f"{where}/properties", "message": "Should have required property 'markdown'"}
        if widget.get("type") == "alarm" and "alarms" not in properties:
            yield {"dataPath": f"{where}/properties", "message": "Should have required property 'alarms'"}
        if not 0 <= widget.get("x", 0) <= 23 or not 1 <= widget.get("width", 6) <= 24:
            yield {"dataPath": f"{where}/width", "message": "Should be within 24 columns"}


HANDLERS = (MetricAlarm(), Dashboard())
