"""Every rule passes what it should and breaks on what it is for, exactly.

The stacks are those that the program registers under mocks; the judge is the policy SDK's own server. That the engine
hands the same properties to the pack is shown by the tests on the real engine.
"""

from collections import Counter

import pytest

from policies.rules import RULES
from tests.policies.kit import judge, served, world
from tests.policies.spoils import ALLOWANCES, SPOILS, Allowance, Spoil, baseline
from tests.recording import DIRECTIONS, STACKS


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("stack", STACKS)
def test_our_stacks_obey_every_rule(stack: str, direction: str) -> None:
    assert judge(world(stack, direction, topics=[{"name": "customer", "partitions": 3}])) == []


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("stack", STACKS)
def test_a_first_preview_of_our_stacks_breaks_nothing_and_says_what_has_to_wait(stack: str, direction: str) -> None:
    violations = judge(world(stack, direction), preview=True)
    assert [(v.rule, v.level) for v in violations] == [("msk-preview-complete", "advisory")]


def test_what_the_spoils_start_from_obeys_every_rule() -> None:
    assert judge(baseline()) == []


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: f"{spoil.rule}: {spoil.id}")
def test_a_spoil_gives_exactly_its_violations(spoil: Spoil) -> None:
    stack = baseline()
    spoil.change(stack)
    violations = judge(stack, spoil.config)
    assert Counter(v.rule for v in violations) == Counter({spoil.rule: spoil.times}) + Counter(spoil.also)
    of_rule = [v for v in violations if v.rule == spoil.rule]
    rule = next(rule for rule in RULES if rule.name == spoil.rule)
    types = {case.urn: case.typ for case in stack.cases}
    for violation in of_rule:
        assert violation.level == rule.level.value
        assert spoil.says in violation.message
        assert violation.message.startswith(f"{rule.why}\n")
        assert violation.message.endswith(f" See {rule.url}")
        assert types[violation.urn] in rule.types


@pytest.mark.parametrize("allowance", ALLOWANCES, ids=lambda allowance: allowance.id)
def test_an_allowance_breaks_nothing(allowance: Allowance) -> None:
    stack = baseline()
    allowance.change(stack)
    assert judge(stack, allowance.config) == []


@pytest.mark.parametrize("preview", (False, True))
def test_the_short_cut_through_the_server_says_what_the_server_says(preview: bool) -> None:
    stack, config = baseline(), {"msk-cluster-kafka-version-offered": {"allowedVersions": ["4.2.x.kraft"]}}
    for spoil in SPOILS[::40]:
        spoil.change(stack)
    assert judge(stack, config, preview=preview) == served(stack, config, preview=preview) != []


def test_every_rule_has_a_spoil() -> None:
    # What is unknown is spoiled by a preview: test_unknown.py.
    assert {spoil.rule for spoil in SPOILS} | {"msk-preview-complete"} == {rule.name for rule in RULES}


def test_spoils_have_names_of_their_own() -> None:
    for table in (SPOILS, ALLOWANCES):
        names = [(getattr(entry, "rule", ""), entry.id) for entry in table]
        assert len(names) == len(set(names))
