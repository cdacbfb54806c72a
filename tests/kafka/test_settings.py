"""From MSK's settings to Kafka's: pure functions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kafka import ReplicatorSpec
from sandbox.kafka.settings import (
    CHECKPOINT_CONNECTOR,
    SOURCE_CONNECTOR,
    broker_properties,
    chosen,
    cluster_name,
    connectors,
    is_internal,
    literally,
    patterns,
    properties,
    without_commas,
    worker_properties,
)

SPEC = ReplicatorSpec(
    name="r", region="us-east-2", source_arn="a", target_arn="b", source_alias="alias-a", target_alias="alias-b"
)


def configured(return_trip: bool = False, **changes: object) -> dict[str, dict[str, str]]:
    values = {name: getattr(SPEC, name) for name in SPEC.__dataclass_fields__} | changes
    return connectors(
        ReplicatorSpec(**values),
        source="127.0.0.1:1",
        target="127.0.0.1:2",
        source_id="ID-A",
        target_id="ID-B",
        return_trip=return_trip,
    )


def test_what_carries_the_targets_header_is_dropped_and_the_rest_gets_the_sources() -> None:
    config = configured()[SOURCE_CONNECTOR]
    assert config["transforms"] == "dropReturning,stamp"
    assert config["predicates.fromTarget.name"] == "__mskmr.ID-B"
    assert config["transforms.stamp.header"] == "__mskmr.ID-A"


def test_without_the_loop_filter_only_the_header_is_left() -> None:
    config = configured(drop_returning=False)[SOURCE_CONNECTOR]
    assert config["transforms"] == "stamp"
    assert not [key for key in config if key.startswith("transforms.dropReturning")]


@pytest.mark.parametrize(
    ("mode", "return_trip", "synchronised"),
    [("ENHANCED", False, "true"), ("ENHANCED", True, "true"), ("LEGACY", False, "true"), ("LEGACY", True, "false")],
)
def test_only_legacy_has_no_offsets_for_the_return_trip(mode: str, return_trip: bool, synchronised: str) -> None:
    config = configured(return_trip, offset_sync_mode=mode)[CHECKPOINT_CONNECTOR]
    assert config["sync.group.offsets.enabled"] == synchronised


def test_a_value_that_msk_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(ValueError, match="starting_position is 'MIDDLE'; it must be one of EARLIEST, LATEST"):
        configured(starting_position="MIDDLE")


def test_everything_listens_on_loopback_only() -> None:
    broker = broker_properties(port=1, controller_port=2, data="/data")
    assert broker["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert broker["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1"
    worker = worker_properties(bootstrap="127.0.0.1:1", rest_port=3, offsets="/offsets")
    assert worker["listeners"] == "http://127.0.0.1:3"


def test_lists_select_whole_names_and_excludes_win() -> None:
    names = ["orders", "orders-eu", "payments"]
    assert chosen(names, ["orders.*", "pay"], ["orders-eu"]) == ("orders",)


@given(st.lists(st.text(min_size=1), min_size=1))
def test_a_list_of_names_as_patterns_selects_those_names(names: list[str]) -> None:
    for pattern, name in zip(literally(names), names, strict=True):
        assert re.fullmatch(pattern, name)
        assert re.fullmatch(without_commas(pattern), name)


def test_an_empty_list_selects_nothing() -> None:
    assert not re.fullmatch(patterns([]), "")
    assert not re.fullmatch(patterns([]), "anything")


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a,]", r"\.", r"\w", "(ab|b)", "(?:a{1,2}|,)", "[]a]", "(a(b)?)"])
QUANTIFIERS = st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "{2,}", "{1,}?"])
EXPRESSIONS = st.lists(st.tuples(ATOMS, QUANTIFIERS).map("".join), max_size=4).map("".join)


@given(EXPRESSIONS, st.text(alphabet="ab.,", max_size=6))
def test_without_its_commas_an_expression_matches_the_same_names(expression: str, name: str) -> None:
    rewritten = without_commas(expression)
    assert "," not in rewritten
    assert bool(re.fullmatch(rewritten, name)) == bool(re.fullmatch(expression, name))


@pytest.mark.parametrize("topic", ["__consumer_offsets", "mm2-offset-syncs.a.internal", "a.checkpoints.internal"])
def test_kafkas_and_the_replicators_topics_are_internal(topic: str) -> None:
    assert is_internal(topic)


def test_a_users_topic_is_not_internal() -> None:
    assert not is_internal("customer")


def test_a_cluster_has_the_name_in_its_arn() -> None:
    assert cluster_name("arn:aws:kafka:us-east-1:123456789012:cluster/msk-dr-primary/uuid-1") == "msk-dr-primary"


def test_a_backslash_survives_a_properties_file() -> None:
    assert properties({"topics": r"a\.b"}) == "topics=a\\\\.b\n"
