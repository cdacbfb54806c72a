"""Topics declared as code.

What no unit test can prove: that the service creates them, and that a backlog is copied.
"""

import json
from typing import Any, Final

from components.topics import Topics
from tests.recording import EVERYTHING, STACKS, Resource, record, run_program, settings_of

DECLARED: Final[list[dict[str, Any]]] = EVERYTHING["topics"]


def topics(**config: Any) -> list[Resource]:
    settings = settings_of("primary", topics=DECLARED, **config).topics
    return record(lambda: Topics("t", settings, cluster_arn="arn")).of("msk.Topic")


def test_topics_have_exactly_the_declared_names() -> None:
    """Without a name of its own a topic gets a random suffix, and replication under the same name ends."""
    assert [topic.inputs["name"] for topic in topics()] == ["orders", "payments.v1_eu-1"]


def test_topics_have_three_replicas_and_the_declared_partitions() -> None:
    assert [(topic.inputs["partitionCount"], topic.inputs["replicationFactor"]) for topic in topics()] == [
        (6, 3),
        (1, 3),
    ]


def test_topics_take_records_of_any_age_so_that_a_backlog_can_be_copied() -> None:
    unlimited = {"message.timestamp.before.max.ms": "9223372036854775807"}
    assert [json.loads(topic.inputs["configs"]) for topic in topics()] == [
        {"cleanup.policy": "delete", "retention.ms": "86400000", **unlimited},
        unlimited,
    ]


def test_the_settings_are_written_in_one_order() -> None:
    """Else a declaration in another order would be an update."""
    reordered = [{**DECLARED[0], "configs": dict(reversed(DECLARED[0]["configs"].items()))}, DECLARED[1]]
    settings = settings_of("primary", topics=reordered).topics
    run = record(lambda: Topics("t", settings, cluster_arn="arn"))
    assert [t.inputs["configs"] for t in run.of("msk.Topic")] == [t.inputs["configs"] for t in topics()]


def test_topics_are_protected_as_the_cluster_is() -> None:
    assert [topic.protect for topic in topics()] == [True, True]
    assert [topic.protect for topic in topics(protect=False)] == [False, False]


def test_both_clusters_get_the_same_topics() -> None:
    made = {}
    for stack in STACKS:
        run = run_program(stack, "bidirectional", **EVERYTHING)
        made[stack] = [{**topic.inputs, "clusterArn": ""} for topic in run.of("msk.Topic")]
        assert {topic.inputs["clusterArn"] for topic in run.of("msk.Topic")} == {run.exports["clusterArn"]}
        assert {topic.parent_kind for topic in run.of("msk.Topic")} == {"Topics"}
    assert made["primary"] == made["secondary"]
    assert len(made["primary"]) == 2
