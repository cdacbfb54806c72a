"""The policy pack on the real engine: our stacks obey it, a violation stops an update in time, and configuration works.

What each rule judges is tested in tests/policies; here it is that the engine hands the pack what those tests hand it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli import Pulumi, Result
from sandbox.server import Sandbox
from tests.engine.deployment import CLUSTER, DIRECTIONS, REGIONS, REPLICATOR, ROOT, Deployment

pytestmark = pytest.mark.engine

FOLDER = ("--policy-pack", "policies")
EXECUTABLE = ("--policy-pack", "policies/pack")
NAMES = "msk-replicator-names-identical"
WAITING = "msk-preview-complete"

# As users have it: clusters and topics are protected, and there is a topic.
GUARDED: dict[str, Any] = {"protect": True, "topics": [{"name": "customer", "partitions": 3}]}
# The program's own checks let this pass; the pack does not.
PREFIXED = {"topicNames": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS", "offsetSyncMode": "LEGACY"}


@dataclass(frozen=True, order=True)
class Violation:
    rule: str
    level: str
    urn: str
    message: str

    @property
    def resource(self) -> tuple[str, str]:
        """Type and name of the resource that the engine reports it of."""
        type_, name = self.urn.split("::")[-2:]
        return type_.split("$")[-1], name


def violations(result: Result) -> list[Violation]:
    found = [event["policyEvent"] for event in result.events if "policyEvent" in event]
    return sorted(
        Violation(e["policyName"], e["enforcementLevel"], e.get("resourceUrn", ""), e["message"]) for e in found
    )


def rules(result: Result) -> list[tuple[str, str]]:
    return [(violation.rule, violation.level) for violation in violations(result)]


def with_config(pack: tuple[str, ...], folder: Path, config: dict[str, Any]) -> tuple[str, ...]:
    file = folder / "policy-config.json"
    file.write_text(json.dumps(config))
    return (*pack, "--policy-pack-config", str(file))


def test_our_stacks_obey_every_rule_from_the_first_preview_on(nothing: Deployment) -> None:
    for stack in REGIONS:
        nothing.configure(stack, **GUARDED)
        preview = nothing.pulumi.preview(stack, *FOLDER).check()
        assert rules(preview) == [(WAITING, "advisory")]
        assert rules(nothing.up(stack, *FOLDER)) == []
        assert rules(nothing.pulumi.preview(stack, *FOLDER).check()) == []


@pytest.mark.parametrize("stack", REGIONS)
def test_our_stacks_obey_every_rule_in_every_direction(stack: str, pair: Deployment) -> None:
    pair.configure(stack, **GUARDED)
    for direction in DIRECTIONS:
        pair.configure(stack, direction=direction)
        preview = pair.pulumi.preview(stack, *FOLDER).check()
        assert {rule for rule, level in rules(preview)} <= {WAITING}
        assert rules(pair.up(stack, *FOLDER)) == []


def test_a_violation_stops_an_update_before_the_resource_is_touched(primary: Deployment) -> None:
    primary.configure("secondary", **GUARDED, **PREFIXED)
    primary.sandbox.forget_calls()
    result = primary.pulumi.up("secondary", *FOLDER)
    assert result.code != 0
    mandatory = [violation for violation in violations(result) if violation.level == "mandatory"]
    assert [(v.rule, v.resource) for v in mandatory] == [(NAMES, (REPLICATOR, "msk-dr-primary-to-secondary"))]
    assert "it must be 'IDENTICAL'" in mandatory[0].message
    touched = {call.operation for call in primary.changing_calls("us-east-2")}
    assert "kafka:CreateCluster" in touched or "kafka:CreateClusterV2" in touched
    assert "kafka:CreateReplicator" not in touched
    assert REPLICATOR not in primary.existing()

    # With the value put right the same update goes through.
    primary.configure("secondary", **dict.fromkeys(PREFIXED))
    assert rules(primary.up("secondary", *FOLDER)) == []


def test_a_violation_stops_the_change_of_what_exists(pair: Deployment) -> None:
    pair.configure("primary", **GUARDED, enhancedMonitoring="DEFAULT")
    result = pair.pulumi.up("primary", *FOLDER)
    assert result.code != 0
    mandatory = [violation for violation in violations(result) if violation.level == "mandatory"]
    assert [(v.rule, v.resource) for v in mandatory] == [
        ("msk-cluster-monitored-per-broker", (CLUSTER, "msk-dr-primary"))
    ]
    assert "kafka:UpdateMonitoring" not in {call.operation for call in pair.changing_calls()}


def test_a_preview_reports_every_violation_and_fails(nothing: Deployment) -> None:
    nothing.configure("primary", enhancedMonitoring="DEFAULT", kmsKey="aws-managed", topics=GUARDED["topics"])
    result = nothing.pulumi.preview("primary", *FOLDER)
    assert result.code == 1
    assert rules(result) == [
        ("msk-cluster-customer-managed-key", "advisory"),
        ("msk-cluster-monitored-per-broker", "mandatory"),
        ("msk-data-protected", "mandatory"),
        ("msk-data-protected", "mandatory"),
        (WAITING, "advisory"),
    ]
    # The executable says the same, word for word.
    assert violations(nothing.pulumi.preview("primary", *EXECUTABLE)) == violations(result)


def test_an_analysis_of_the_exported_state_agrees_with_the_update(pair: Deployment, tmp_path: Path) -> None:
    pair.configure("secondary", **GUARDED)
    pair.up("secondary", *FOLDER)
    export = json.loads(pair.pulumi.run("stack", "export", "--stack", "secondary").check().output)
    assert rules(analyzed(pair, export, tmp_path)) == []

    spoiled = [r for r in export["deployment"]["resources"] if r["type"] in (CLUSTER, REPLICATOR)]
    for resource in spoiled:
        if resource["type"] == CLUSTER:
            resource["protect"] = False
        else:
            topics = resource["inputs"]["replicationInfoList"]["topicReplications"][0]
            topics["topicNameConfiguration"]["type"] = PREFIXED["topicNames"]
            del resource["customTimeouts"]
    result = analyzed(pair, export, tmp_path)
    assert result.code == 1
    assert [(v.rule, v.resource) for v in violations(result)] == [
        ("msk-data-protected", (CLUSTER, "msk-dr-secondary")),
        (NAMES, (REPLICATOR, "msk-dr-primary-to-secondary")),
        ("msk-replicator-offset-sync-accepted", (REPLICATOR, "msk-dr-primary-to-secondary")),
        *[("msk-replicator-timeouts-long", (REPLICATOR, "msk-dr-primary-to-secondary"))] * 3,
    ]


# Another team's program: no component, no configuration of ours. The role's policy is known during the update only.
FOREIGN = """
import json
from pulumi_aws import iam

trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
role = iam.Role("reader", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))


def wide(arn: str) -> str:
    grant = {"Effect": "Allow", "Action": "kafka-cluster:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Id": arn.rpartition("/")[2], "Statement": [grant]})


iam.RolePolicy("reader", role=role.name, policy=role.arn.apply(wide))
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[tuple[Pulumi, Sandbox]]:
    project = tmp_path / "theirs"
    project.mkdir()
    runtime = "{name: python, options: {toolchain: pip, virtualenv: .venv}}"
    (project / "Pulumi.yaml").write_text(f"name: theirs\nruntime: {runtime}\n")
    (project / "__main__.py").write_text(FOREIGN)
    (project / ".venv").symlink_to(ROOT / ".venv")
    with Sandbox(tmp_path / "aws") as sandbox:
        pulumi = Pulumi(project, tmp_path / "projects", sandbox.env, on_line=print)
        pulumi.init("dev", {"aws:region": "eu-west-1"})
        yield pulumi, sandbox


def test_what_only_the_update_knows_stops_it_in_time_in_anybodys_program(foreign: tuple[Pulumi, Sandbox]) -> None:
    pulumi, sandbox = foreign
    pack = ("--policy-pack", str(ROOT / "policies"))
    preview = pulumi.preview("dev", *pack).check()
    assert rules(preview) == [(WAITING, "advisory")]
    assert "- reader: msk-permissions-name-clusters\n" in violations(preview)[0].message

    result = pulumi.up("dev", *pack)
    assert result.code != 0
    assert [(v.rule, v.level, v.resource) for v in violations(result)] == [
        ("msk-permissions-name-clusters", "mandatory", ("aws:iam/rolePolicy:RolePolicy", "reader"))
    ] * 2
    operations = [call.operation for call in sandbox.calls("global")]
    assert "iam:CreateRole" in operations
    assert "iam:PutRolePolicy" not in operations


