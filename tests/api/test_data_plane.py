"""What the API asks of the data plane, and when."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.api.data_plane import ReplicatorSpec
from sandbox.api.server import Api
from tests.api.fake_kafka import FakeKafka, Point
from tests.api.world import ON_DEMAND, PRIMARY, SECONDARY, World, execution_policy, is_gone, refusal


@pytest.fixture(scope="module")
def only_kafka() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
def kafka(only_kafka: FakeKafka) -> Iterator[FakeKafka]:
    """Each test finds it willing, and without memory of what it was asked before."""
    only_kafka.willing()
    yield only_kafka
    only_kafka.willing()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, only_kafka: FakeKafka) -> Iterator[World]:
    only_kafka.willing()
    with Api(tmp_path_factory.mktemp("api"), only_kafka, timing=ON_DEMAND) as api:
        yield World(api)


def pair(world: World) -> dict[str, Any]:
    """A request for a Replicator between two new clusters."""
    return world.replicator_request(world.source(PRIMARY), world.cluster(SECONDARY), world.role(execution_policy()))


def test_a_cluster_is_active_when_its_brokers_answer(world: World, kafka: FakeKafka) -> None:
    kafka.up.clear()
    client = world.kafka(PRIMARY)
    arn = client.create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    world.wait_for(lambda: kafka.calls("start_cluster") == [(arn, PRIMARY)])
    assert world.describe(arn)["State"] == "CREATING"
    kafka.up.set()
    world.wait_active(arn)
    brokers = client.get_bootstrap_brokers(ClusterArn=arn)
    assert brokers["BootstrapBrokerStringSaslIam"] == f"127.0.0.1:{kafka.port}"
    assert client.list_nodes(ClusterArn=arn)["NodeInfoList"][0]["BrokerNodeInfo"]["Endpoints"] == ["127.0.0.1"]
    client.delete_cluster(ClusterArn=arn)
    world.wait_for(lambda: is_gone(client.describe_cluster, ClusterArn=arn))
    assert kafka.calls("delete_cluster") == [arn]


def test_a_cluster_whose_brokers_do_not_come_up_ends_failed(world: World, kafka: FakeKafka) -> None:
    kafka.broken = "the port is taken"
    client = world.kafka(PRIMARY)
    arn = client.create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    world.wait_for(lambda: world.describe(arn)["State"] == "FAILED")
    assert world.describe(arn)["StateInfo"] == {"Code": "INTERNAL_FAILURE", "Message": "the port is taken"}
    assert "in FAILED state" in refusal(client.get_bootstrap_brokers, ClusterArn=arn)[1]
    version = world.version(arn)
    assert (
        "in FAILED state"
        in refusal(client.update_broker_count, ClusterArn=arn, CurrentVersion=version, TargetNumberOfBrokerNodes=6)[1]
    )
    kafka.broken = None
    client.delete_cluster(ClusterArn=arn)
    world.wait_for(lambda: is_gone(client.describe_cluster, ClusterArn=arn))


def test_a_replicator_runs_when_it_really_copies(world: World, kafka: FakeKafka) -> None:
    kafka.state = ("CREATING", "")
    request = pair(world)
    client = world.kafka(SECONDARY)
    arn = client.create_replicator(**request)["ReplicatorArn"]
    world.wait_for(lambda: kafka.calls("start_replicator"))
    kafka.silent = True  # as while its Region is down: no reason to give up
    assert world.replicator_state(arn)["ReplicatorState"] == "CREATING"
    kafka.silent, kafka.state = False, ("RUNNING", "")
    found = world.settled(arn)
    assert found["ReplicatorState"] == "RUNNING"
    source, target = (entry["AmazonMskCluster"]["MskClusterArn"] for entry in request["KafkaClusters"])
    (spec,) = kafka.calls("start_replicator")
    assert spec == ReplicatorSpec(
        name=request["ReplicatorName"],
        region=SECONDARY,
        source_arn=source,
        target_arn=target,
        source_alias=found["KafkaClusters"][0]["KafkaClusterAlias"],
        target_alias=found["KafkaClusters"][1]["KafkaClusterAlias"],
        topics=(".*",),
        topics_exclude=(),
        groups=(".*",),
        groups_exclude=(),
        starting_position="EARLIEST",
        topic_names="IDENTICAL",
        offset_sync_mode="ENHANCED",
        sync_group_offsets=True,
        detect_new_topics=True,
        detect_new_groups=True,
        copy_topic_configurations=True,
        compression="NONE",
    )
    client.update_replication_info(
        ReplicatorArn=arn,
        CurrentVersion=found["CurrentVersion"],
        TopicReplication={
            "TopicsToReplicate": ["orders"],
            "TopicsToExclude": ["x"],
            "CopyAccessControlListsForTopics": False,
            "CopyTopicConfigurations": False,
            "DetectAndCopyNewTopics": False,
        },
    )
    assert world.settled(arn)["ReplicatorState"] == "RUNNING"
    (updated,) = kafka.calls("update_replicator")
    assert isinstance(updated, ReplicatorSpec)
    assert (updated.topics, updated.topics_exclude, updated.detect_new_topics) == (("orders",), ("x",), False)
    world.delete_replicator(arn)
    assert kafka.calls("delete_replicator") == [arn]


def test_a_replicator_that_does_not_come_up_ends_failed_with_the_reason(world: World, kafka: FakeKafka) -> None:
    kafka.state = ("FAILED", "the task died")
    arn = world.kafka(SECONDARY).create_replicator(**pair(world))["ReplicatorArn"]
    found = world.settled(arn)
    assert found["ReplicatorState"] == "FAILED"
    assert found["StateInfo"] == {"Code": "REPLICATOR_FAILED", "Message": "the task died"}


def test_topics_are_those_of_real_kafka(world: World, kafka: FakeKafka) -> None:
    client = world.kafka(PRIMARY)
    arn = world.cluster(PRIMARY)
    params = {"ClusterArn": arn, "TopicName": "orders"}
    client.create_topic(**params, PartitionCount=2, ReplicationFactor=3)
    assert set(kafka.topics) == {(arn, "orders")}
    kafka.create_topic(arn, "made-by-hand", partitions=1, replication_factor=3, configs={"retention.ms": "5"})
    listed = client.list_topics(ClusterArn=arn)["Topics"]
    assert [(topic["TopicName"], topic["ReplicationFactor"]) for topic in listed] == [
        ("made-by-hand", 3),
        ("orders", 3),
    ]
    found = client.describe_topic(ClusterArn=arn, TopicName="made-by-hand")
    assert json.loads(base64.b64decode(found["Configs"])) == {"retention.ms": "5"}
    client.update_topic(**params, PartitionCount=4)
    assert kafka.topics[arn, "orders"].partitions == 4
    assert len(client.describe_topic_partitions(**params)["Partitions"]) == 4
    bad = base64.b64encode(b'{"retention.ms": "-2"}').decode()
    request = {"ClusterArn": arn, "TopicName": "t", "PartitionCount": 1, "ReplicationFactor": 3, "Configs": bad}
    assert refusal(client.create_topic, **request) == (
        "KafkaRequestException",
        "Invalid value -2 for configuration retention.ms",
    )
    kafka.silent = True
    code, message = refusal(client.create_topic, **params, PartitionCount=1, ReplicationFactor=3)
    assert (code, message) == ("ClusterConnectivityException", "127.0.0.1:1 does not answer")
    kafka.silent = False
    client.delete_topic(**params)
    assert (arn, "orders") not in kafka.topics
    assert refusal(client.describe_topic, **params)[0] == "NotFoundException"


def lags(world: World, region: str, name: str, since: datetime) -> dict[datetime, float]:
    """The Replicator's MessageLag by the second, as somebody who waits for it to be 0 asks for it."""
    metric = {
        "Namespace": "AWS/Kafka",
        "MetricName": "MessageLag",
        "Dimensions": [{"Name": "ReplicatorName", "Value": name}],
    }
    query = {"Id": "lag", "MetricStat": {"Metric": metric, "Period": 1, "Stat": "Maximum"}}
    (found,) = world.client("cloudwatch", region).get_metric_data(
        MetricDataQueries=[query], StartTime=since, EndTime=since + timedelta(hours=1)
    )["MetricDataResults"]
    return dict(zip(found["Timestamps"], found["Values"], strict=True))


