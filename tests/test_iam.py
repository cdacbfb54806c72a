"""Every IAM document that the program writes: known actions, resources of the right type, nothing wider than meant.

parliament knows the service authorization reference: which actions there are, and which resources each one takes. What
no unit test can prove: that the service, which checks the Replicator's role when the Replicator is created, finds in it
what it needs.
"""

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from components.replicator_role import execution_policy
from config import ConfigError
from tests.recording import ACCOUNT, DIRECTIONS, EVERYTHING, STACKS, run_program, settings_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources, which is deprecated
    import parliament  # type: ignore[import-untyped]

UUID: Final = "0f1e2d3c-0f1e-0f1e-0f1e-0f1e2d3c4b5a-27"

ANY_RESOURCE: Final = {"kafka:GetBootstrapBrokers"}
"""Actions that know no resource, so that nothing but `*` can be written for them."""

FALSE_FINDINGS: Final = {
    ("trust", "MALFORMED", "Statement contains neither Resource nor NotResource"): (
        "A trust policy belongs to its role and has no resource; parliament reads identity policies only."
    ),
    ("resource policy", "RESOURCE_MISMATCH", "kafka:CreateVpcConnection"): (
        "MSK wants its cluster's ARN for all actions of a cluster policy (`The cluster policy is not valid. Invalid "
        "cluster arn`); the reference lists what identity policies take."
    ),
    ("resource policy", "RESOURCE_MISMATCH", "kafka:GetBootstrapBrokers"): "The same.",
}
"""Findings of parliament that are none, each with its reason."""


@dataclass(frozen=True)
class Document:
    """A policy document: of an identity, of a resource, or of who may take a role."""

    kind: str
    where: str
    text: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.text)["Statement"]
        return found


KINDS: Final = {
    ("iam.RolePolicy", "policy"): "identity",
    ("iam.Role", "assumeRolePolicy"): "trust",
    ("msk.ClusterPolicy", "policy"): "resource policy",
}


def documents() -> Iterator[Document]:
    """Every document of either stack, in every direction, as configured by default and with everything."""
    runs = [run_program(stack, direction) for stack in STACKS for direction in DIRECTIONS]
    runs += [run_program(stack, "bidirectional", **EVERYTHING) for stack in STACKS]
    seen = set()
    for resource in (resource for run in runs for resource in run.resources):
        for key, text in resource.inputs.items():
            if isinstance(text, str) and '"Statement"' in text and text not in seen:
                seen.add(text)
                yield Document(KINDS[resource.kind, key], f"{resource.kind} {resource.name}", text)


@pytest.fixture(scope="module")
def all_documents() -> list[Document]:
    return list(documents())


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def findings(document: Document) -> Iterator[tuple[str, str, str]]:
    """What parliament says, an entry for each action that it speaks of."""
    for finding in parliament.analyze_policy_string(document.text).findings:
        if isinstance(finding.detail, list):
            yield from ((document.kind, finding.issue, entry["action"]) for entry in finding.detail)
        else:
            yield (document.kind, finding.issue, str(finding.detail))


def test_the_program_writes_documents_of_these_kinds_and_no_managed_policy_of_its_own(
    all_documents: list[Document],
) -> None:
    kinds = {document.kind: {d.where for d in all_documents if d.kind == document.kind} for document in all_documents}
    assert kinds == {
        "identity": {
            "iam.RolePolicy msk-dr-primary-client",
            "iam.RolePolicy msk-dr-primary-to-secondary",
            "iam.RolePolicy msk-dr-secondary-client",
            "iam.RolePolicy msk-dr-secondary-to-primary",
        },
        "trust": {"iam.Role msk-dr-secondary-to-primary", "iam.Role msk-dr-primary-client"},
        "resource policy": {"msk.ClusterPolicy msk-dr-primary", "msk.ClusterPolicy msk-dr-secondary"},
    }
    # All Replicators' roles trust alike, and each has rights as its lists are.
    assert len([document for document in all_documents if "-to-" in document.where]) == 1 + 2 * 2


def test_the_linter_finds_nothing_but_what_is_known_to_be_none(all_documents: list[Document]) -> None:
    found = {(finding, document.where) for document in all_documents for finding in findings(document)}
    assert {(finding, where) for finding, where in found if finding not in FALSE_FINDINGS} == set()
    assert {finding for finding, _ in found} == FALSE_FINDINGS.keys()


