"""What a change of the configuration costs: an update in place, or a replacement, and of what."""

import shutil

import pytest

from sandbox.regions import ZONES
from tests.engine.deployment import CLUSTER, REPLICATOR, ROOT, Deployment, changes

pytestmark = pytest.mark.engine

FORWARD = "msk-dr-primary-to-secondary"
TOPIC = "aws:msk/topic:Topic"


def test_lists_of_topics_change_in_place(pair: Deployment) -> None:
    (before,) = pair.sandbox.resources("us-east-2", REPLICATOR)
    pair.configure("secondary", topicsToReplicate=["orders-.*"], topicsToExclude=["orders-tmp-.*"])
    result = pair.up("secondary")
    assert changes(result) == {
        ("update", "msk-dr:index:Replicator", FORWARD),
        ("update", REPLICATOR, FORWARD),
        ("update", "aws:iam/rolePolicy:RolePolicy", FORWARD),
    }
    ((after, replicator),) = pair.sandbox.resources("us-east-2", REPLICATOR).items()
    assert after == before
    (topics,) = replicator["replicationInfoList"]["topicReplications"]
    assert topics["topicsToReplicates"] == ["orders-.*"]
    assert topics["topicsToExcludes"] == ["orders-tmp-.*"]
    pair.settled("secondary")


def assert_replaced_delete_first(deployment: Deployment, because: str) -> None:
    """An update of the secondary replaces its Replicator, and nothing else changes."""
    (before,) = deployment.sandbox.resources("us-east-2", REPLICATOR)
    result = deployment.up("secondary")
    steps = [step for step in result.changes if step.type == REPLICATOR]
    assert [step.op for step in steps] == ["delete-replaced", "replace", "create-replacement"], because
    assert any(because in path for path in steps[1].replaces), (because, steps[1].replaces)
    assert {step.type for step in result.changes} <= {REPLICATOR, "msk-dr:index:Replicator"}
    (after,) = deployment.sandbox.resources("us-east-2", REPLICATOR)
    assert after != before


def test_what_is_fixed_at_creation_replaces_the_replicator_delete_first(pair: Deployment) -> None:
    for key, value, property_ in (
        ("startingPosition", "LATEST", "startingPosition"),
        ("offsetSyncMode", "LEGACY", "consumerGroupOffsetSyncMode"),
        ("compression", "ZSTD", "targetCompressionType"),
    ):
        pair.configure("secondary", **{key: value})
        assert_replaced_delete_first(pair, property_)


def test_a_new_description_replaces_the_replicator_though_the_provider_would_update_it(pair: Deployment) -> None:
    """The service cannot change it, and the provider would report a success all the same."""
    rewrite(pair, "replicator.py", "Copies topics from", "Mirrors topics from")
    assert_replaced_delete_first(pair, "description")
    (replicator,) = pair.sandbox.resources("us-east-2", REPLICATOR).values()
    assert replicator["description"].startswith("Mirrors")


def test_a_newer_image_does_not_replace_the_client(pair: Deployment) -> None:
    pair.sandbox.release_images("us-east-1")
    pair.settled("primary")


def test_another_kafka_version_replaces_the_client_and_updates_the_cluster_in_place(pair: Deployment) -> None:
    pair.configure("primary", kafkaVersion="4.2.x.kraft")
    result = pair.up("primary")
    assert [step.op for step in result.changes if step.type == CLUSTER] == ["update"]
    instance = "aws:ec2/instance:Instance"
    assert {step.type for step in result.changes if "replace" in step.op} == {instance}
    assert {step.type for step in result.changes if step.type.startswith("aws:")} == {CLUSTER, instance}
    pair.settled("primary")


def test_the_key_of_a_cluster_is_deleted_only_after_the_cluster_that_it_encrypts(pair: Deployment) -> None:
    pair.configure("primary", kmsKey="aws-managed")
    pair.up("primary")
    calls = [call.operation for call in pair.changing_calls("us-east-1")]
    assert "kms:ScheduleKeyDeletion" in calls
    assert "kafka:DeleteCluster" in calls[: calls.index("kms:ScheduleKeyDeletion")]
    pair.settled("primary")


def test_one_more_declared_topic_is_one_more_resource(pair: Deployment) -> None:
    topics: list[dict[str, object]] = []
    for name in ("customer", "a-new-first-one"):
        topics.insert(0, {"name": name, "partitions": 3})
        pair.configure("secondary", topics=topics)
        assert changes(pair.up("secondary")) == {
            ("update", "msk-dr:index:Topics", "msk-dr-secondary"),
            ("create", TOPIC, f"msk-dr-secondary-{name}"),
        }
    names = {topic["name"] for topic in pair.sandbox.resources("us-east-2", TOPIC).values()}
    assert names == {"customer", "a-new-first-one"}
    pair.settled("secondary")


def test_zones_that_come_and_go_move_no_subnet(pair: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = ZONES["us-east-1"]
    chosen = "use1-az1"
    assert chosen in {
        subnet["availabilityZoneId"] for subnet in pair.sandbox.resources("us-east-1", "aws:ec2/subnet:Subnet").values()
    }
    monkeypatch.setitem(ZONES, "us-east-1", tuple(zone for zone in zones if zone.id != chosen))
    pair.settled("primary")

    first = type(zones[0])("us-east-2d", "use2-az0")
    monkeypatch.setitem(ZONES, "us-east-2", (*ZONES["us-east-2"], first))
    pair.settled("secondary")


def rewrite(deployment: Deployment, file: str, old: str, new: str) -> None:
    """Changes the program of this one deployment, as a later version of it might."""
    components = deployment.pulumi.directory / "components"
    components.unlink()
    shutil.copytree(ROOT / "components", components, ignore=shutil.ignore_patterns("__pycache__"))
    source = (components / file).read_text()
    assert source.count(old) == 1
    (components / file).write_text(source.replace(old, new))
