"""Topics through the API, remembered: there is no Kafka behind it here."""

import base64
import json
from typing import Any

import pytest

from tests.api.world import PRIMARY, World, is_gone, refusal


def encoded(**configs: Any) -> str:
    return base64.b64encode(
        json.dumps({key.replace("_", "."): value for key, value in configs.items()}).encode()
    ).decode()


def create(world: World, cluster: str, name: str, **changes: Any) -> dict[str, Any]:
    params = {"ClusterArn": cluster, "TopicName": name, "PartitionCount": 3, "ReplicationFactor": 3} | changes
    answer: dict[str, Any] = world.kafka(PRIMARY).create_topic(**params)
    return answer


def active(world: World, cluster: str, name: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        topic: dict[str, Any] = world.kafka(PRIMARY).describe_topic(ClusterArn=cluster, TopicName=name)
        return topic if topic["Status"] == "ACTIVE" else None

    topic: dict[str, Any] = world.wait_for(found)
    return topic


def test_a_topic_is_made_changed_and_deleted(world: World, cluster: str) -> None:
    kafka = world.kafka(PRIMARY)
    made = create(world, cluster, "orders", Configs=encoded(retention_ms=1000))
    assert made["Status"] == "CREATING"
    assert made["TopicArn"] == f"{cluster.replace(':cluster/', ':topic/')}/orders"
    topic = active(world, cluster, "orders")
    assert (topic["PartitionCount"], topic["ReplicationFactor"]) == (3, 3)
    assert json.loads(base64.b64decode(topic["Configs"])) == {"retention.ms": "1000"}
    update = {"ClusterArn": cluster, "TopicName": "orders"}
    assert kafka.update_topic(**update, PartitionCount=5)["Status"] == "UPDATING"
    active(world, cluster, "orders")
    kafka.update_topic(**update, Configs=encoded(cleanup_policy="compact"))
    topic = active(world, cluster, "orders")
    assert topic["PartitionCount"] == 5
    assert json.loads(base64.b64decode(topic["Configs"])) == {"cleanup.policy": "compact"}
    partitions = kafka.describe_topic_partitions(ClusterArn=cluster, TopicName="orders")["Partitions"]
    assert [part["Partition"] for part in partitions] == [0, 1, 2, 3, 4]
    assert all(len(set(part["Replicas"])) == 3 and part["Leader"] in part["Isr"] for part in partitions)
    assert kafka.delete_topic(**update)["Status"] == "DELETING"
    assert world.wait_for(lambda: is_gone(kafka.describe_topic, **update))


def test_topics_are_listed_by_prefix(world: World, cluster: str) -> None:
    for name in ("list-a", "list-b", "other"):
        create(world, cluster, name)
        active(world, cluster, name)
    found = world.kafka(PRIMARY).list_topics(ClusterArn=cluster, TopicNameFilter="list-")["Topics"]
    assert [topic["TopicName"] for topic in found] == ["list-a", "list-b"]
    assert {topic["OutOfSyncReplicaCount"] for topic in found} == {0}


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a name with a slash": ({"TopicName": "a/b"}, "BadRequestException", "topicName is a/b"),
    "a name that is a dot": ({"TopicName": "."}, "BadRequestException", "topicName is ."),
    "no partition": ({"PartitionCount": 0}, "BadRequestException", "valid min value: 1"),
    "two replicas on Express": ({"ReplicationFactor": 2}, "BadRequestException", "Express brokers have 3"),
    "configs that are no Base64": ({"Configs": "{}"}, "BadRequestException", "encoded as Base64"),
    "configs that are no object": (
        {"Configs": base64.b64encode(b"[1]").decode()},
        "BadRequestException",
        "not a JSON object",
    ),
    "a config that Express has not": (
        {"Configs": encoded(segment_bytes=1)},
        "KafkaRequestException",
        "configs has segment.bytes",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_topic_is_refused_with(world: World, cluster: str, case: str) -> None:
    changes, code, message = BAD[case]
    params = {"ClusterArn": cluster, "TopicName": "bad", "PartitionCount": 1, "ReplicationFactor": 3} | changes
    found = refusal(world.client("kafka", PRIMARY, parameter_validation=False).create_topic, **params)
    assert found[0] == code
    assert message in found[1]


def test_a_topic_exists_once_and_grows_only(world: World, cluster: str) -> None:
    kafka = world.kafka(PRIMARY)
    create(world, cluster, "once")
    active(world, cluster, "once")
    params = {"ClusterArn": cluster, "TopicName": "once"}
    found = refusal(kafka.create_topic, **params, PartitionCount=1, ReplicationFactor=3)
    assert found == ("TopicExistsException", "Topic 'once' already exists.")
    assert "can only grow" in refusal(kafka.update_topic, **params, PartitionCount=2)[1]
    assert "does not include any updates" in refusal(kafka.update_topic, **params)[1]
    missing = {"ClusterArn": cluster, "TopicName": "missing"}
    for call in (kafka.describe_topic, kafka.delete_topic, kafka.describe_topic_partitions):
        assert refusal(call, **missing)[0] == "NotFoundException"


def test_replicas_are_at_most_as_many_as_brokers(world: World) -> None:
    group = world.cluster_request(PRIMARY)["BrokerNodeGroupInfo"] | {"InstanceType": "kafka.m7g.large"}
    cluster = world.cluster(PRIMARY, BrokerNodeGroupInfo=group)
    kafka = world.kafka(PRIMARY)
    params = {"ClusterArn": cluster, "TopicName": "t", "PartitionCount": 1}
    assert "cannot be more than the 3 brokers" in refusal(kafka.create_topic, **params, ReplicationFactor=4)[1]
    kafka.create_topic(**params, ReplicationFactor=2)
    assert active(world, cluster, "t")["ReplicationFactor"] == 2


def test_a_cluster_that_is_not_there_yet_has_no_topics(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    arn = kafka.create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    found = refusal(kafka.create_topic, ClusterArn=arn, TopicName="t", PartitionCount=1, ReplicationFactor=3)
    assert found == ("ConflictException", "The cluster is in CREATING state; it must be ACTIVE.")
    assert refusal(kafka.list_topics, ClusterArn=arn)[0] == "BadRequestException"
    world.wait_active(arn)