@pytest.mark.parametrize(
    ("action", "resource", "issue"),
    [
        ("kafka-cluster:ReadDatas", f"arn:aws:kafka:us-east-1:{ACCOUNT}:topic/c/u/*", "UNKNOWN_ACTION"),
        ("kafka-cluster:ReadData", f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/c/u", "RESOURCE_MISMATCH"),
        ("kafka-cluster:DescribeGroup", f"arn:aws:kafka:us-east-1:{ACCOUNT}:topic/c/u/*", "RESOURCE_MISMATCH"),
    ],
)
def test_the_linter_knows_kafkas_actions_and_their_resources(action: str, resource: str, issue: str) -> None:
    """It would find nothing wrong with a service that it does not know."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert {found for _, found, _ in findings(Document("identity", "", text))} == {issue}


def test_every_action_is_named_in_full_and_every_statement_allows(all_documents: list[Document]) -> None:
    for document in all_documents:
        assert json.loads(document.text)["Version"] == "2012-10-17"
        for statement in document.statements:
            assert statement["Effect"] == "Allow"
            assert statement.keys() & {"NotAction", "NotResource", "NotPrincipal"} == set()
            actions = as_list(statement["Action"])
            assert all(re.fullmatch(r"[a-z-]+:[A-Za-z0-9]+", action) for action in actions)
            assert len(set(actions)) == len(actions)


def test_every_resource_names_region_account_cluster_and_its_id(all_documents: list[Document]) -> None:
    arn = re.compile(
        rf"arn:aws:kafka:us-east-[12]:{ACCOUNT}:(?:cluster|topic|group)"
        r"/msk-dr-(?:primary|secondary)/[0-9a-f-]{36}-7(?:/[^/]+)?"
    )
    for document in all_documents:
        if document.kind == "trust":
            continue
        for statement in document.statements:
            if set(as_list(statement["Action"])) <= ANY_RESOURCE:
                assert statement["Resource"] == "*"
                continue
            for resource in as_list(statement["Resource"]):
                assert arn.fullmatch(resource), (document.where, statement["Sid"], resource)
                assert ("/cluster/" in resource or ":cluster/" in resource) or resource.count("/") == 3


def test_a_role_reaches_only_the_clusters_that_are_its_business(all_documents: list[Document]) -> None:
    reach = {
        "iam.RolePolicy msk-dr-primary-client": {"primary"},
        "iam.RolePolicy msk-dr-secondary-client": {"secondary"},
        "iam.RolePolicy msk-dr-primary-to-secondary": {"primary", "secondary"},
        "iam.RolePolicy msk-dr-secondary-to-primary": {"primary", "secondary"},
        "msk.ClusterPolicy msk-dr-primary": {"primary"},
        "msk.ClusterPolicy msk-dr-secondary": {"secondary"},
    }
    for document in all_documents:
        if document.kind != "trust":
            assert set(re.findall(r"/msk-dr-(primary|secondary)/", document.text)) == reach[document.where]


def test_a_replicator_reads_its_source_and_writes_its_target(all_documents: list[Document]) -> None:
    """What it may do the other way round is on its own internal topics only."""
    writes = {"WriteData", "CreateTopic", "AlterTopic", "AlterTopicDynamicConfiguration", "AlterGroup", "AlterCluster"}
    for document in all_documents:
        found = re.fullmatch(r"iam.RolePolicy msk-dr-(\w+)-to-(\w+)", document.where)
        if not found:
            continue
        source, target = found.groups()
        for statement in document.statements:
            actions = {action.split(":")[1] for action in as_list(statement["Action"])}
            names = "|".join(as_list(statement["Resource"]))
            if statement["Sid"] == "InternalTopics":
                assert all(
                    re.search(r"__amazon_msk_replicator_|mskr-offset-syncs|checkpoints\.internal", name)
                    for name in as_list(statement["Resource"])
                )
                continue
            if actions & writes:
                assert f"/msk-dr-{source}/" not in names, statement["Sid"]
            if "ReadData" in actions:
                assert f"/msk-dr-{target}/" not in names, statement["Sid"]


def test_who_may_take_a_role_or_use_a_cluster_is_one_service(all_documents: list[Document]) -> None:
    for document in all_documents:
        for statement in document.statements:
            if document.kind == "identity":
                assert "Principal" not in statement
                continue
            (principal,) = as_list(statement["Principal"]["Service"])
            expected = "ec2.amazonaws.com" if document.where.endswith("-client") else "kafka.amazonaws.com"
            assert principal == expected
            assert statement["Principal"].keys() == {"Service"}
            if document.kind == "trust" and principal == "kafka.amazonaws.com":
                assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_longest_lists_that_are_accepted_fit_the_role() -> None:
    """The configuration's estimate must be neither too small, nor so large that it refuses what would fit."""
    accepted = None
    for count in range(10, 40):
        patterns = [f"orders-{number:02}-.*" for number in range(count)]
        try:
            accepted = settings_of("secondary", name="m" * 35, topicsToReplicate=patterns).replicator
        except ConfigError:
            break
    assert accepted is not None
    source, target = (
        f"arn:aws:kafka:ap-southeast-{number}:{ACCOUNT}:cluster/{'m' * 35}-{role}/{UUID}"
        for number, role in enumerate(STACKS, 1)
    )
    size = len(re.sub(r"\s", "", json.dumps(execution_policy(accepted, source, target))))
    assert 9_000 < size <= 10_240
