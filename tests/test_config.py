"""The rules of the configuration: each one breaks, passes at its edge, and says what to do.

What no unit test can prove: that AWS accepts all that passes here, and that its limits have not changed since they were
written down (`test_limits.py` compares those that are in AWS's own service models).
"""

import ast
import ipaddress
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import pulumi
import pytest

import config
from config import ConfigError, Settings, as_inputs, flows, key_of
from tests import recording
from tests.messages import SHAPE
from tests.recording import ACCOUNT, DIRECTIONS, STACKS, run_program, settings_of

KEY_ARN: Final = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1b2c"
SNS_ARN: Final = f"arn:aws:sns:us-east-1:{ACCOUNT}:on-call"
CA_ARN: Final = f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority/1b2c"


@dataclass(frozen=True)
class Spoil:
    """One mistake in an otherwise good configuration of the primary stack, and pieces of the message for it."""

    config: dict[str, Any]
    says: tuple[str, ...]


def topic(**configs: Any) -> list[dict[str, Any]]:
    return [{"name": "orders", "partitions": 3, "configs": configs}]


def patterns(count: int) -> list[str]:
    return [f"orders-{number}" for number in range(count)]


SPOILS: Final = (
    # Reading
    Spoil({"role": None}, ("role is not set; it has no default. Run `pulumi config set role <value>`.",)),
    Spoil({"brokerCount": "three"}, ("brokerCount is 'three'; it must be a whole number.",)),
    Spoil({"brokerCount": True}, ("brokerCount is 'true'; it must be a whole number.",)),
    Spoil({"brokerCount": 3.0}, ("brokerCount is '3.0'; it must be a whole number.",)),
    Spoil({"scram": "yes"}, ("scram is 'yes'; it must be true or false.",)),
    Spoil({"scram": 1}, ("scram is '1'; it must be true or false.",)),
    Spoil({"zoneIds": "use1-az1"}, ("zoneIds is 'use1-az1'; it must be a list.",)),
    Spoil({"tags": "team"}, ("tags is 'team'; it must be an object.",)),
    Spoil({"tags": {"team": 1}}, ("tags is '{\"team\": 1}'; every value in it must be text. Put quotation marks",)),
    Spoil({"clientCidrs": [10]}, ("clientCidrs is '[10]'; every entry must be text. Put quotation marks",)),
    Spoil({"brokerCuont": 3}, ("brokerCuont is no key of this program; it would be ignored.", "'brokerCount'?")),
    Spoil({"xyzzy": 3}, ("xyzzy is no key of this program;", "the keys are listed in Pulumi.yaml.")),
    Spoil({"aws:region": None}, ("aws:region is not set; every stack has its own Region. Run `pulumi config set",)),
    # The pair
    Spoil({"role": "standby"}, ("role is 'standby'; it must be one of primary, secondary.",)),
    Spoil({"direction": "bidirectionel"}, ("direction is 'bidirectionel'; it must be one", "mean 'bidirectional'?")),
    Spoil({"aws:region": "us-east"}, ("aws:region is 'us-east'; it must be a Region's id.",)),
    Spoil({"name": ""}, ("name is ''; it must have 1 to 35 letters, digits and hyphens",)),
    Spoil({"name": "-msk"}, ("name is '-msk'; it must have 1 to 35 letters, digits and hyphens and not begin",)),
    Spoil({"name": "msk_dr"}, ("name is 'msk_dr'; it must have 1 to 35 letters",)),
    Spoil({"name": "m" * 36}, ("; it must have 1 to 35 letters",)),
    Spoil({"name": "msk-us-east-2"}, ("name is 'msk-us-east-2'; it must not contain the id of another", "us-east-1")),
    Spoil({"peerStack": ""}, ("peerStack is ''; it must be the name of the other stack",)),
    Spoil({"peerStack": "acme/secondary"}, ("peerStack is 'acme/secondary'; it must be the name of the other",)),
    Spoil({"peerStack": "primary"}, ("peerStack is 'primary'; it must not be this stack.",)),
    # Network
    Spoil({"vpcCidr": "10.0.0.0"}, ("vpcCidr is '10.0.0.0'; it must be an IPv4 network (its usual form is",)),
    Spoil({"vpcCidr": "10.0.0.1/16"}, ("vpcCidr is '10.0.0.1/16'; it must be an IPv4", "has host bits set")),
    Spoil({"vpcCidr": "10.8.0.0/15"}, ("vpcCidr is '10.8.0.0/15'; it must be from /16 to /24", "'10.8.0.0/16'")),
    Spoil({"vpcCidr": "10.8.3.0/25"}, ("vpcCidr is '10.8.3.0/25'; it must be from /16 to /24", "'10.8.0.0/16'")),
    Spoil({"vpcCidr": "8.8.0.0/16"}, ("vpcCidr is '8.8.0.0/16'; it must be private.",)),
    Spoil({"vpcCidr": "127.0.0.0/16"}, ("vpcCidr is '127.0.0.0/16'; it must be private.",)),
    Spoil({"zoneIds": ["use1-az1", "use1-az2"]}, ("zoneIds is ['use1-az1', 'use1-az2']; Express", "Name three,")),
    Spoil({"zoneIds": ["use1-az1", "use1-az2", "use1-az2"]}, ("zoneIds is [", "exactly 3 different zones")),
    Spoil({"zoneIds": ["use1-az1", "use1-az2", "use1-az3"]}, ("zoneIds has 'use1-az3'; there are no Express",)),
    Spoil({"zoneIds": ["use1-az1", "use1-az2", "us-east-1c"]}, ("zoneIds has 'us-east-1c'; zone ids of us-east-1",)),
    Spoil({"zoneIds": ["use1-az1", "use1-az2", "use2-az1"]}, ("zoneIds has 'use2-az1'; zone ids", "'use1-az1'")),
    # Cluster
    Spoil({"kafkaVersion": "3.7.x"}, ("kafkaVersion is '3.7.x'; it must be one of 3.8.x, 3.9.x.kraft, 4.2.x.kraft",)),
    Spoil({"kafkaVersion": "3.9.x"}, ("Did you mean '3.9.x.kraft'?",)),
    Spoil({"instanceType": "kafka.m7g.large"}, ("instanceType is 'kafka.m7g.large'; it must be one of express.",)),
    Spoil({"enhancedMonitoring": "PER_TOPIC"}, ("enhancedMonitoring is 'PER_TOPIC'; it must be one of DEFAULT,",)),
    Spoil({"logRetentionDays": 31}, ("logRetentionDays is 31; it must be one of 1, 3, 5, 7,",)),
    Spoil({"brokerCount": 4}, ("brokerCount is 4; it must be a multiple of 3, one for each zone,", "Set it to 6.")),
    Spoil({"brokerCount": 0}, ("brokerCount is 0; it must be", "Set it to 3.")),
    Spoil({"brokerCount": -3}, ("brokerCount is -3; it must be", "Set it to 3.")),
    Spoil({"brokerCount": 63}, ("brokerCount is 63; it must be", "to 60 with Kafka 3.9.x.kraft", "Set it to 60.")),
    Spoil({"brokerCount": 33, "kafkaVersion": "3.8.x"}, ("brokerCount is 33; it must be", "Set it to 30.")),
    Spoil({"kmsKey": "alias/msk"}, ("kmsKey is 'alias/msk'; it must be 'create', 'aws-managed' or the ARN",)),
    Spoil({"kmsKey": KEY_ARN.replace("east-1", "west-2")}, ("or the ARN of a key in us-east-1.",)),
    Spoil({"mtlsCertificateAuthorityArns": ["ca"]}, ("mtlsCertificateAuthorityArns has 'ca'; it must be the ARN",)),
    # Connectivity
    Spoil({"clientCidrs": ["0.0.0.0/0"]}, ("clientCidrs has '0.0.0.0/0'; brokers are reached from private networks",)),
    Spoil({"clientCidrs": ["192.168.0.0/15"]}, ("clientCidrs has '192.168.0.0/15'; brokers are reached",)),
    Spoil({"clientCidrs": ["10.0.0.0/255.0.0.0"]}, ("clientCidrs has '10.0.0.0/255.0.0.0'; it must be an IPv4",)),
    Spoil({"clientCidrs": ["10.5.0.0/16"] * 2}, ("clientCidrs has '10.5.0.0/16' 2 times; every network may occur",)),
    # Topics
    Spoil({"topics": ["orders"]}, ('topics[0] is "orders"; it must be an object with `name`, `partitions`',)),
    Spoil({"topics": [{"name": "orders"}]}, ("topics[0] is ", "it must be an object with `name`, `partitions`")),
    Spoil({"topics": [{"name": "a", "partitions": 1, "replicas": 3}]}, ("topics[0] is ", "it must be an object")),
    Spoil({"topics": [{"name": "a", "partitions": "1"}]}, ("topics[0] is ", "partitions a whole number.")),
    Spoil({"topics": [{"name": "a", "partitions": True}]}, ("topics[0] is ", "partitions a whole number.")),
    Spoil({"topics": [{"name": 7, "partitions": 1}]}, ("topics[0] is ", "name must be text and partitions")),
    Spoil({"topics": [{"name": "a", "partitions": 1, "configs": []}]}, ("topics[0] is ", "configs must be an object")),
    Spoil(
        {"topics": topic(**{"retention.ms": 0.5})},
        (
            "topics[0] is ",
            "configs must be an object of Kafka settings",
        ),
    ),
    Spoil({"topics": [{"name": "or ders", "partitions": 1}]}, ("topics has 'or ders'; a topic's name has 1 to 249",)),
    Spoil({"topics": [{"name": "..", "partitions": 1}]}, ("topics has '..'; a topic's name",)),
    Spoil({"topics": [{"name": "o" * 250, "partitions": 1}]}, ("a topic's name has 1 to 249 letters",)),
    Spoil(
        {"topics": [{"name": "a", "partitions": 0}]}, ("topics has 'a' with 0 partitions; it must have at least 1.",)
    ),
    Spoil({"topics": topic() * 2}, ("topics has 'orders' 2 times; every name may occur once. Remove the others.",)),
    Spoil(
        {"topics": topic(**{"min.insync.replicas": 1})},
        ("topics has 'orders' with the setting 'min.insync.replicas'; Express brokers let one set only cleanup.",),
    ),
    Spoil({"topics": topic(**{"retention.ms": "7d"})}, ("with retention.ms '7d'; it must be whole milliseconds",)),
    Spoil({"topics": topic(**{"retention.ms": "-2"})}, ("with retention.ms '-2'; it must be whole milliseconds",)),
    Spoil({"topics": topic(**{"retention.ms": 2**63})}, ("with retention.ms '9223372036854775808'; it must be whole",)),
    Spoil(
        {"topics": topic(**{"message.timestamp.before.max.ms": -1})},
        ("with message.timestamp.before.max.ms '-1'; it must be whole milliseconds, at least 0.",),
    ),
    Spoil(
        {"topics": topic(**{"retention.ms": 2000, "message.timestamp.before.max.ms": 1999})},
        ("topics has 'orders' with message.timestamp.before.max.ms 1999; it must not be shorter", "(2000 ms)"),
    ),
    Spoil(
        {"topics": topic(**{"message.timestamp.before.max.ms": 86_400_000})},
        ("with message.timestamp.before.max.ms 86400000; it must not be shorter", "(604800000 ms)"),
    ),
    Spoil(
        {"topics": topic(**{"retention.ms": -1, "message.timestamp.before.max.ms": 2**62})},
        ("it must not be shorter than the topic keeps records (for ever)",),
    ),
    Spoil(
        {"topics": topic(**{"cleanup.policy": "compact", "message.timestamp.before.max.ms": 604_800_000})},
        ("it must not be shorter than the topic keeps records (for ever)",),
    ),
    Spoil(
        {"topics": [{"name": "a", "partitions": 1501}]},
        ("topics has 4503 partitions with their replicas; 3 brokers express.m7g.large hold at most 4500.",),
    ),
    # Replicator
    Spoil({"topicsToReplicate": []}, ("topicsToReplicate has 0 patterns; it must have 1 to 100. Write ['.*']",)),
    Spoil({"topicsToReplicate": ["(a)"] * 101}, ("topicsToReplicate has 101 patterns;", "Join some of them with '|'.")),
    Spoil({"topicsToExclude": ["a"] * 101}, ("topicsToExclude has 101 patterns; it must have 0 to 100.",)),
    Spoil({"consumerGroupsToReplicate": ["(a)"] * 101}, ("consumerGroupsToReplicate has 101 patterns; it must",)),
    Spoil({"consumerGroupsToExclude": ["a"] * 101}, ("consumerGroupsToExclude has 101 patterns; it must have 0",)),
    Spoil({"topicsToReplicate": ["*"]}, ("topicsToReplicate has '*', which looks like a glob;", "Write '.*'.")),
    Spoil({"topicsToReplicate": ["a", "["]}, ("topicsToReplicate has '[', which is no regular expression (untermin",)),
    Spoil({"consumerGroupsToReplicate": [""]}, ("consumerGroupsToReplicate has '', which is empty;", "Write '.*'")),
    Spoil({"topicsToExclude": ["a" * 250]}, ("which has 250 characters; at most 249 are allowed.",)),
    Spoil({"consumerGroupsToExclude": ["a" * 257]}, ("which has 257 characters; at most 256 are allowed.",)),
    Spoil({"topicsToReplicate": patterns(40)}, ("topicsToReplicate has 40 patterns and consumer", "at most 10240")),
    Spoil({"consumerGroupsToReplicate": patterns(60)}, ("consumerGroupsToReplicate 60; the Replicator's role",)),
    Spoil({"topicNames": "PREFIXED", "offsetSyncMode": "LEGACY"}, ("topicNames is 'PREFIXED'; it must be one of",)),
    Spoil({"startingPosition": "earliest"}, ("startingPosition is 'earliest'; it must be one of EARLIEST, LATEST.",)),
    Spoil({"offsetSyncMode": "enhanced"}, ("offsetSyncMode is 'enhanced'; it must be one of ENHANCED, LEGACY.",)),
    Spoil({"compression": "ZST"}, ("compression is 'ZST'; it must be one of NONE,", "Did you mean 'ZSTD'?")),
    Spoil({"iamWaitSeconds": 301}, ("iamWaitSeconds is 301; it must be from 0 to 300 seconds.",)),
    Spoil(
        {"topicNames": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"},
        ("offsetSyncMode is 'ENHANCED'; it needs topicNames 'IDENTICAL'", "Set topicNames to 'IDENTICAL'."),
    ),
    # Monitoring, client, tags
    Spoil({"rpoSeconds": 0}, ("rpoSeconds is 0; it must be from 1 to 86400 seconds.",)),
    Spoil({"alarmEmail": "on-call"}, ("alarmEmail is 'on-call'; it must be an e-mail address.",)),
    Spoil({"alarmTopicArn": SNS_ARN.replace("east-1", "east-2")}, ("alarmTopicArn is", "an SNS topic in us-east-1,")),
    Spoil({"alarmEmail": "a@b.org", "alarmTopicArn": SNS_ARN}, ("alarmEmail is 'a@b.org' and", "only one of the two")),
    Spoil({"clientInstanceType": "t3.small"}, ("clientInstanceType is 't3.small'; it must be a Graviton type",)),
    Spoil({"tags": {f"tag{n}": "" for n in range(48)}}, ("tags has 48 entries; at most 47 are allowed. Remove 1",)),
    Spoil({"tags": {"": "x"}}, ("tags has the key ''; a key has 1 to 128 characters",)),
    Spoil({"tags": {"AWS:team": "x"}}, ("tags has the key 'AWS:team'; a key has", "no prefix 'aws:'")),
    Spoil({"tags": {"team": "x" * 257}}, ("tags has 257 characters under 'team'; at most 256 are allowed.",)),
    Spoil({"tags": {"team": "a#b%"}}, ("tags has '#', '%' in 'team'; only letters, digits, spaces and",)),
)


def spoil_id(spoil: Spoil) -> str:
    return json.dumps(spoil.config)[:60]


def problems_of(settings: dict[str, Any], stack: str = "primary", region: str | None = None) -> tuple[str, ...]:
    """The messages for a configuration; none when it is accepted."""
    others = {key: value for key, value in settings.items() if key != "direction"}
    try:
        settings_of(stack, settings.get("direction", "primary-to-secondary"), region=region, **others)
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("spoil", SPOILS, ids=spoil_id)
def test_one_mistake_gets_one_message_that_names_key_value_rule_and_way_out(spoil: Spoil) -> None:
    problems = problems_of(spoil.config)
    assert len(problems) == 1, problems
    assert SHAPE.fullmatch(problems[0]), problems[0]
    for piece in spoil.says:
        assert piece in problems[0]


@pytest.mark.parametrize(
    "accepted",
    [
        {"name": "M" * 35},
        {"name": "0"},
        {"name": "msk-us-east-1"},
        {"peerStack": "acme/msk-dr/primary"},
        {"direction": "bidirectional"},
        {"direction": "secondary-to-primary"},
        {"vpcCidr": "172.16.0.0/16"},
        {"vpcCidr": "192.168.255.0/24"},
        {"zoneIds": ["use1-az1", "use1-az2", "use1-az4"]},
        *({"kafkaVersion": version} for version in ("3.8.x", "4.2.x.kraft")),
        {"instanceType": "express.m7g.16xlarge"},
        {"brokerCount": 60},
        {"brokerCount": 30, "kafkaVersion": "3.8.x"},
        {"enhancedMonitoring": "DEFAULT"},
        {"logRetentionDays": 3653},
        {"kmsKey": "aws-managed"},
        {"kmsKey": KEY_ARN},
        {"scram": True, "mtlsCertificateAuthorityArns": [CA_ARN]},
        {"clientCidrs": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "10.1.2.3/32"]},
        {"topics": topic()},
        {"topics": [{"name": "o" * 249, "partitions": 1500}]},
        {"topics": [{"name": "a.b_c-D", "partitions": 1}]},
        {"topics": topic(**{"retention.ms": 2000, "message.timestamp.before.max.ms": 2000})},
        {"topics": topic(**{"message.timestamp.before.max.ms": "604800000"})},
        {"topics": topic(**{"retention.ms": -1})},
        {"topics": topic(**{"cleanup.policy": "compact,delete", "message.timestamp.before.max.ms": 604_800_000})},
        {"topicsToReplicate": ["orders-.*", r"payments\..+", "a|b"]},
        {"topicsToReplicate": ["a" * 249]},
        {"topicsToReplicate": patterns(20)},
        {"topicsToExclude": ["a"] * 100, "consumerGroupsToExclude": ["a" * 256] * 100},
        {"consumerGroupsToReplicate": []},
        {"topicNames": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS", "offsetSyncMode": "LEGACY"},
        {"offsetSyncMode": "LEGACY"},
        {"startingPosition": "LATEST"},
        {"compression": "ZSTD"},
        {"copyTopicConfigurations": False, "copyTopicAcls": True},
        {"iamWaitSeconds": 0},
        {"iamWaitSeconds": 300},
        {"rpoSeconds": 86400},
        {"alarmEmail": "on.call+msk@example.org"},
        {"alarmTopicArn": SNS_ARN},
        {"client": False},
        {"clientInstanceType": "c7gn.xlarge"},
        {"protect": False},
        {"tags": {f"tag{n}": "x" * 256 for n in range(47)}},
        {"tags": {"t" * 128: "Größe 1/2 a+b=c @x:y_z-."}},
    ],
    ids=lambda accepted: json.dumps(accepted)[:60],
)
def test_values_at_the_edge_of_a_rule_are_accepted(accepted: dict[str, Any]) -> None:
    assert problems_of(accepted) == ()


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_files_as_they_are_are_accepted_in_every_direction(stack: str) -> None:
    for direction in DIRECTIONS:
        assert problems_of({"direction": direction}, stack) == ()


def test_the_name_may_hold_no_other_regions_id_in_either_stack() -> None:
    assert problems_of({"name": "msk-us-east-1"}) == ()
    assert len(problems_of({"name": "msk-us-east-1"}, "secondary")) == 1


def test_every_place_that_reports_a_mistake_is_reached_by_a_spoil() -> None:
    """So that a rule without a spoil cannot be added: the lines that spoils reach are compared with the source."""
    reached: set[int] = set()

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        reached.add(frame.f_lineno)
        return on_line

    def on_call(frame: FrameType, event: str, _: Any) -> Any:
        return on_line(frame, event, _) if frame.f_code.co_filename == config.__file__ else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        keys = {problem.split(" ")[0] for spoil in SPOILS for problem in problems_of(spoil.config)}
    finally:
        sys.settrace(before)

    with open(config.__file__) as source:
        places = list(reports(ast.parse(source.read())))
    assert len(places) > 40
    assert [ast.unparse(place) for place in places if not reached & span(place)] == []
    # A helper is one place for many keys: each key that it is called with needs a spoil.
    assert {key for place in places for key in keys_of_helper(place)} - keys == set()


def reports(tree: ast.AST) -> Iterator[ast.AST]:
    """Places that report a mistake, or ask a helper for the mistakes of a key."""
    for node in ast.walk(tree):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Yield) or keys_of_helper(node) or called in ("ValueError", "problems.append"):
            yield node


