"""Alarms on the Replicator: which of them fire in which situation, computed from their recorded inputs.

What no unit test can prove: that the service sends these metrics in a given outage as its documentation says.
"""

from typing import Final

import pytest

from components.replicator_alarms import ReplicatorAlarms
from tests.cloudwatch import Series, fires, metrics_of
from tests.recording import Resource, Run, record, run_program, settings_of

HEALTHY: Final[dict[str, Series]] = {
    "ReplicationLatency": [900.0] * 30,
    "MessageLag": [3.0, 0.0] * 15,
    "ReplicatorFailure": [0.0] * 30,
    "ReplicationFailures": [0.0] * 30,
    "ConsumerGroupOffsetSyncFailure": [0.0] * 30,
    "TopicCount": [40.0] * 30,
    "KafkaClusterPingSuccessCount": [1.0] * 30,
    "AuthError": [0.0] * 30,
    "ThrottleTime": [0.0] * 30,
}

SIDES: Final = ("source", "target")


def alarms(run: Run) -> dict[str, Resource]:
    """The Replicator's alarms by what follows the Replicator's name."""
    return {r.inputs["name"].split("-to-")[1].split("-", 1)[1]: r for r in run.children_of("ReplicatorAlarms")}


def firing(data: dict[str, Series], run: Run | None = None) -> set[str]:
    watching = alarms(run or run_program("secondary"))
    return {name for name, alarm in watching.items() if fires(alarm.inputs, data)}


@pytest.mark.parametrize(
    ("situation", "data", "expected"),
    [
        ("healthy", {}, set()),
        ("nothing is produced", {"ReplicationLatency": [0.0] * 30, "MessageLag": [0.0] * 30}, set()),
        ("slower than the objective for five minutes", {"ReplicationLatency": [60_001.0] * 5}, {"latency"}),
        ("slower than the objective for four minutes", {"ReplicationLatency": [900.0, *[60_001.0] * 4]}, set()),
        ("exactly the objective", {"ReplicationLatency": [60_000.0] * 30}, set()),
        ("a backlog that grows", {"MessageLag": [10.0 * n for n in range(30)]}, {"lag-growing"}),
        ("a backlog that is worked off", {"MessageLag": [1e9 - n for n in range(30)]}, set()),
        ("a backlog that stays", {"MessageLag": [500.0] * 30}, set()),
        ("the role may not read a topic", {"ReplicationLatency": [0.0] * 30, "MessageLag": [500.0] * 30}, {"stalled"}),
        (
            "all that is read comes from the other Replicator and is filtered",
            {"ReplicationLatency": [0.0] * 30, "MessageLag": [900.0, 800.0, 850.0] * 10},
            set(),
        ),
        (
            "an old backlog is read and filtered",
            {"ReplicationLatency": [], "MessageLag": [1e9 - 1e6 * n for n in range(30)]},
            set(),
        ),
        (
            "nothing is read and more is produced",
            {"ReplicationLatency": [], "MessageLag": [10.0 * n for n in range(30)]},
            {"stalled", "lag-growing"},
        ),
        ("records wait and no latency is sent", {"ReplicationLatency": [], "MessageLag": [500.0] * 30}, {"stalled"}),
        ("a single error", {"ReplicatorFailure": [0.0, 1.0]}, {"replicator-failure"}),
        ("a single record not copied", {"ReplicationFailures": [0.0, 1.0]}, {"replication-failures"}),
        ("offsets once not copied", {"ConsumerGroupOffsetSyncFailure": [0.0] * 4 + [1.0]}, set()),
        (
            "offsets not copied",
            {"ConsumerGroupOffsetSyncFailure": [1.0] * 5},
            {"consumer-group-offset-sync-failure"},
        ),
        ("close to the most topics", {"TopicCount": [676.0] * 15}, {"topics"}),
        ("far from the most topics", {"TopicCount": [675.0] * 15}, set()),
        ("a cluster that does not answer", {"KafkaClusterPingSuccessCount": [0.0] * 5}, {"source-ping", "target-ping"}),
        ("a role that is refused", {"AuthError": [1.0] * 5}, {"source-auth", "target-auth"}),
        ("throttled by quotas", {"ThrottleTime": [1.0] * 15}, {"source-throttled", "target-throttled"}),
        ("throttled for a moment", {"ThrottleTime": [0.0] * 14 + [9.0]}, set()),
        ("dead", dict.fromkeys(HEALTHY, ()), {"source-ping", "target-ping"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_these_alarms_fire_when(situation: str, data: dict[str, Series], expected: set[str]) -> None:
    """Alarms of one name for source and target see the same metric here; their dimensions tell them apart."""
    assert firing({**HEALTHY, **data}) == expected


def test_the_objective_is_the_configured_one() -> None:
    data = {**HEALTHY, "ReplicationLatency": [30_001.0] * 30}
    assert firing(data) == set()
    settings = settings_of("secondary", rpoSeconds=30).monitoring
    stricter = record(lambda: ReplicatorAlarms("a", settings, source_alias="s", target_alias="t", actions=[]))
    assert firing(data, stricter) == {"latency"}


@pytest.mark.parametrize(("target", "direction"), [("primary", "bidirectional"), ("secondary", "primary-to-secondary")])
def test_alarms_watch_the_hosted_replicator_and_its_two_clusters(target: str, direction: str) -> None:
    run = run_program(target, direction)
    source = "secondary" if target == "primary" else "primary"
    aliases = {"source": f"alias-of-msk-dr-{source}", "target": f"alias-of-msk-dr-{target}"}
    for name, alarm in alarms(run).items():
        expected = {"ReplicatorName": f"msk-dr-{source}-to-{target}"}
        for side in SIDES:
            if name.startswith(side):
                expected["ClusterAlias"] = aliases[side]
        assert [metric["dimensions"] for metric in metrics_of(alarm.inputs).values()] == [expected] * len(
            metrics_of(alarm.inputs)
        )


def test_alarms_that_need_an_alias_wait_for_the_replicator() -> None:
    """The service assigns the aliases; an alarm on an empty one would watch nothing."""
    run = run_program("secondary")
    made = run.one("msk.Replicator")
    waiting = {name for name, alarm in alarms(run).items() if run.waits_for(alarm, made)}
    assert waiting == {f"{side}-{what}" for side in SIDES for what in ("ping", "auth", "throttled")}
