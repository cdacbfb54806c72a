"""What is watched in every Region: alarms on the cluster, one dashboard, and who is told."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pulumi
from pulumi_aws import cloudwatch
from pulumi_aws.sns.topic import Topic
from pulumi_aws.sns.topic_subscription import TopicSubscription

from components.alarms import MINUTE, NAMESPACE, Alarm, Metric, metric_alarm
from components.limits import DASHBOARD_ALARMS, EXPRESS_INSTANCES, REPLICATOR_TOPICS
from config import MonitoringSettings, as_inputs

MB: Final = 1_000_000
HEADROOM: Final = 0.8
"""Share of a broker's quota at which it is time to grow (AWS's own recommendation for throughput, 2026-09)."""

CPU_PERCENT: Final = 60
"""User and system together; above it a broker has no room for another one to fail (developer guide, 2026-09)."""


class Monitoring(pulumi.ComponentResource):
    """Alarms on the cluster, and a dashboard that also shows the Replicator this Region hosts while it is a target.

    Nothing here depends on the direction, so that switching it touches nothing here.
    """

    actions: list[pulumi.Output[str]]
    """The SNS topic that alarms notify; empty when nobody is to be told."""
    dashboard_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: MonitoringSettings,
        *,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`after` is what is watched: alarms that come before it would tell for an hour that it is missing."""
        super().__init__("msk-dr:index:Monitoring", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)

        self.actions = self._actions(name, settings)
        alarms = [
            metric_alarm(
                f"{name}-{alarm.name}",
                alarm,
                name=f"{settings.cluster_name}-{alarm.name}",
                actions=self.actions,
                tags=settings.tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
            for alarm in cluster_alarms(settings)
        ]
        dashboard = cloudwatch.Dashboard(
            name,
            dashboard_name=settings.cluster_name,
            dashboard_body=pulumi.Output.json_dumps(dashboard_body(settings, [alarm.arn for alarm in alarms])),
            opts=child,
        )
        self.dashboard_name = dashboard.dashboard_name
        self.register_outputs({"dashboardName": self.dashboard_name, "actions": self.actions})

    def _actions(self, name: str, settings: MonitoringSettings) -> list[pulumi.Output[str]]:
        child = pulumi.ResourceOptions(parent=self)
        if settings.alarm_topic_arn:
            return [pulumi.Output.from_input(settings.alarm_topic_arn)]
        if not settings.alarm_email:
            return []
        topic = Topic(name, name=f"{settings.cluster_name}-alarms", tags=settings.tags, opts=child)
        TopicSubscription(name, topic=topic.arn, protocol="email", endpoint=settings.alarm_email, opts=child)
        return [topic.arn]


def cluster_alarms(settings: MonitoringSettings) -> Iterator[Alarm]:
    """Alarms on the cluster and on each broker, after AWS's list for Express brokers (developer guide, 2026-09)."""
    quota = EXPRESS_INSTANCES[settings.instance_type]
    cluster = {"Cluster Name": settings.cluster_name}
    yield Alarm(
        name="controller",
        why="No broker is the active controller: no leader can be elected. See the broker logs and AWS Health.",
        metrics=[Metric(id="controllers", name="ActiveControllerCount", statistic="Maximum", dimensions=cluster)],
        comparison="LessThanThreshold",
        threshold=1,
        minutes=5,
        missing="breaching",
    )
    yield Alarm(
        name="storage",
        why="Storage grows unlike before. Look for a topic without retention, or for a backlog being copied.",
        metrics=[Metric(id="used", name="StorageUsed", statistic="Average", dimensions=cluster)],
        expression="ANOMALY_DETECTION_BAND(used, 3)",
        comparison="GreaterThanUpperThreshold",
        threshold=None,
        minutes=30,
    )
    for broker in range(1, settings.broker_count + 1):
        dimensions = {**cluster, "Broker ID": str(broker)}
        yield Alarm(
            name=f"broker-{broker}-cpu",
            why=f"CPU above {CPU_PERCENT} % leaves no room for a broker to fail. Take larger or more brokers.",
            metrics=[
                Metric(id="user", name="CpuUser", statistic="Average", dimensions=dimensions),
                Metric(id="sys", name="CpuSystem", statistic="Average", dimensions=dimensions),
            ],
            expression="user + sys",
            threshold=CPU_PERCENT,
            minutes=15,
        )
        for flow, metric, limit in (("in", "BytesInPerSec", quota.ingress), ("out", "BytesOutPerSec", quota.egress)):
            yield Alarm(
                name=f"broker-{broker}-bytes-{flow}",
                why=(
                    f"Above {HEADROOM:.0%} of the {limit} MB/s that one {settings.instance_type} sustains; "
                    "soon it is throttled. Take larger or more brokers."
                ),
                metrics=[Metric(id="bytes", name=metric, statistic="Average", dimensions=dimensions)],
                threshold=limit * MB * HEADROOM,
                minutes=15,
            )
        yield Alarm(
            name=f"broker-{broker}-partitions",
            why=(
                f"Above {HEADROOM:.0%} of the {quota.max_partitions} partitions that one {settings.instance_type} "
                "holds. Take more brokers, or fewer partitions."
            ),
            metrics=[Metric(id="partitions", name="PartitionCount", statistic="Maximum", dimensions=dimensions)],
            threshold=quota.max_partitions * HEADROOM,
            minutes=15,
        )
        if settings.enhanced_monitoring != "DEFAULT":
            yield Alarm(
                name=f"broker-{broker}-throttled",
                why="The broker slows clients or the Replicator down. Find who is over quota, or take larger ones.",
                metrics=[
                    Metric(id="produce", name="ProduceThrottleTime", statistic="Average", dimensions=dimensions),
                    Metric(id="fetch", name="FetchThrottleTime", statistic="Average", dimensions=dimensions),
                ],
                expression="MAX([FILL(produce, 0), FILL(fetch, 0)])",
                threshold=0,
                minutes=15,
            )


def dashboard_body(settings: MonitoringSettings, alarm_arns: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    """The dashboard, in the order of an incident: what is wrong, replication, consumers, brokers."""
    quota = EXPRESS_INSTANCES[settings.instance_type]
    replicator = ["ReplicatorName", settings.replicator_name]
    brokers = [str(broker) for broker in range(1, settings.broker_count + 1)]

    def by_broker(metric: str) -> list[list[Any]]:
        return [
            [
                NAMESPACE,
                metric,
                "Cluster Name",
                settings.cluster_name,
                "Broker ID",
                broker,
                {"label": f"broker {broker}"},
            ]
            for broker in brokers
        ]

    def of_replicator(*metrics: tuple[str, str]) -> list[list[Any]]:
        return [[NAMESPACE, metric, *replicator, {"stat": statistic}] for metric, statistic in metrics]

    def search(schema: str, match: str, statistic: str) -> list[list[Any]]:
        expression = f"SEARCH('{{{NAMESPACE},{schema}}} {match}', '{statistic}', {MINUTE})"
        return [[{"expression": expression, "label": ""}]]

    def by_alias(metric: str, statistic: str) -> list[list[Any]]:
        """A metric for each of the Replicator's clusters, whose aliases only the service knows."""
        match = f'ReplicatorName="{settings.replicator_name}" MetricName="{metric}"'
        return search("ReplicatorName,ClusterAlias", match, statistic)

    lines = {
        "rpo": [{"label": f"RPO {settings.rpo_seconds} s", "value": settings.rpo_seconds * 1000, "color": "#d62728"}],
        "topics": [{"label": f"at most {REPLICATOR_TOPICS} topics", "value": REPLICATOR_TOPICS}],
        "in": [{"label": f"{HEADROOM:.0%} of the quota", "value": quota.ingress * MB * HEADROOM}],
        "out": [{"label": f"{HEADROOM:.0%} of the quota", "value": quota.egress * MB * HEADROOM}],
    }
    text = (
        f"# {settings.cluster_name} ({settings.region})\n"
        f"The Replicator here is **{settings.replicator_name}**; its graphs are empty while this Region is no target. "
        "**Fail over** when the other Region is gone: stop its clients, start them here; what was not copied yet is "
        "bounded by the replication latency. **Fail back** only when MessageLag is 0 and then MaxOffsetLag is 0."
    )
    lag = f'"Cluster Name"="{settings.cluster_name}" MetricName="MaxOffsetLag"'
    alarms = [
        {
            "type": "alarm",
            "properties": {
                "title": "Alarms on the cluster",
                "alarms": list(alarm_arns[first : first + DASHBOARD_ALARMS]),
                "sortBy": "stateUpdatedTimestamp",  # those in ALARM come first
            },
        }
        for first in range(0, len(alarm_arns), DASHBOARD_ALARMS)
    ]
    rows: list[list[dict[str, Any]]] = [
        [{"type": "text", "properties": {"markdown": text}}, alarms[0]],
        *([alarms[1:]] if alarms[1:] else []),
        [
            _graph(
                settings, "Replication latency (ms)", of_replicator(("ReplicationLatency", "Maximum")), lines["rpo"]
            ),
            _graph(settings, "Messages not copied yet", of_replicator(("MessageLag", "Sum"))),
            _graph(
                settings,
                "Read and written by the Replicator (B/s)",
                of_replicator(("ReplicatorBytesInPerSec", "Sum"), ("ReplicatorThroughput", "Sum")),
            ),
        ],
        [
            _graph(settings, "Clusters that answer the Replicator", by_alias("KafkaClusterPingSuccessCount", "Sum")),
            _graph(
                settings,
                "Failures of the Replicator",
                of_replicator(
                    ("ReplicatorFailure", "Sum"),
                    ("ReplicationFailures", "Sum"),
                    ("ConsumerGroupOffsetSyncFailure", "Sum"),
                ),
            ),
            _graph(
                settings,
                "Messages that consumers are behind",
                search('"Cluster Name","Consumer Group",Topic', lag, "Maximum"),
            ),
        ],
        [
            _graph(settings, "Refusals of the Replicator's role", by_alias("AuthError", "Sum")),
            _graph(settings, "Throttling of the Replicator (ms)", by_alias("ThrottleTime", "Maximum")),
            _graph(
                settings,
                "Topics and consumer groups that are copied",
                of_replicator(("TopicCount", "Maximum"), ("ConsumerGroupCount", "Maximum")),
                lines["topics"],
            ),
        ],
        [
            _graph(settings, "Bytes in (B/s)", by_broker("BytesInPerSec"), lines["in"]),
            _graph(settings, "Bytes out (B/s)", by_broker("BytesOutPerSec"), lines["out"]),
            _graph(settings, "CPU, user (%)", by_broker("CpuUser")),
        ],
        [
            _graph(settings, "Produce throttling (ms)", by_broker("ProduceThrottleTime")),
            _graph(settings, "Partitions, replicas counted", by_broker("PartitionCount")),
            _graph(
                settings, "Storage used (bytes)", [[NAMESPACE, "StorageUsed", "Cluster Name", settings.cluster_name]]
            ),
        ],
    ]
    return {"widgets": [widget for y, row in enumerate(rows) for widget in _place(row, 6 * y)]}


def _graph(
    settings: MonitoringSettings, title: str, metrics: list[list[Any]], lines: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "title": title,
        "region": settings.region,
        "view": "timeSeries",
        "stat": "Average",
        "period": MINUTE,
        "metrics": metrics,
    }
    if lines:
        properties["annotations"] = {"horizontal": lines}
    return {"type": "metric", "properties": properties}


def _place(row: list[dict[str, Any]], y: int) -> list[dict[str, Any]]:
    """A row of widgets side by side; a dashboard is 24 columns wide."""
    width = 24 // len(row)
    return [{"x": width * x, "y": y, "width": width, "height": 6, **widget} for x, widget in enumerate(row)]
