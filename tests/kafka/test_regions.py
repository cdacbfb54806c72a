"""A Region fails and heals: frozen, not lost."""

import time

import pytest

from sandbox.kafka import ClusterUnavailable
from tests.kafka.clients import consume, everything, produce
from tests.kafka.conftest import A, B, Pair, eventually

pytestmark = pytest.mark.kafka


def test_an_unplanned_failover_loses_nothing_for_good_and_the_late_tail_arrives_once(pair: Pair) -> None:
    topic, group, plane = pair.topic(A, B), pair.name("group"), pair.plane
    forward = pair.replicate(A, B, topics=(topic,), groups=(group,))
    produce(pair.a, topic, ["a1", "a2"])
    assert consume(pair.a, topic, group, 2) == ["a1", "a2"]
    pair.has(pair.b, topic, ["a1", "a2"])
    pair.placed(B, group, topic, 2)

    # The Replicator lives in the target's Region: while that stands still the primary gets a tail nobody copied.
    plane.fail_region("us-east-2")
    produce(pair.a, topic, ["late 1", "late 2", "late 3"])
    plane.fail_region("us-east-1")
    plane.heal_region("us-east-2")

    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="us-east-1 has failed"):
        plane.list_topics(A)
    assert time.monotonic() - began < 1
    assert not plane.cluster_is_running(A)

    # The standby needs nothing of the failed Region.
    produce(pair.b, topic, ["b1", "b2"])
    assert consume(pair.b, topic, group, 2) == ["b1", "b2"]
    assert plane.replicator_state(forward) == ("RUNNING", "")
    assert everything(pair.b, topic) == ["a1", "a2", "b1", "b2"]

    # A dead source gives no data, not zero; the target still answers.
    found = list(plane.metrics_of(forward))
    pings = [point.dimensions["ClusterAlias"] for point in found if point.name == "KafkaClusterPingSuccessCount"]
    assert pings == ["pair-secondary"]
    of_source = {"MessageLag", "ReplicationLatency", "ReplicatorThroughput", "ReplicatorBytesInPerSec"}
    assert not of_source & {point.name for point in found}
    assert not list(plane.metrics_of(A))
    known = [each.arn for each in plane.replicators()] + [each.arn for each in plane.clusters()]
    assert not [point for each in known for point in plane.metrics_of(each) if point.region == "us-east-1"]

    plane.heal_region("us-east-1")
    assert everything(pair.a, topic) == ["a1", "a2", "late 1", "late 2", "late 3"]
    pair.has(pair.b, topic, ["a1", "a2", "b1", "b2", "late 1", "late 2", "late 3"])
    assert consume(pair.b, topic, group, 3) == ["late 1", "late 2", "late 3"]
    back = {point.name for point in plane.metrics_of(forward)}
    assert of_source <= back


def test_a_group_that_is_not_active_when_the_tail_arrives_is_put_behind_it_on_both_sides(pair: Pair) -> None:
    """What MirrorMaker 2 does, not what anybody would wish for: the reason to keep consumers running until they are
    through. Measured here, so that nobody relies on the opposite."""
    topic, group, plane = pair.topic(A, B), pair.name("group"), pair.plane
    pair.replicate(A, B, topics=(topic,), groups=(group,))
    pair.replicate(B, A, topics=(topic,), groups=(group,))
    produce(pair.a, topic, ["a1"])
    assert consume(pair.a, topic, group, 1) == ["a1"]
    pair.placed(B, group, topic, 1)
    plane.fail_region("us-east-2")
    produce(pair.a, topic, ["late"])
    plane.fail_region("us-east-1")
    plane.heal_region("us-east-2")
    produce(pair.b, topic, ["b1"])
    assert consume(pair.b, topic, group, 1) == ["b1"]
    plane.heal_region("us-east-1")
    pair.has(pair.a, topic, ["a1", "late", "b1"])
    pair.has(pair.b, topic, ["a1", "b1", "late"])
    eventually(lambda: pair.offset(A, group, topic) == pair.offset(B, group, topic) == 3, "behind the tail")
    assert consume(pair.a, topic, group, 0) == consume(pair.b, topic, group, 0) == []


def test_message_lag_is_not_zero_when_a_source_comes_back_with_a_tail(pair: Pair) -> None:
    """The Replicator's own number is that of its last fetch: a gate on it would open while records are missing."""
    topic, plane = pair.topic(A, B), pair.plane
    forward = pair.replicate(A, B, topics=(topic,))
    produce(pair.a, topic, ["a1"])
    pair.has(pair.b, topic, ["a1"])
    eventually(lambda: lag(pair, forward, topic) == 0, "no lag")
    (replicator,) = (each for each in plane._replicators.values() if each.arn == forward)
    process = plane._process(replicator)
    process.freeze()
    produce(pair.a, topic, [f"late {number}" for number in range(5)])
    process.thaw()
    while (seen := lag(pair, forward, topic)) is None:
        pass
    # Either it still counts the tail, or the tail has been copied: never 0 with records missing.
    assert seen > 0 or len(everything(pair.b, topic)) == 6
    eventually(lambda: lag(pair, forward, topic) == 0, "no lag again")
    pair.has(pair.b, topic, ["a1", *(f"late {number}" for number in range(5))])


def lag(pair: Pair, replicator: str, topic: str) -> float | None:
    for point in pair.plane.metrics_of(replicator):
        if point.name == "MessageLag" and point.dimensions.get("Topic") == topic:
            return point.value
    return None


def test_a_frozen_replicator_is_unavailable_rather_than_failed(pair: Pair) -> None:
    forward = pair.replicate(A, B, topics=(pair.topic(A),))
    pair.plane.fail_region("us-east-2")
    with pytest.raises(ClusterUnavailable, match="us-east-2 has failed"):
        pair.plane.replicator_state(forward)
    assert not list(pair.plane.metrics_of(forward))
    pair.plane.heal_region("us-east-2")
    assert pair.plane.replicator_state(forward) == ("RUNNING", "")


def test_a_replicator_starts_while_its_source_is_down_and_copies_once_that_is_back(pair: Pair) -> None:
    topic = pair.topic(A, B)
    produce(pair.a, topic, ["a1"])
    pair.plane.fail_region("us-east-1")
    forward = pair.replicate(A, B, topics=(topic,))
    assert pair.plane.replicator_state(forward) == ("RUNNING", "")
    pair.plane.heal_region("us-east-1")
    eventually(lambda: everything(pair.b, topic) == ["a1"], "the message", seconds=90)
    assert pair.plane.replicator_state(forward) == ("RUNNING", "")
