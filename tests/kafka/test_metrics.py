"""MSK's metrics under MSK's names, measured."""

import time
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from sandbox.kafka import DataPoint
from sandbox.kafka.metrics import Meter
from sandbox.kafka.processes import Process
from tests.kafka.clients import consume, produce
from tests.kafka.conftest import A, B, Pair, eventually

pytestmark = pytest.mark.kafka


def of(points: list[DataPoint], name: str, **dimensions: str) -> float | None:
    found = [each.value for each in points if each.name == name and dict(each.dimensions) == dimensions]
    assert len(found) < 2
    return found[0] if found else None


def test_a_replicator_has_msks_metrics_in_the_region_of_its_target(pair: Pair) -> None:
    topic, group = pair.topic(A, partitions=2), pair.name("group")
    arn = pair.replicate(A, B, topics=(topic,), groups=(group,))
    (known,) = pair.plane.replicators()
    name = known.spec.name
    produce(pair.a, topic, ["x" * 1000] * 20)
    consume(pair.a, topic, group, 20)
    pair.has(pair.b, topic, ["x" * 1000] * 20)
    points: list[DataPoint] = []

    def measured() -> bool:
        points[:] = pair.plane.metrics_of(arn)
        return of(points, "ConsumerGroupCount", ReplicatorName=name) == 1 and all(
            of(points, metric, ReplicatorName=name, Topic=topic)
            for metric in ("ReplicationLatency", "ReplicatorThroughput")
        )

    eventually(measured, "all metrics")
    assert {point.region for point in points} == {"us-east-2"}
    assert (
        of(points, "MessageLag", ReplicatorName=name) == of(points, "MessageLag", ReplicatorName=name, Topic=topic) == 0
    )
    latency = of(points, "ReplicationLatency", ReplicatorName=name)
    assert latency is not None and 0 < latency < 60_000
    assert (of(points, "ReplicatorBytesInPerSec", ReplicatorName=name) or 0) > 0
    assert (of(points, "ReplicatorThroughput", ReplicatorName=name) or 0) > 0
    assert of(points, "TopicCount", ReplicatorName=name) == 1
    for alias in ("pair-primary", "pair-secondary"):
        assert of(points, "KafkaClusterPingSuccessCount", ReplicatorName=name, ClusterAlias=alias) == 1
        assert of(points, "ThrottleTime", ReplicatorName=name, ClusterAlias=alias) == 0
    for metric in ("ReplicatorFailure", "ReplicationFailures", "ConsumerGroupOffsetSyncFailure"):
        assert of(points, metric, ReplicatorName=name) == 0


def test_filtered_records_count_as_read_but_not_as_written(pair: Pair) -> None:
    topic = pair.topic(A, B)
    produce(pair.a, topic, ["x" * 1000] * 20)
    pair.replicate(A, B, topics=(topic,))
    pair.has(pair.b, topic, ["x" * 1000] * 20)
    reverse = pair.replicate(B, A, topics=(topic,))
    name = next(each.spec.name for each in pair.plane.replicators() if each.arn == reverse)
    points: list[DataPoint] = []

    def read() -> bool:
        points[:] = pair.plane.metrics_of(reverse)
        return of(points, "MessageLag", ReplicatorName=name, Topic=topic) == 0

    eventually(read, "everything read")
    assert (of(points, "ReplicatorBytesInPerSec", ReplicatorName=name) or 0) > 0
    assert of(points, "ReplicatorThroughput", ReplicatorName=name) == 0


def test_consumer_lag_is_counted_by_cluster_group_and_topic(pair: Pair) -> None:
    topic, group = pair.topic(A, partitions=2), pair.name("group")
    produce(pair.a, topic, ["read"], partition=0)
    produce(pair.a, topic, ["read"], partition=1)
    consume(pair.a, topic, group, 2)
    dimensions = {"Cluster Name": "pair-primary", "Consumer Group": group, "Topic": topic}
    points = list(pair.plane.metrics_of(A))
    assert [of(points, name, **dimensions) for name in ("MaxOffsetLag", "SumOffsetLag")] == [0, 0]
    assert of(points, "EstimatedMaxTimeLag", **dimensions) == 0
    produce(pair.a, topic, ["unread"] * 3, partition=0)
    produce(pair.a, topic, ["unread"] * 2, partition=1)
    points = list(pair.plane.metrics_of(A))
    assert [of(points, name, **dimensions) for name in ("MaxOffsetLag", "SumOffsetLag")] == [3, 5]
    age = of(points, "EstimatedMaxTimeLag", **dimensions)
    assert age is not None and 0 < age < 60
    assert {point.region for point in points} == {"us-east-1"}


