"""What a Replicator's settings say about topics is what happens."""

import dataclasses
import time
from collections import Counter

import pytest
from confluent_kafka import KafkaException

from sandbox.kafka import DataPlaneError, TopicError
from sandbox.kafka.clients import records
from sandbox.kafka.settings import DAY_MS
from tests.kafka.clients import everything, produce
from tests.kafka.conftest import A, B, Pair, eventually

pytestmark = pytest.mark.kafka


def test_a_pair_with_identical_names_does_not_loop(pair: Pair) -> None:
    topic = pair.topic(A, B)
    produce(pair.a, topic, ["born on a"])
    produce(pair.b, topic, ["born on b"])
    pair.replicate(A, B, topics=(topic,))
    pair.replicate(B, A, topics=(topic,))
    pair.has(pair.a, topic, ["born on a", "born on b"])
    pair.has(pair.b, topic, ["born on a", "born on b"])
    time.sleep(4)  # A loop would go round several times.
    assert Counter(everything(pair.a, topic)) == Counter(["born on a", "born on b"])
    assert Counter(everything(pair.b, topic)) == Counter(["born on a", "born on b"])
    headers = {(record.value() or b"").decode(): dict(record.headers() or []) for record in records(pair.b, topic)}
    assert not headers["born on b"]
    assert [name.split(".")[0] for name in headers["born on a"]] == ["__mskmr"]


def test_without_the_loop_filter_records_come_back_again_and_again(pair: Pair) -> None:
    topic = pair.topic(A, B)
    produce(pair.a, topic, ["born on a"])
    forward = pair.replicate(A, B, topics=(topic,), drop_returning=False)
    reverse = pair.replicate(B, A, topics=(topic,), drop_returning=False)
    try:
        eventually(lambda: len(everything(pair.a, topic)) >= 3, "the same record three times")
    finally:
        pair.plane.delete_replicator(forward)
        pair.plane.delete_replicator(reverse)
    assert set(everything(pair.a, topic)) == {"born on a"}


def test_earliest_copies_what_was_there_before(pair: Pair) -> None:
    topic = pair.topic(A)
    produce(pair.a, topic, ["before"])
    pair.replicate(A, B, topics=(topic,), starting_position="EARLIEST")
    pair.has(pair.b, topic, ["before"])


def test_latest_copies_only_what_comes_after(pair: Pair) -> None:
    topic = pair.topic(A, B)
    produce(pair.a, topic, ["before"])
    pair.replicate(A, B, topics=(topic,), starting_position="LATEST")

    def copied() -> bool:
        # Where the Replicator stands at the end is only known once something arrives.
        produce(pair.a, topic, ["after"])
        return "after" in everything(pair.b, topic)

    eventually(copied, "a later message")
    assert "before" not in everything(pair.b, topic)


def test_patterns_match_whole_names_and_excludes_win(pair: Pair) -> None:
    stem = pair.name("select")
    wanted, excluded, other = f"{stem}.aa", f"{stem}.aaa", f"{stem}.aa.more"
    for name in (wanted, excluded, other):
        pair.plane.create_topic(A, name, partitions=1)
        produce(pair.a, name, ["message"])
    pair.replicate(A, B, topics=(rf"{stem}\.a{{2,3}}",), topics_exclude=(".*aaa",))
    pair.has(pair.b, wanted, ["message"])
    time.sleep(3)
    assert [name for name in pair.plane.list_topics(B) if name.startswith(stem)] == [wanted]


def test_a_new_topic_is_found_while_the_replicator_runs(pair: Pair) -> None:
    stem = pair.name("new")
    arn = pair.replicate(A, B, topics=(f"{stem}.*",))
    assert pair.plane.replicator_state(arn) == ("RUNNING", "")
    pair.plane.create_topic(A, f"{stem}.late", partitions=2)
    produce(pair.a, f"{stem}.late", ["message"])
    pair.has(pair.b, f"{stem}.late", ["message"])
    assert pair.plane.describe_topic(B, f"{stem}.late").partitions == 2


def test_without_detection_only_the_topics_of_the_start_and_of_an_update_are_copied(pair: Pair) -> None:
    stem = pair.name("fixed")
    pair.plane.create_topic(A, f"{stem}.first", partitions=1)
    arn = pair.replicate(A, B, topics=(f"{stem}.*",), detect_new_topics=False)
    pair.plane.create_topic(A, f"{stem}.second", partitions=1)
    produce(pair.a, f"{stem}.second", ["message"])
    eventually(lambda: f"{stem}.first" in pair.plane.list_topics(B), "the topic that was there")
    time.sleep(4)
    assert f"{stem}.second" not in pair.plane.list_topics(B)
    (known,) = pair.plane.replicators()
    pair.plane.update_replicator(arn, known.spec)
    pair.has(pair.b, f"{stem}.second", ["message"])


