"""Values on the wire: what goes in comes out, secrets and unknown values included."""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import Struct
from pulumi_aws import cloudwatch, iam

from sandbox.wire import UNKNOWN, contains_unknown, decode, encode
from tests.sandbox.kit import Client

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


def message(value: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(value)
    return struct


def secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE: SECRET, "value": value}


def test_plain_values_survive_the_round_trip_and_whole_numbers_are_ints() -> None:
    props = {"text": "a", "number": 3, "fraction": 0.5, "flag": True, "list": [1, {"a": "b"}], "empty": {}, "none": []}
    decoded, secrets = decode(encode(props))
    assert decoded == props
    assert isinstance(decoded["number"], int)
    assert secrets == frozenset()


def test_nulls_are_left_out() -> None:
    assert decode(message({"here": "a", "gone": None}))[0] == {"here": "a"}


def test_secrets_are_unwrapped_and_wrapped_again_where_they_were() -> None:
    sent = message({"tags": {"owner": secret("me")}, "list": [secret({"deep": "x"})], "open": "y"})
    props, secrets = decode(sent)
    assert props == {"tags": {"owner": "me"}, "list": [{"deep": "x"}], "open": "y"}
    assert secrets == {("tags", "owner"), ("list", 0)}
    assert encode(props, secrets) == sent


def test_an_unknown_value_is_found_at_any_depth() -> None:
    assert contains_unknown({"a": [{"b": UNKNOWN}]})
    assert not contains_unknown({"a": [{"b": "known"}]})


def test_check_repeats_secret_tags_as_secrets(east: Client) -> None:
    response = east.check_message(cloudwatch.LogGroup, "logs", message({"tags": {"owner": secret("me"), "open": "y"}}))
    _, secrets = decode(response.inputs)
    assert secrets == {("tags", "owner"), ("tagsAll", "owner")}


def test_a_secret_inside_a_document_makes_the_text_of_it_secret(east: Client) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": secret("kafka.amazonaws.com")}}
    document = {"Statement": [statement]}
    props, secrets = decode(east.check_message(iam.Role, "role", message({"assumeRolePolicy": document})).inputs)
    assert isinstance(props["assumeRolePolicy"], str)
    assert ("assumeRolePolicy",) in secrets


def test_outputs_are_secret_where_the_inputs_were(east: Client) -> None:
    checked = east.check(cloudwatch.LogGroup, "logs", {"tags": {"owner": "me"}})
    response = east.create_message(cloudwatch.LogGroup, "logs", checked, frozenset({("tags", "owner")}))
    props, secrets = decode(response.properties)
    assert props["tags"] == {"owner": "me"}
    assert secrets == {("tags", "owner")}
