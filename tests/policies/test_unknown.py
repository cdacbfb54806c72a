"""What is not known before the update is never taken for good.

Unknown values go through the SDK's own proxies, which refuse every touch of them. Two sorts are tried: all that AWS
makes up, as in the first preview of a stack, and the very value that a rule is about.
"""

import copy
from typing import Any

import pytest

from policies.rules import RULES
from policies.rules.tokens import CLUSTER, REPLICATOR
from tests.policies import kit
from tests.policies.kit import UNKNOWN, judge, world
from tests.policies.spoils import INFO, NODES, SPOILS, Spoil, baseline, put

BY_NAME = {rule.name: rule for rule in RULES}

# That a value is there is all that these rules ask; one that is computed is there.
PRESENCE_IS_ENOUGH = {
    "broker logs to nowhere",
    "Replicator logs to nowhere",
    "start left to the default",
    "an entry without a cluster",
    "an entry without a subnet",
    "no source",
    "a tag that the team wants",
}

RESOURCE_SPOILS = [spoil for spoil in SPOILS if BY_NAME[spoil.rule].checks]


def waiting(violations: list[kit.Violation]) -> dict[str, list[str]]:
    """The rules that a preview says have to wait, by resource."""
    found = [v.message for v in violations if v.rule == "msk-preview-complete"]
    assert len(found) <= 1
    lines = [line[2:].split(": ") for line in "".join(found).splitlines() if line.startswith("- ")]
    return {resource: rules.split(", ") for resource, rules in lines}


@pytest.mark.thorough
def test_in_a_preview_every_spoil_is_reported_or_said_to_wait() -> None:
    passed_over = []
    for spoil in SPOILS:
        stack = baseline()
        spoil.change(stack)
        violations = judge(stack, spoil.config, preview=True)
        said = {v.rule for v in violations} | {rule for rules in waiting(violations).values() for rule in rules}
        if spoil.rule not in said:
            passed_over.append((spoil.rule, spoil.id))
    assert passed_over == []


def hidden_difference(before: Any, after: Any) -> Any:
    """`after` with everything that differs from `before` unknown; what was taken out is there, unknown."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return {key: hidden_difference(before.get(key), after.get(key)) for key in keys}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [hidden_difference(b, a) for b, a in zip(before, after, strict=True)]
    return after if before == after else UNKNOWN


@pytest.mark.thorough
@pytest.mark.parametrize("spoil", RESOURCE_SPOILS, ids=lambda spoil: f"{spoil.rule}: {spoil.id}")
def test_the_value_that_breaks_a_rule_is_not_taken_for_good_while_it_is_unknown(spoil: Spoil) -> None:
    before, stack = baseline(), baseline()
    spoil.change(stack)
    known = {case.urn: case for case in before.cases}
    changed = [case for case in stack.cases if case.urn in known and case.inputs != known[case.urn].inputs]
    for case in changed:
        case.inputs = hidden_difference(known[case.urn].inputs, case.inputs)
    server = kit.server_for(spoil.config)
    for request in kit.resource_requests(stack):
        if request.urn in {case.urn for case in changed} and request.type in BY_NAME[spoil.rule].types:
            response = server.Analyze(request, None)
            reported = {d.policyName for d in response.diagnostics}
            not_passed = reported | {entry.policy_name for entry in response.not_applicable}
            assert spoil.rule in not_passed or spoil.id in PRESENCE_IS_ENOUGH
            assert not any("can't run policy" in d.message for d in response.diagnostics)


def test_what_is_known_beside_an_unknown_value_is_judged() -> None:
    stack = baseline()
    subnets = stack.one(CLUSTER).get(f"{NODES}.clientSubnets")
    subnets[0], subnets[2] = UNKNOWN, subnets[1]
    put(REPLICATOR, f"{INFO}.targetKafkaClusterArn", UNKNOWN)(stack)
    put(REPLICATOR, f"{INFO}.topicReplications.0.topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS")(
        stack
    )
    violations = judge(stack)
    assert [v.rule for v in violations] == [
        "msk-cluster-subnets-in-three-zones",
        "msk-replicator-names-identical",
        "msk-replicator-offset-sync-accepted",
        "msk-preview-complete",
    ]
    assert subnets[1] in violations[0].message


def test_two_unknown_subnets_are_not_taken_for_the_same() -> None:
    stack = baseline()
    put(CLUSTER, f"{NODES}.clientSubnets", [UNKNOWN, UNKNOWN, UNKNOWN])(stack)
    assert [v.rule for v in judge(stack)] == ["msk-preview-complete"]


def test_a_whole_list_that_is_unknown_has_to_wait() -> None:
    stack = baseline()
    put(CLUSTER, f"{NODES}.clientSubnets", UNKNOWN)(stack)
    violations = judge(stack)
    assert [v.rule for v in violations] == ["msk-preview-complete"]
    assert waiting(violations) == {
        stack.one(CLUSTER).name: ["msk-cluster-brokers-fill-zones", "msk-cluster-subnets-in-three-zones"]
    }


def test_a_preview_says_which_rules_wait_for_which_resource() -> None:
    stack = world("secondary", "bidirectional")
    cluster, replicator = stack.one(CLUSTER).name, stack.one(REPLICATOR).name
    found = waiting(judge(stack, preview=True))
    assert found.keys() == {cluster, replicator, f"{cluster}-client"}
    assert "msk-replicator-in-target-region" in found[replicator]
    assert "msk-cluster-policy-own-cluster" in found[cluster]


def test_rules_that_are_switched_off_or_exempted_do_not_wait() -> None:
    stack = world("primary", "primary-to-secondary")
    everything = [{"resource": "*", "reason": "another pack looks after it"}]
    config: dict[str, Any] = {rule.name: "disabled" for rule in RULES if rule.name != "msk-preview-complete"}
    assert judge(stack, config, preview=True) == []
    config = {rule.name: {"exemptions": everything} for rule in RULES if rule.name != "msk-preview-complete"}
    assert judge(stack, config, preview=True) == []


def test_when_all_is_known_nothing_waits() -> None:
    assert waiting(judge(world("secondary", "bidirectional"))) == {}


def test_a_stack_policy_finds_by_dependencies_what_is_not_known_yet() -> None:
    stack = baseline()
    other = copy.deepcopy(stack.one(CLUSTER))
    other.name, other.urn = "other", f"{other.urn}-other"
    other.computed = {"arn": other.computed["arn"].replace("msk-dr-secondary", "other"), "id": "other-id"}
    stack.cases.append(other)
    violations = [v for v in judge(stack, preview=True) if v.level == "mandatory"]
    assert [(v.rule, v.resource) for v in violations] == [("msk-cluster-source-policy", "other")]