def keys_of_helper(node: ast.AST) -> list[str]:
    """The key in `yield from _helper("key", …)`."""
    if isinstance(node, ast.YieldFrom) and isinstance(node.value, ast.Call) and node.value.args:
        return [str(arg.value) for arg in node.value.args[:1] if isinstance(arg, ast.Constant)]
    return []


def span(node: Any) -> set[int]:
    return set(range(node.lineno, node.end_lineno + 1))


def test_the_places_that_report_are_found_in_every_form() -> None:
    found = list(
        reports(ast.parse("yield 'a'\nyield from _helper('key', 1)\nraise ValueError('x')\nproblems.append(1)"))
    )
    assert sorted(type(place).__name__ for place in found) == ["Call", "Call", "Yield", "YieldFrom"]
    assert [keys_of_helper(place) for place in found if isinstance(place, ast.YieldFrom)] == [["key"]]


def test_mistakes_in_every_section_are_reported_together_and_once() -> None:
    problems = problems_of(
        {
            "name": "msk dr",
            "vpcCidr": "8.8.0.0/16",
            "kafkaVersion": "2.8.1",
            "clientCidrs": ["0.0.0.0/0"],
            "topics": [{"name": "a b", "partitions": 1}, {"name": "c"}],
            "topicsToReplicate": ["*", "["],
            "rpoSeconds": 0,
            "clientInstanceType": "t3.small",
            "tags": {"": ""},
            "compresion": "NONE",
        }
    )
    assert sorted(problem.split(" ")[0] for problem in problems) == [
        "clientCidrs",
        "clientInstanceType",
        "compresion",
        "kafkaVersion",
        "name",
        "rpoSeconds",
        "tags",
        "topics",
        "topicsToReplicate",
        "topicsToReplicate",
        "topics[1]",
        "vpcCidr",
    ]


