"""Whatever is configured: a clear error or a program that runs, never anything else.

What no unit test can prove: that a configuration which passes can be deployed.
"""

import json
from collections import Counter
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components import limits
from config import KEYS, ConfigError, Settings
from tests.messages import SHAPE
from tests.recording import ACCOUNT, DIRECTIONS, STACKS, Run, run_program, settings_of

NAMES: Final = st.from_regex(r"[a-zA-Z0-9._-]{1,12}", fullmatch=True)
PATTERNS: Final = st.sampled_from(
    [".*", "orders-.*", r"orders\.v\d+", "a|b", "(?!__).*", "*", "orders-*", "[", "größe"]
)
CIDRS: Final = st.one_of(
    st.sampled_from(
        ["10.10.0.0/16", "10.20.0.0/24", "0.0.0.0/0", "10.0.0.0/8", "100.64.0.0/10", "10.0.0.1/16", "10.0.0.0"]
    ),
    st.tuples(st.ip_addresses(v=4), st.integers(0, 33)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
)
CONFIGS: Final = st.dictionaries(
    st.sampled_from([*limits.EXPRESS_TOPIC_CONFIGS, "min.insync.replicas"]),
    st.one_of(st.integers(-2, 2**64), st.sampled_from(["compact", "delete", "-1", "604800000", True, None, 0.5])),
    max_size=3,
)
TOPICS: Final = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": NAMES, "partitions": st.integers(-1, 2000)}, optional={"configs": CONFIGS}),
        st.fixed_dictionaries({"name": NAMES}, optional={"partitions": st.none(), "replicas": st.just(3)}),
    ),
    max_size=4,
)

