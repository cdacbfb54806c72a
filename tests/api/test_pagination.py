"""List calls come in pages that miss nothing and repeat nothing."""

from typing import Any

import pytest

from tests.api.world import PRIMARY, SECONDARY, World, execution_policy, refusal


@pytest.fixture(scope="module")
def busy(world: World) -> str:
    """A cluster with nodes, topics and operations, beside others; two Replicators read from it."""
    arn = world.source(PRIMARY, NumberOfBrokerNodes=6)
    for level in ("PER_BROKER", "PER_TOPIC_PER_BROKER", "DEFAULT"):
        kafka = world.kafka(PRIMARY)
        kafka.update_monitoring(ClusterArn=arn, CurrentVersion=world.version(arn), EnhancedMonitoring=level)
        world.wait_active(arn)
    for topic in ("a", "b", "c", "d", "e"):
        kafka.create_topic(ClusterArn=arn, TopicName=topic, PartitionCount=5, ReplicationFactor=3)
    role = world.role(execution_policy())
    for _ in range(3):
        target = world.cluster(SECONDARY)
        request = world.replicator_request(arn, target, role)
        world.settled(world.kafka(SECONDARY).create_replicator(**request)["ReplicatorArn"])
        world.cluster(PRIMARY)
    return arn


CALLS = {
    "list_clusters": ("ClusterInfoList", "ClusterArn", {}),
    "list_clusters_v2": ("ClusterInfoList", "ClusterArn", {}),
    "list_cluster_operations": ("ClusterOperationInfoList", "OperationArn", {"ClusterArn": "busy"}),
    "list_cluster_operations_v2": ("ClusterOperationInfoList", "OperationArn", {"ClusterArn": "busy"}),
    "list_nodes": ("NodeInfoList", "NodeARN", {"ClusterArn": "busy"}),
    "list_replicators": ("Replicators", "ReplicatorArn", {}),
    "list_kafka_versions": ("KafkaVersions", "Version", {}),
    "list_topics": ("Topics", "TopicName", {"ClusterArn": "busy"}),
    "describe_topic_partitions": ("Partitions", "Partition", {"ClusterArn": "busy", "TopicName": "a"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_pages_add_up_to_the_whole(world: World, busy: str, call: str) -> None:
    key, identity, params = CALLS[call]
    method = getattr(world.kafka(PRIMARY), call)
    arguments = {name: busy if value == "busy" else value for name, value in params.items()}
    whole = [item[identity] for item in method(**arguments)[key]]
    assert len(whole) >= 3 and len(set(whole)) == len(whole)
    pages: list[list[Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = method(**arguments, MaxResults=2, **token)
        pages.append([item[identity] for item in answer[key]])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert [item for page in pages for item in page] == whole
    assert all(len(page) == 2 for page in pages[:-1]) and 1 <= len(pages[-1]) <= 2
    assert refusal(method, **arguments, NextToken="é")[0] == "BadRequestException"
    assert refusal(method, **arguments, MaxResults=101)[0] == "BadRequestException"


def test_what_goes_meanwhile_moves_nothing_else(world: World, busy: str) -> None:
    kafka = world.kafka(PRIMARY)
    first = kafka.list_topics(ClusterArn=busy, MaxResults=2)
    kafka.delete_topic(ClusterArn=busy, TopicName="a")
    rest = kafka.list_topics(ClusterArn=busy, MaxResults=10, NextToken=first["NextToken"])
    assert [topic["TopicName"] for topic in rest["Topics"]] == ["c", "d", "e"]