def test_a_value_of_the_wrong_type_hides_no_other_mistake() -> None:
    problems = problems_of({"brokerCount": "three", "kafkaVersion": "2.8.1", "rpoSeconds": 0, "role": None, "name": ""})
    assert sorted(problem.split(" ")[0] for problem in problems) == [
        "brokerCount",
        "kafkaVersion",
        "name",
        "role",
        "rpoSeconds",
    ]


def test_the_same_mistake_twice_is_reported_once() -> None:
    problems = problems_of({"topics": [{"name": "a", "partitions": 0}] * 2, "topicsToReplicate": ["*", "*"]})
    assert [problem.split(" ")[0] for problem in problems] == ["topics", "topicsToReplicate"]


def test_the_error_counts_its_messages_and_prints_without_a_traceback() -> None:
    with pytest.raises(ConfigError) as one:
        settings_of("primary", brokerCount=4)
    assert str(one.value).startswith("1 mistake in the configuration; nothing was changed.\n- brokerCount is 4;")
    with pytest.raises(ConfigError, match="^2 mistakes in the configuration; nothing was changed."):
        settings_of("primary", brokerCount=4, rpoSeconds=0)
    # Pulumi prints this kind of error as text alone.
    assert isinstance(one.value, pulumi.RunError)


def test_nothing_is_registered_or_called_before_the_configuration_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(recording._Answers, "new_resource", lambda self, args: asked.append(args))
    monkeypatch.setattr(recording._Answers, "call", lambda self, args: asked.append(args))
    with pytest.raises(ConfigError):
        run_program("secondary", peer_outputs={}, rpoSeconds=0)
    assert asked == []