def analyzed(deployment: Deployment, export: dict[str, Any], folder: Path) -> Result:
    state = folder / "state.json"
    state.write_text(json.dumps(export))
    # `policy analyze` writes its events to the standard output; it has no event log.
    result = deployment.pulumi.run("policy", "analyze", "--file", str(state), "--json", *FOLDER, stderr_too=True)
    lines = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    assert lines, result.output
    return Result(result.command, result.code, result.output, tuple(lines))


def test_levels_options_and_exemptions_are_configured_in_pulumis_own_way(nothing: Deployment, tmp_path: Path) -> None:
    nothing.configure("primary", enhancedMonitoring="DEFAULT")
    config = {
        "all": "advisory",
        "msk-data-protected": {"exemptions": [{"resource": "msk-dr-primary", "reason": "a pair for a day"}]},
        "msk-cluster-monitored-per-broker": {"minimumLevel": "DEFAULT"},
        "msk-cluster-kafka-version-offered": {"enforcementLevel": "mandatory", "allowedVersions": ["3.8.x"]},
        "msk-cluster-not-public": {"exemptions": [{"resource": "long-gone", "reason": "moved away"}]},
        WAITING: "disabled",
    }
    result = nothing.pulumi.preview("primary", *with_config(FOLDER, tmp_path, config))
    assert result.code == 1
    assert rules(result) == [("msk-cluster-kafka-version-offered", "mandatory"), ("msk-exemptions-used", "advisory")]
    assert "msk-cluster-not-public is for 'long-gone'" in violations(result)[1].message


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            {"msk-cluster-kafka-version-offered": {"allowedVersions": "3.8.x"}},
            "msk-cluster-kafka-version-offered: allowedVersions: Invalid type. Expected: array, given: string",
        ),
        (
            {"msk-cluster-not-public": {"exemptions": [{"resource": "msk-dr-primary"}]}},
            "msk-cluster-not-public: exemptions.0: reason is required",
        ),
        (
            {"msk-cluster-not-public": {"exemptions": [{"resource": "msk-dr-primary", "reason": " "}]}},
            "msk-cluster-not-public: exemptions.0.reason: Does not match pattern",
        ),
        ({"msk-cluster-not-public": "mandatry"}, '"mandatry" is not a valid enforcement level'),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_place_and_the_reason(
    config: dict[str, Any], says: str, nothing: Deployment, tmp_path: Path
) -> None:
    result = nothing.pulumi.preview("primary", *with_config(FOLDER, tmp_path, config))
    assert result.code != 0
    assert says in result.output
    assert nothing.calls() == []


def test_an_option_that_no_rule_has_is_reported(nothing: Deployment, tmp_path: Path) -> None:
    nothing.configure("primary", **GUARDED)
    config = {"msk-cluster-not-public": {"exemption": []}, WAITING: "disabled"}
    result = nothing.pulumi.preview("primary", *with_config(FOLDER, tmp_path, config))
    assert result.code == 1
    assert rules(result) == [("msk-options-known", "mandatory")]