def test_an_update_of_the_lists_leaves_the_replicator_where_it_was(pair: Pair) -> None:
    first, second = pair.topic(A), pair.topic(A)
    produce(pair.a, first, ["one"])
    produce(pair.a, second, ["two"])
    arn = pair.replicate(A, B, topics=(first,))
    pair.has(pair.b, first, ["one"])
    time.sleep(1.5)  # Where it stands is written down every second.
    (known,) = pair.plane.replicators()
    pair.plane.update_replicator(arn, dataclasses.replace(known.spec, topics=(first, second)))
    pair.has(pair.b, second, ["two"])
    assert everything(pair.b, first) == ["one"]


@pytest.mark.parametrize("copied", [True, False])
def test_topic_settings_are_copied_at_the_start_and_later_or_not_at_all(pair: Pair, copied: bool) -> None:
    topic = pair.topic(A, configs={"retention.ms": "3600000"})
    pair.replicate(A, B, topics=(topic,), copy_topic_configurations=copied)
    eventually(lambda: topic in pair.plane.list_topics(B), topic)
    assert pair.plane.describe_topic(B, topic).configs.get("retention.ms") == ("3600000" if copied else None)
    pair.plane.alter_topic(A, topic, configs={"retention.ms": "7200000"})
    if copied:
        eventually(lambda: pair.plane.describe_topic(B, topic).configs.get("retention.ms") == "7200000", "the change")
    else:
        time.sleep(4)
        assert "retention.ms" not in pair.plane.describe_topic(B, topic).configs


def test_prefixed_names_begin_with_the_alias_of_the_source(pair: Pair) -> None:
    topic = pair.topic(A)
    produce(pair.a, topic, ["message"])
    pair.replicate(A, B, topics=(topic,), topic_names="PREFIXED_WITH_SOURCE_CLUSTER_ALIAS", offset_sync_mode="LEGACY")
    pair.has(pair.b, f"pair-primary.{topic}", ["message"])
    assert topic not in pair.plane.list_topics(B)


@pytest.mark.parametrize(("compression", "code"), [("GZIP", 1), ("LZ4", 3)])
def test_records_are_written_with_the_compression_of_the_settings(pair: Pair, compression: str, code: int) -> None:
    topic = pair.topic(A)
    produce(pair.a, topic, ["message " * 100])
    pair.replicate(A, B, topics=(topic,), compression=compression)
    pair.has(pair.b, topic, ["message " * 100])
    (cluster,) = (each for each in pair.plane.clusters() if each.arn == B)
    (segment,) = (pair.plane.folder / cluster.folder / "data" / f"{topic}-0").glob("*.log")
    # A batch has its attributes at bytes 21 and 22, the codec in their lowest three bits (Kafka's record format).
    assert segment.read_bytes()[22] & 0b111 == code


def test_old_records_are_copied_with_their_time_where_the_topic_allows_it(pair: Pair) -> None:
    allowed = {"message.timestamp.before.max.ms": str(30 * DAY_MS), "retention.ms": "-1"}
    topic = pair.topic(A, configs=allowed)
    old = int(time.time() * 1000) - 10 * DAY_MS
    produce(pair.a, topic, ["ten days old"], timestamp_ms=old)
    pair.replicate(A, B, topics=(topic,))
    pair.has(pair.b, topic, ["ten days old"])
    assert [record.timestamp()[1] for record in records(pair.b, topic)] == [old]


def test_records_older_than_a_day_are_refused_by_default(pair: Pair) -> None:
    topic = pair.topic(A)
    old = int(time.time() * 1000) - 2 * DAY_MS
    with pytest.raises(KafkaException, match="INVALID_TIMESTAMP"):
        produce(pair.a, topic, ["two days old"], timestamp_ms=old)
    assert everything(pair.a, topic) == []