def lag(name: str, value: float, **more: str) -> Point:
    return Point(region=SECONDARY, name="MessageLag", dimensions={"ReplicatorName": name, **more}, value=value)


def test_metrics_go_to_cloudwatch_of_their_region(world: World, kafka: FakeKafka) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    kafka.points = {world.cluster(SECONDARY): (lag("r", 7), lag("r", 5, Topic="orders"))}
    found = world.wait_for(lambda: lags(world, SECONDARY, "r", began))
    assert set(found.values()) == {7}
    assert min(found) >= began
    assert lags(world, PRIMARY, "r", began) == {}
    world.api.fail(SECONDARY)
    world.api.heal(SECONDARY)
    assert kafka.calls("fail_region") == kafka.calls("heal_region") == [SECONDARY]


def test_a_value_is_of_the_moment_at_which_measuring_it_began_and_waits_for_no_other(
    world: World, kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = world.cluster(SECONDARY), world.cluster(SECONDARY)
    then = datetime.now(UTC).replace(microsecond=0)
    clock = [then]
    monkeypatch.setattr(world.api, "now", lambda: clock[0])
    kafka.slow = {slow: threading.Event()}
    kafka.points = {slow: (lag("slow", 7),), quick: (lag("quick", 7),)}
    world.wait_for(lambda: lags(world, SECONDARY, "quick", then))
    assert lags(world, SECONDARY, "slow", then) == {}

    clock[0] = then + timedelta(minutes=1)
    world.wait_for(lambda: len(lags(world, SECONDARY, "quick", then)) == 2)
    kafka.slow[slow].set()
    found = world.wait_for(lambda: lags(world, SECONDARY, "slow", then))
    assert min(found) == then
    world.api.measure()
    assert [*sorted(lags(world, SECONDARY, "slow", then))] == [then, clock[0]]


def test_what_cannot_be_deleted_ends_failed_and_can_be_deleted_again(world: World, kafka: FakeKafka) -> None:
    request = pair(world)
    secondary = world.kafka(SECONDARY)
    replicator = secondary.create_replicator(**request)["ReplicatorArn"]
    world.settled(replicator)
    cluster = request["KafkaClusters"][1]["AmazonMskCluster"]["MskClusterArn"]
    kafka.broken = "the process does not end"
    secondary.delete_replicator(ReplicatorArn=replicator)
    secondary.delete_cluster(ClusterArn=cluster)
    world.wait_for(lambda: world.describe(cluster)["State"] == "FAILED")
    for found in (world.settled(replicator), world.describe(cluster)):
        assert found["StateInfo"] == {"Code": "INTERNAL_FAILURE", "Message": "the process does not end"}
    kafka.broken = None
    world.delete_replicator(replicator)
    secondary.delete_cluster(ClusterArn=cluster)
    world.wait_for(lambda: is_gone(secondary.describe_cluster, ClusterArn=cluster))


def test_a_source_that_does_not_answer_when_topics_are_looked_at_fails_the_replicator(
    world: World, kafka: FakeKafka
) -> None:
    request = pair(world)
    arn = world.kafka(SECONDARY).create_replicator(**request)["ReplicatorArn"]
    kafka.silent = True
    assert world.settled(arn)["StateInfo"]["Message"] == "127.0.0.1:1 does not answer"
