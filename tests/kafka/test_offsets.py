"""Consumer groups across a pair: what is translated, what is left alone."""

import time

import pytest
from confluent_kafka import Consumer

from tests.kafka.clients import consume, produce
from tests.kafka.conftest import A, B, Pair, eventually

pytestmark = pytest.mark.kafka


def test_a_standing_enhanced_pair_keeps_a_group_in_place_on_two_round_trips(pair: Pair) -> None:
    topic, group = pair.topic(A, B), pair.name("group")
    pair.replicate(A, B, topics=(topic,), groups=(group,))
    pair.replicate(B, A, topics=(topic,), groups=(group,))
    expected: list[str] = []
    for trip in range(2):
        for here, there, arn in ((pair.a, pair.b, B), (pair.b, pair.a, A)):
            message = f"trip {trip} to {'b' if arn == B else 'a'}"
            produce(here, topic, [message])
            expected.append(message)
            assert consume(here, topic, group, 1) == [message]
            pair.has(there, topic, expected)
            # One partition, so the group's position is the number of messages.
            pair.placed(arn, group, topic, len(expected))
    assert consume(pair.a, topic, group, 0) == []


def test_legacy_translates_there_but_not_back(pair: Pair) -> None:
    topic, group = pair.topic(A, B), pair.name("group")
    produce(pair.a, topic, ["a1", "a2"])
    assert len(consume(pair.a, topic, group, 2)) == 2
    pair.replicate(A, B, topics=(topic,), groups=(group,), offset_sync_mode="LEGACY")
    pair.placed(B, group, topic, 2)
    produce(pair.b, topic, ["b1", "b2"])
    assert consume(pair.b, topic, group, 2) == ["b1", "b2"]
    pair.replicate(B, A, topics=(topic,), groups=(group,), offset_sync_mode="LEGACY")
    pair.has(pair.a, topic, ["a1", "a2", "b1", "b2"])
    time.sleep(4)
    assert pair.offset(A, group, topic) == 2
    assert consume(pair.a, topic, group, 2) == ["b1", "b2"]


def test_a_group_that_is_active_on_the_target_is_left_alone(pair: Pair) -> None:
    topic, group = pair.topic(A, B), pair.name("group")
    produce(pair.a, topic, ["a1", "a2"])
    active = Consumer({"bootstrap.servers": pair.b, "group.id": group, "enable.auto.commit": False})
    try:
        active.subscribe([topic])
        eventually(lambda: active.poll(0.1) is None and bool(active.assignment()), "a consumer on B")
        pair.replicate(A, B, topics=(topic,), groups=(group,))
        pair.has(pair.b, topic, ["a1", "a2"])
        assert len(consume(pair.a, topic, group, 2)) == 2
        end = time.monotonic() + 4
        while time.monotonic() < end:
            active.poll(0.1)
            assert pair.offset(B, group, topic) is None
    finally:
        active.close()
    eventually(lambda: pair.offset(B, group, topic) == 2, "the position, once nobody reads there")


def test_groups_are_selected_by_whole_names_and_excludes_win(pair: Pair) -> None:
    topic, stem = pair.topic(A), pair.name("group")
    produce(pair.a, topic, ["a1"])
    for group in (f"{stem}.in", f"{stem}.out", f"{stem}.in.more"):
        consume(pair.a, topic, group, 1)
    pair.replicate(A, B, topics=(topic,), groups=(rf"{stem}\.(in|out)",), groups_exclude=(".*out",))
    eventually(lambda: f"{stem}.in" in pair.plane.admin(B).groups(), "the group")
    time.sleep(3)
    assert [group for group in pair.plane.admin(B).groups() if group.startswith(stem)] == [f"{stem}.in"]


def test_without_detection_only_the_groups_of_the_start_are_translated(pair: Pair) -> None:
    topic, stem = pair.topic(A), pair.name("group")
    produce(pair.a, topic, ["a1"])
    consume(pair.a, topic, f"{stem}.first", 1)
    pair.replicate(A, B, topics=(topic,), groups=(f"{stem}.*",), detect_new_groups=False)
    consume(pair.a, topic, f"{stem}.second", 1)
    eventually(lambda: f"{stem}.first" in pair.plane.admin(B).groups(), "the first group")
    time.sleep(4)
    assert f"{stem}.second" not in pair.plane.admin(B).groups()


def test_without_synchronisation_no_group_is_translated(pair: Pair) -> None:
    topic, group = pair.topic(A), pair.name("group")
    produce(pair.a, topic, ["a1"])
    consume(pair.a, topic, group, 1)
    pair.replicate(A, B, topics=(topic,), groups=(group,), sync_group_offsets=False)
    pair.has(pair.b, topic, ["a1"])
    time.sleep(4)
    assert group not in pair.plane.admin(B).groups()