def test_a_broker_has_msks_metrics(pair: Pair) -> None:
    topic = pair.topic(A)
    produce(pair.a, topic, ["x" * 10_000] * 50)
    broker, cluster = {"Cluster Name": "pair-primary", "Broker ID": "1"}, {"Cluster Name": "pair-primary"}
    points: list[DataPoint] = []

    def measured() -> bool:
        points[:] = pair.plane.metrics_of(A)
        return bool(of(points, "BytesInPerSec", **broker)) and of(points, "CpuUser", **broker) is not None

    eventually(measured, "a rate")
    assert of(points, "ActiveControllerCount", **cluster) == 1
    assert (of(points, "StorageUsed", **cluster) or 0) > 50 * 10_000
    assert (of(points, "PartitionCount", **broker) or 0) >= 1
    for name in ("ProduceThrottleTime", "FetchThrottleTime", "BytesOutPerSec", "CpuSystem"):
        assert of(points, name, **broker) is not None


def test_a_replicator_whose_process_died_is_failed_and_says_so(pair: Pair) -> None:
    arn = pair.replicate(A, B, topics=(pair.topic(A),))
    (known,) = pair.plane.replicators()
    pair.plane._process(known).stop(grace=0)
    state, reason = pair.plane.replicator_state(arn)
    assert state == "FAILED" and "ended with code -9" in reason
    points = list(pair.plane.metrics_of(arn))
    assert (of(points, "ReplicatorFailure", ReplicatorName=known.spec.name) or 0) > 0
    assert of(points, "MessageLag", ReplicatorName=known.spec.name) is None
    pair.plane.start_replicator(arn, known.spec)
    assert pair.plane.replicator_state(arn) == ("RUNNING", "")


def test_failed_offset_commits_are_counted_once_and_groups_in_use_are_no_failure(tmp_path: Path) -> None:
    meter, log = Meter(), tmp_path / "process.log"
    log.write_text("2026 ERROR MirrorCheckpointTask: Unable to sync offsets for consumer group earlier run.\n")
    assert meter._sync_failures(Process(tmp_path)) == 0
    with log.open("a") as more:
        more.write("2026 ERROR MirrorCheckpointTask: Unable to sync offsets for consumer group g.\n")
        more.write(
            "2026 WARN MirrorCheckpointTask: Unable to sync offsets for consumer group h. This is likely caused by "
            "consumers currently using this group in the target cluster.\n"
        )
    assert meter._sync_failures(Process(tmp_path)) == 1
    assert meter._sync_failures(Process(tmp_path)) == 0


def test_the_ages_of_many_waiting_records_are_asked_for_at_once(pair: Pair) -> None:
    """Six groups on ten topics have hundreds of positions; one after the other they took 50 ms each."""
    topic, now = pair.topic(A, partitions=10), time.time()
    for partition in range(10):
        for minutes in (30, 20, 10):
            stamp = int((now - 60 * minutes) * 1000)
            produce(pair.a, topic, ["x"], partition=partition, timestamp_ms=stamp)
    places = [TopicPartition(topic, partition, offset) for partition in range(10) for offset in range(3)]
    admin = pair.plane.admin(A)
    admin.ages(places[:1])
    began = time.monotonic()
    found = admin.ages([*places, *places])
    assert time.monotonic() - began < 1
    minutes_old = {place: round(age / 60) for place, age in found.items()}
    assert minutes_old == {(topic, each.partition, each.offset): 30 - 10 * each.offset for each in places}
    # A position without a record has no age, and takes the others along no longer than a second.
    assert admin.ages([TopicPartition(topic, 0, 3), *places[:1]]).keys() == {(topic, 0, 0)}