PLAUSIBLE: Final[dict[str, st.SearchStrategy[Any]]] = {
    "role": st.sampled_from([*STACKS, "standby"]),
    "peerStack": st.sampled_from(["primary", "secondary", "acme/msk/secondary", "a/b", ""]),
    "direction": st.sampled_from([*DIRECTIONS, "both"]),
    "name": st.one_of(st.from_regex(r"[a-zA-Z0-9-]{0,40}", fullmatch=True), st.just("us-west-2")),
    "vpcCidr": CIDRS,
    "zoneIds": st.lists(st.sampled_from(["use1-az1", "use1-az2", "use1-az3", "use1-az4", "use2-az1", "x"]), max_size=4),
    "clientCidrs": st.lists(CIDRS, max_size=3),
    "kafkaVersion": st.sampled_from([*limits.EXPRESS_KAFKA_VERSIONS, "3.6.0"]),
    "instanceType": st.sampled_from([*limits.EXPRESS_INSTANCES, "kafka.m7g.large"]),
    "brokerCount": st.sampled_from([-3, 0, 2, 3, 4, 6]),
    "enhancedMonitoring": st.sampled_from([*limits.MONITORING_LEVELS, "ALL"]),
    "logRetentionDays": st.sampled_from([*limits.LOG_RETENTION_DAYS, 2]),
    "kmsKey": st.sampled_from(["create", "aws-managed", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1", "key"]),
    "scram": st.booleans(),
    "mtlsCertificateAuthorityArns": st.lists(
        st.sampled_from([f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority/{n}" for n in "12"] + ["ca"]),
        max_size=2,
    ),
    "topics": TOPICS,
    "topicsToReplicate": st.lists(PATTERNS, max_size=4),
    "topicsToExclude": st.lists(PATTERNS, max_size=4),
    "consumerGroupsToReplicate": st.lists(PATTERNS, max_size=4),
    "consumerGroupsToExclude": st.lists(PATTERNS, max_size=4),
    "topicNames": st.sampled_from([*limits.TOPIC_NAMES, "PREFIXED"]),
    "startingPosition": st.sampled_from([*limits.STARTING_POSITIONS, "NOW"]),
    "offsetSyncMode": st.sampled_from([*limits.OFFSET_SYNC_MODES, "OFF"]),
    "compression": st.sampled_from([*limits.COMPRESSION_TYPES, "BROTLI"]),
    "copyTopicConfigurations": st.booleans(),
    "copyTopicAcls": st.booleans(),
    "iamWaitSeconds": st.integers(-1, 301),
    "client": st.booleans(),
    "clientInstanceType": st.sampled_from(["t4g.small", "m7gd.large", "t3.small", ""]),
    "alarmEmail": st.sampled_from(["", "a@b.org", "a@b"]),
    "alarmTopicArn": st.sampled_from(["", f"arn:aws:sns:us-east-1:{ACCOUNT}:t", "t"]),
    "rpoSeconds": st.integers(0, 86401),
    "protect": st.booleans(),
    "tags": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
}
"""For each key values that are right, or wrong in the ways that people get them wrong."""

ANYTHING: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)

ANY_VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    **{key: st.one_of(PLAUSIBLE[key], ANYTHING, st.text(max_size=10)) for key in KEYS},
    "aws:region": st.one_of(st.sampled_from(["us-east-1", "eu-central-1", "us-east"]), st.text(max_size=12)),
    "somethingElse": ANYTHING,
}
"""A value that is None unsets its key."""


def some_of(values: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Configurations of a few keys at a time."""
    keys = st.lists(st.sampled_from(sorted(values)), unique=True, max_size=most)
    return keys.flatmap(lambda chosen: st.fixed_dictionaries({key: values[key] for key in chosen}))


def read(stack: str, configuration: dict[str, Any]) -> Settings | ConfigError:
    configuration = dict(configuration)
    direction = configuration.pop("direction", "primary-to-secondary")
    try:
        return settings_of(stack, direction, **configuration)
    except ConfigError as error:
        return error


def test_every_key_is_fuzzed() -> None:
    assert PLAUSIBLE.keys() == KEYS.keys()


@given(st.sampled_from(STACKS), some_of(ANY_VALUES, 8))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_configuration_is_settings_or_messages_of_the_usual_shape(
    stack: str, configuration: dict[str, Any]
) -> None:
    result = read(stack, configuration)
    if isinstance(result, ConfigError):
        assert result.problems
        assert max(Counter(result.problems).values()) == 1
        assert [problem for problem in result.problems if not SHAPE.fullmatch(problem)] == []


@given(st.sampled_from(STACKS), st.sampled_from(sorted(KEYS)), st.data())
@settings(max_examples=120, deadline=None)
def test_a_mistake_in_one_key_is_told_of_that_key(stack: str, key: str, data: st.DataObject) -> None:
    """Or of the one that it does not go together with."""
    value = data.draw(st.one_of(PLAUSIBLE[key], ANYTHING))
    result = read(stack, {key: value})
    if isinstance(result, ConfigError):
        together = {"topicNames": "offsetSyncMode", "consumerGroupsToReplicate": "topicsToReplicate"}
        told = {problem.split(" ")[0].split("[")[0] for problem in result.problems}
        assert told <= {key, together.get(key, key)}, result.problems


@given(
    st.sampled_from(STACKS),
    st.sampled_from(DIRECTIONS),
    some_of({key: PLAUSIBLE[key] for key in KEYS.keys() - {"role", "peerStack", "direction"}}, 12),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_settings_make_a_program_that_runs(stack: str, direction: str, configuration: dict[str, Any]) -> None:
    """What is wrong is left out, so that what is left is taken; the recorder refuses what the engine would."""
    for key in [*configuration]:
        if isinstance(read(stack, configuration), ConfigError) and isinstance(
            read(stack, {key: configuration[key]}), ConfigError
        ):
            del configuration[key]
    result = read(stack, configuration)
    if isinstance(result, ConfigError):  # keys that do not go together
        return
    run = run_program(stack, direction, **configuration)
    assert isinstance(run, Run)
    assert run.kinds()["msk.Cluster"] == 1
    assert run.kinds()["msk.Topic"] == len(configuration.get("topics", []))
    assert run.kinds()["cloudwatch.MetricAlarm"] >= 2 + 4 * configuration.get("brokerCount", 3)
    assert json.dumps(run.exports)
