"""What is written about the rules is what the table says."""

import json
import re
from typing import Any

import pulumi_aws
import pytest
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]
from click.testing import CliRunner
from pulumi_aws import cloudwatch, ec2, iam, msk, mskconnect, vpc

from policies.rules import RULES, tokens
from tests.policies.documents import (
    PEERS,
    README,
    SCHEMA,
    TABLES,
    between,
    schema_text,
)


@pytest.mark.parametrize("name", TABLES)
def test_the_readmes_tables_are_those_of_the_rules(name: str) -> None:
    assert between(README.read_text(), name) == TABLES[name]()


def test_every_rule_of_another_tool_is_covered_or_has_a_reason_why_not() -> None:
    covered = [cover for rule in RULES for cover in rule.covers]
    known = {peer: reason for peers in PEERS.values() for peer, reason in peers.items()}
    assert set(covered) == {peer for peer, reason in known.items() if reason is None}
    # The two that contradict what the pack stands for are named as such.
    assert sum("contradicts" in (reason or "") for reason in known.values()) == 2


def test_all_of_cdk_preflights_rules_on_express_and_replicators_are_covered() -> None:
    ours = {cover for rule in RULES for cover in rule.covers}
    theirs = [peer for peer in PEERS["cdk-preflight"] if peer.startswith(("pf-msk-express", "pf-msk-replicator"))]
    assert len(theirs) == 14
    assert len(PEERS["cdk-preflight"]) == 52
    assert set(theirs) <= ours


def test_names_say_msk_and_are_of_their_own() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"msk(-[a-z]+)+", name) for name in names)


def test_every_rule_says_why_in_one_sentence_and_where_to_read_more() -> None:
    for rule in RULES:
        assert re.fullmatch(r"[A-Z][^.]*(\.[^. ][^.]*)*\.", rule.why), rule.name
        assert rule.url.startswith("https://")
        assert rule.types
        assert bool(rule.checks) != bool(rule.stack_checks)


def test_types_are_those_of_the_provider() -> None:
    of_provider = {
        resource.pulumi_type
        for module in (msk, mskconnect, iam, ec2, vpc, cloudwatch)
        for resource in vars(module).values()
        if hasattr(resource, "pulumi_type")
    }
    ours = {value for name, value in vars(tokens).items() if name.isupper()}
    assert ours - of_provider == {tokens.STACK}
    assert {typ for rule in RULES for typ in rule.types} <= ours
    assert pulumi_aws.__name__  # the pack itself never loads it: test_start.py


def test_the_schema_of_the_configuration_is_the_tables() -> None:
    assert SCHEMA.read_text() == schema_text()


VALID: tuple[dict[str, Any], ...] = (
    {},
    {"all": "advisory", "msk-cluster-not-public": "mandatory"},
    {"msk-cluster-kafka-version-offered": {"allowedVersions": ["4.2.x.kraft"], "enforcementLevel": "advisory"}},
    {
        "msk-resources-tagged": {
            "requiredTags": ["team"],
            "exemptions": [{"resource": "old-*", "reason": "leaves in May"}],
        }
    },
)
INVALID: tuple[tuple[dict[str, Any], str], ...] = (
    ({"msk-cluster-publik": "mandatory"}, "'msk-cluster-publik' was unexpected"),
    ({"msk-cluster-not-public": "mandatry"}, "is not valid under any of the given schemas"),
    ({"msk-cluster-not-public": {"exemption": []}}, "'exemption' was unexpected"),
    ({"msk-cluster-not-public": {"exemptions": [{"resource": "x"}]}}, "'reason' is a required property"),
    ({"msk-cluster-not-public": {"exemptions": [{"resource": "x", "reason": " "}]}}, "does not match"),
    ({"msk-replicator-timeouts-long": {"minimumMinutes": 0}}, "less than the minimum"),
)


def checked(config: dict[str, Any], tmp_path: Any) -> Any:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return CliRunner().invoke(check_jsonschema, ["--schemafile", str(SCHEMA), "--verbose", str(file)])


@pytest.mark.parametrize("config", VALID)
def test_the_schema_takes_what_is_right(config: dict[str, Any], tmp_path: Any) -> None:
    result = checked(config, tmp_path)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("config", "says"), INVALID)
def test_the_schema_names_what_is_wrong(config: dict[str, Any], says: str, tmp_path: Any) -> None:
    result = checked(config, tmp_path)
    assert result.exit_code == 1
    assert says in result.output