@pytest.mark.parametrize(
    ("direction", "running"),
    [
        ("primary-to-secondary", {("primary", "secondary")}),
        ("bidirectional", {("primary", "secondary"), ("secondary", "primary")}),
        ("secondary-to-primary", {("secondary", "primary")}),
    ],
)
def test_a_stack_hosts_a_replicator_exactly_when_it_is_the_target_of_a_flow(
    direction: str, running: set[tuple[str, str]]
) -> None:
    assert flows(direction) == running
    for stack in STACKS:
        pair = settings_of(stack, direction).pair
        assert pair.hosts_replicator == (stack in {target for _, target in running})
        assert pair.replicator_name == f"msk-dr-{pair.peer_role}-to-{stack}"


def test_only_a_primary_stack_without_a_replicator_does_not_read_the_other_stack() -> None:
    reading = {(stack, d) for stack in STACKS for d in DIRECTIONS if settings_of(stack, d).pair.reads_peer}
    assert reading == {(stack, d) for stack in STACKS for d in DIRECTIONS} - {("primary", "primary-to-secondary")}


@pytest.mark.parametrize("cidr", ["10.10.0.0/16", "10.10.7.0/24"])
def test_the_vpc_is_cut_into_four_equal_subnets_that_fill_it(cidr: str) -> None:
    subnets = [ipaddress.IPv4Network(text) for text in settings_of("primary", vpcCidr=cidr).network.subnet_cidrs]
    assert len({subnet.prefixlen for subnet in subnets}) == 1
    assert len(subnets) == 4
    assert list(ipaddress.collapse_addresses(subnets)) == [ipaddress.IPv4Network(cidr)]