def test_a_record_that_the_target_refuses_ends_the_replicator_with_the_reason_until_the_cause_is_gone(
    pair: Pair,
) -> None:
    topic = pair.topic(A, configs={"message.timestamp.before.max.ms": str(30 * DAY_MS), "retention.ms": "-1"})
    old = int(time.time() * 1000) - 10 * DAY_MS
    produce(pair.a, topic, ["ten days old"], timestamp_ms=old)
    produce(pair.a, topic, ["new"])
    arn = pair.replicate(A, B, topics=(topic,), copy_topic_configurations=False)
    eventually(lambda: pair.plane.replicator_state(arn)[0] == "FAILED", "FAILED")
    state, reason = pair.plane.replicator_state(arn)
    assert "InvalidTimestampException" in reason
    found = {
        (point.name, point.dimensions.get("Topic")): point.value
        for point in pair.plane.metrics_of(arn)
        if "ClusterAlias" not in point.dimensions
    }
    assert found["ReplicatorFailure", None] == 1
    assert found["MessageLag", topic] >= 1

    pair.plane.alter_topic(
        B, topic, configs={"message.timestamp.before.max.ms": str(30 * DAY_MS), "retention.ms": "-1"}
    )
    (known,) = pair.plane.replicators()
    pair.plane.update_replicator(arn, known.spec)
    eventually(lambda: pair.plane.replicator_state(arn) == ("RUNNING", ""), "RUNNING again")
    eventually(lambda: {"ten days old", "new"} <= set(everything(pair.b, topic)), "both records")


def test_a_replicator_created_again_has_no_memory(pair: Pair) -> None:
    """The published failback, twice: what was born on the secondary during the first outage arrives a second time."""
    topic = pair.topic(A, B)
    produce(pair.a, topic, ["a1", "a2"])
    pair.replicate(A, B, topics=(topic,))
    pair.has(pair.b, topic, ["a1", "a2"])
    produce(pair.b, topic, ["b1", "b2", "b3"])
    reverse = pair.replicate(B, A, topics=(topic,))
    pair.has(pair.a, topic, ["a1", "a2", "b1", "b2", "b3"])
    pair.plane.delete_replicator(reverse)
    assert not [name for name in pair.plane.list_topics(A, internal=True) if "pair-secondary" in name]

    produce(pair.b, topic, ["b4"])
    pair.replicate(B, A, topics=(topic,))
    pair.has(pair.a, topic, ["a1", "a2", "b1", "b2", "b3", "b1", "b2", "b3", "b4"])
    twice = Counter(everything(pair.a, topic)) - Counter(set(everything(pair.a, topic)))
    assert sorted(twice.elements()) == ["b1", "b2", "b3"]
    # The duplicates carry the secondary's header, so they go no further.
    time.sleep(3)
    assert Counter(everything(pair.b, topic)) == Counter(["a1", "a2", "b1", "b2", "b3", "b4"])


def test_topics_are_not_created_by_writing_to_them(pair: Pair) -> None:
    with pytest.raises(KafkaException, match="_UNKNOWN_TOPIC|UNKNOWN_TOPIC_OR_PART"):
        produce(pair.a, pair.name("unknown"), ["message"], seconds=3)


def test_topics_have_three_replicas_as_on_express_and_no_other_number(pair: Pair) -> None:
    name = pair.name("replicas")
    assert pair.plane.create_topic(A, name, partitions=2, replication_factor=3).replication_factor == 3
    with pytest.raises(TopicError, match="replication factor is 2; topics on Express brokers have 3") as refused:
        pair.plane.create_topic(A, pair.name("replicas"), partitions=1, replication_factor=2)
    assert refused.value.code == "INVALID_REPLICATION_FACTOR"
    with pytest.raises(TopicError) as again:
        pair.plane.create_topic(A, name, partitions=2)
    assert again.value.code == "TOPIC_ALREADY_EXISTS"


def test_an_altered_topic_has_the_partitions_and_exactly_the_settings_of_the_call(pair: Pair) -> None:
    topic = pair.topic(A, configs={"retention.ms": "1000000", "cleanup.policy": "delete"})
    altered = pair.plane.alter_topic(A, topic, partitions=4, configs={"retention.ms": "2000000"})
    assert (altered.partitions, altered.configs) == (4, {"retention.ms": "2000000"})
    pair.plane.delete_topic(A, topic)
    eventually(lambda: topic not in pair.plane.list_topics(A), "gone")
    with pytest.raises(TopicError) as unknown:
        pair.plane.describe_topic(A, topic)
    assert unknown.value.code == "UNKNOWN_TOPIC_OR_PART"


def test_two_replicators_into_a_cluster_tell_their_sources_by_alias(pair: Pair) -> None:
    pair.replicate(A, B, topics=("nothing",))
    with pytest.raises(DataPlaneError, match="source_alias is 'pair-primary', which .* has; aliases of sources differ"):
        pair.replicate(A, B, topics=("nothing",))
