"""Alarms on the Replicator that a Region hosts."""

from collections.abc import Iterator, Sequence

import pulumi

from components.alarms import Alarm, Metric, metric_alarm
from components.limits import REPLICATOR_TOPICS
from config import MonitoringSettings, as_inputs


class ReplicatorAlarms(pulumi.ComponentResource):
    """Alarms that come and go with the Replicator. Its metrics are in the target's Region, where it lives."""

    def __init__(
        self,
        name: str,
        settings: MonitoringSettings,
        *,
        source_alias: pulumi.Input[str],
        target_alias: pulumi.Input[str],
        actions: Sequence[pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("msk-dr:index:ReplicatorAlarms", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)
        for alarm in replicator_alarms(settings, source_alias, target_alias):
            metric_alarm(
                f"{name}-{alarm.name}",
                alarm,
                name=f"{settings.replicator_name}-{alarm.name}",
                actions=actions,
                tags=settings.tags,
                opts=child,
            )
        self.register_outputs({})


def replicator_alarms(
    settings: MonitoringSettings, source_alias: pulumi.Input[str], target_alias: pulumi.Input[str]
) -> Iterator[Alarm]:
    """What tells that a Replicator does not do its work (developer guide, msk-replicator-troubleshooting, 2026-09)."""
    replicator: dict[str, pulumi.Input[str]] = {"ReplicatorName": settings.replicator_name}

    def metric(name: str, statistic: str, **more: pulumi.Input[str]) -> Metric:
        return Metric(id="value", name=name, statistic=statistic, dimensions={**replicator, **more})

    lag = Metric(id="lag", name="MessageLag", statistic="Sum", dimensions=replicator)
    latency = Metric(id="latency", name="ReplicationLatency", statistic="Maximum", dimensions=replicator)
    yield Alarm(
        name="latency",
        why=(
            f"Records take longer than the recovery point objective of {settings.rpo_seconds} s to be copied: a "
            "failover now would lose more. See the source Region's health, then throttling and the brokers' load."
        ),
        metrics=[latency],
        threshold=settings.rpo_seconds * 1000,
        minutes=5,
    )
    yield Alarm(
        name="lag-growing",
        why="The backlog has grown every minute for 15 minutes: the Replicator does not keep up. See throttling.",
        metrics=[lag],
        expression="IF(DIFF(lag) > 0, 1, 0)",
        threshold=0,
        minutes=15,
    )
    yield Alarm(
        name="stalled",
        why=(
            "Records wait at the source and none is copied or passed over: usually the role may not read or write a "
            "topic. See the Replicator's log group."
        ),
        metrics=[lag, latency],
        # In a pair that copies both ways a Replicator may have nothing to copy for weeks: it reads what the other one
        # wrote and filters it. Bytes read and a backlog that comes and goes are no signs of a standstill there.
        expression="IF(lag > 0 AND DIFF(lag) >= 0 AND FILL(latency, 0) == 0, 1, 0)",
        threshold=0,
        minutes=10,
    )
    for name, minutes, why in (
        # A single one of these is a record that the target may lack, and need not come again.
        (
            "ReplicatorFailure",
            1,
            "The Replicator meets errors, for example records too old or too large for the target.",
        ),
        ("ReplicationFailures", 1, "Records could not be copied."),
        # The next synchronization makes up for one that failed.
        ("ConsumerGroupOffsetSyncFailure", 5, "Consumer offsets are not copied: consumers would read again or skip."),
    ):
        yield Alarm(
            name=_kebab(name),
            why=f"{why} See the Replicator's log group.",
            metrics=[metric(name, "Sum")],
            threshold=0,
            minutes=minutes,
        )
    yield Alarm(
        name="topics",
        why=(
            f"The Replicator is about to reach the {REPLICATOR_TOPICS} topics that one copies; those beyond, in sorted "
            "order, would be missing after a failover. Exclude topics, or delete some."
        ),
        metrics=[metric("TopicCount", "Maximum")],
        threshold=0.9 * REPLICATOR_TOPICS,
        minutes=15,
    )
    for side, alias in (("source", source_alias), ("target", target_alias)):
        yield Alarm(
            name=f"{side}-ping",
            why=(
                f"The {side} cluster does not answer the Replicator, or the Replicator does not run. See the health of "
                "that cluster's Region, then the Replicator's state."
            ),
            metrics=[metric("KafkaClusterPingSuccessCount", "Sum", ClusterAlias=alias)],
            comparison="LessThanThreshold",
            threshold=1,
            minutes=5,
            # A dead Replicator or source sends nothing at all.
            missing="breaching",
        )
        yield Alarm(
            name=f"{side}-auth",
            why=f"The {side} cluster refuses the Replicator's role. See its policy and the role's permissions.",
            metrics=[metric("AuthError", "Sum", ClusterAlias=alias)],
            threshold=0,
            minutes=5,
        )
        yield Alarm(
            name=f"{side}-throttled",
            why=f"Quotas of the {side} cluster slow the Replicator down. Raise them, or take larger brokers.",
            metrics=[metric("ThrottleTime", "Maximum", ClusterAlias=alias)],
            threshold=0,
            minutes=15,
        )


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