def test_the_smallest_vpc_has_room_for_twenty_brokers_in_each_zone() -> None:
    smallest = settings_of("primary", vpcCidr=f"10.10.7.0/{config.SMALLEST_VPC}").network.subnet_cidrs[0]
    taken_by_aws = 5
    assert 2 ** (32 - int(smallest.split("/")[1])) - taken_by_aws == 59


def test_a_topic_accepts_records_of_any_age_unless_its_declaration_says_otherwise() -> None:
    declared = [
        {"name": "plain", "partitions": 1},
        {"name": "own", "partitions": 1, "configs": {"retention.ms": 5, "message.timestamp.before.max.ms": 7}},
    ]
    plain, own = settings_of("primary", topics=declared).topics.topics
    assert plain.effective_configs == {"message.timestamp.before.max.ms": "9223372036854775807"}
    assert own.effective_configs == {"retention.ms": "5", "message.timestamp.before.max.ms": "7"}


def test_kafka_settings_of_a_topic_become_text() -> None:
    (topic_settings,) = settings_of(
        "primary", topics=topic(**{"retention.ms": 5, "compression.type": "zstd"})
    ).topics.topics
    assert topic_settings.configs == {"retention.ms": "5", "compression.type": "zstd"}


def test_the_programs_own_tags_win_over_the_users() -> None:
    tags = settings_of("secondary", tags={"team": "data", "msk-dr:role": "x"}).cluster.tags
    assert tags == {"team": "data", "msk-dr:pair": "msk-dr", "msk-dr:role": "secondary"}


def test_settings_become_inputs_under_the_names_of_their_keys() -> None:
    inputs = as_inputs(settings_of("primary", clientCidrs=["10.9.0.0/16"]).connectivity)
    assert inputs.pop("tags")["msk-dr:role"] == "primary"
    assert inputs == {"clientCidrs": ["10.9.0.0/16"], "scram": False, "mtls": False}
    assert [key_of("vpc_cidr"), key_of("name")] == ["vpcCidr", "name"]


def test_clients_ports_follow_from_the_mechanisms_that_are_on() -> None:
    def ports(settings: Settings) -> list[int]:
        return list(settings.connectivity.client_ports.values())

    assert ports(settings_of("primary")) == [9098]
    assert ports(settings_of("primary", scram=True)) == [9098, 9096]
    assert ports(settings_of("primary", scram=True, mtlsCertificateAuthorityArns=[CA_ARN])) == [9098, 9096, 9094]


def test_the_client_has_no_settings_when_it_is_off() -> None:
    assert settings_of("primary").client is not None
    assert settings_of("primary", client=False).client is None
    assert settings_of("primary", client=False).network.client is False
