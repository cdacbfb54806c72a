"""How an alarm is described, and how a description becomes a CloudWatch alarm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import cloudwatch

NAMESPACE: Final = "AWS/Kafka"
MINUTE: Final = 60
"""Period of all metrics, in seconds; MSK publishes them every minute (developer guide, monitoring, 2026-09)."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of `AWS/Kafka` under the id by which an alarm's expression speaks of it."""

    id: str
    name: str
    statistic: str
    dimensions: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A condition that is wrong when it holds for `minutes` in a row.

    `expression` is CloudWatch metric math over the metrics' ids; without one there is a single metric, compared itself.
    `why` says what it means and what to do, to a person who is woken by it.
    """

    name: str
    why: str
    metrics: Sequence[Metric]
    expression: str | None = None
    comparison: str = "GreaterThanThreshold"
    threshold: float | None
    """None with an anomaly detection band, whose upper edge the metric is compared with."""
    minutes: int
    missing: str = "notBreaching"


def metric_alarm(
    logical_name: str,
    alarm: Alarm,
    *,
    name: str,
    actions: Sequence[pulumi.Input[str]],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> cloudwatch.MetricAlarm:
    """The alarm under a fixed name, so that a page names what the dashboard shows; it tells of the end as well."""
    queries = [
        cloudwatch.MetricAlarmMetricQueryArgs(
            id=metric.id,
            # The metric of a band is compared with it; below an expression only the expression is.
            return_data=alarm.expression is None or alarm.threshold is None,
            metric=cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace=NAMESPACE,
                metric_name=metric.name,
                stat=metric.statistic,
                period=MINUTE,
                dimensions=metric.dimensions,
            ),
        )
        for metric in alarm.metrics
    ]
    if alarm.expression:
        queries.append(
            cloudwatch.MetricAlarmMetricQueryArgs(
                id="result", expression=alarm.expression, label=alarm.name, return_data=True
            )
        )
    return cloudwatch.MetricAlarm(
        logical_name,
        name=name,
        alarm_description=alarm.why,
        metric_queries=queries,
        comparison_operator=alarm.comparison,
        threshold=alarm.threshold,
        threshold_metric_id="result" if alarm.threshold is None else None,
        evaluation_periods=alarm.minutes,
        treat_missing_data=alarm.missing,
        alarm_actions=list(actions),
        ok_actions=list(actions),
        tags=tags,
        opts=opts,
    )
