"""Failover's way back: what `direction` adds, what it removes, and that it comes to the same by any way."""

import os
import random
from pathlib import Path

import pytest

from tests.engine.deployment import (
    DIRECTIONS,
    PEERS,
    REGIONS,
    REPLICATOR,
    Deployment,
    assert_same,
    changes,
    copied,
    deployed,
    warnings,
)

pytestmark = pytest.mark.engine

ALARMS = (
    *("latency", "lag-growing", "stalled", "replicator-failure", "replication-failures"),
    *("consumer-group-offset-sync-failure", "source-auth", "source-ping", "source-throttled"),
    *("target-auth", "target-ping", "target-throttled", "topics"),
)


def parts_of(replicator: str) -> set[tuple[str, str]]:
    """Everything that belongs to a Replicator, as (type, name)."""
    return {
        ("msk-dr:index:Replicator", replicator),
        ("msk-dr:index:ReplicatorAlarms", replicator),
        ("aws:iam/role:Role", replicator),
        ("aws:iam/rolePolicy:RolePolicy", replicator),
        ("aws:cloudwatch/logGroup:LogGroup", replicator),
        (REPLICATOR, replicator),
        *(("aws:cloudwatch/metricAlarm:MetricAlarm", f"{replicator}-{alarm}") for alarm in ALARMS),
    }


@pytest.mark.parametrize(
    ("stack", "without", "with_it"),
    [
        ("primary", "primary-to-secondary", "bidirectional"),
        ("secondary", "secondary-to-primary", "primary-to-secondary"),
    ],
    ids=["reverse", "forward"],
)
def test_the_switch_adds_exactly_a_replicator_with_its_parts_and_removes_exactly_them(
    stack: str, without: str, with_it: str, pair: Deployment
) -> None:
    replicator = f"msk-dr-{PEERS[stack]}-to-{stack}"
    if stack == "secondary":
        pair.configure(stack, direction=without)
        removed = pair.up(stack)
        assert changes(removed) == {("delete", *part) for part in parts_of(replicator)}
    before = pair.existing()
    pair.sandbox.forget_calls()

    pair.configure(stack, direction=with_it)
    added = pair.up(stack)
    assert changes(added) == {("create", *part) for part in parts_of(replicator)}
    assert {call.resource for call in pair.changing_calls()} == {name for type_, name in parts_of(replicator)}
    assert pair.pulumi.outputs(stack)["replicatorName"] == replicator
    pair.settled(stack)

    pair.configure(stack, direction=without)
    removed = pair.up(stack)
    assert changes(removed) == {("delete", *part) for part in parts_of(replicator)}
    assert {call.resource for call in pair.changing_calls()} == {name for type_, name in parts_of(replicator)}
    assert pair.existing() == before
    assert not pair.changing_calls(REGIONS[PEERS[stack]]), "the other Region was touched"
    assert pair.pulumi.outputs(stack).get("replicatorName") is None
    pair.settled(stack)


def test_the_standing_pair_copies_both_ways_without_a_word_of_warning(pair: Deployment) -> None:
    pair.configure("primary", direction="bidirectional")
    pair.up("primary")
    pair.configure("secondary", direction="bidirectional")
    result = pair.up("secondary")
    assert not result.changes
    assert not warnings(result)
    assert not warnings(pair.settled("primary"))
    flows = {
        tuple(replicator["replicationInfoList"][f"{end}KafkaClusterArn"].split("/")[1] for end in ("source", "target"))
        for region in REGIONS.values()
        for replicator in pair.sandbox.resources(region, REPLICATOR).values()
    }
    assert flows == {("msk-dr-primary", "msk-dr-secondary"), ("msk-dr-secondary", "msk-dr-primary")}


States = dict[tuple[str, str], dict[str, object]]


@pytest.fixture
def fresh(template_of_nothing: Path, template_of_primary: Path, template_of_pair: Path, tmp_path: Path) -> States:
    """The state of a stack whose first update had this direction, the other stack having what it needs by then."""
    states: States = {}
    with deployed(copied(template_of_pair, tmp_path / "one-way")) as deployment:
        for stack in REGIONS:
            states[stack, "primary-to-secondary"] = deployment.state(stack)
    with deployed(copied(template_of_primary, tmp_path / "standing")) as deployment:
        deployment.configure("secondary", direction="bidirectional")
        deployment.up("secondary")
        states["secondary", "bidirectional"] = deployment.state("secondary")
    with deployed(copied(template_of_nothing, tmp_path / "other-way")) as deployment:
        deployment.configure("secondary", direction="secondary-to-primary")
        deployment.up("secondary")
        states["secondary", "secondary-to-primary"] = deployment.state("secondary")
    for direction in ("bidirectional", "secondary-to-primary"):
        with deployed(copied(tmp_path / "other-way", tmp_path / direction)) as deployment:
            deployment.configure("primary", direction=direction)
            deployment.up("primary")
            states["primary", direction] = deployment.state("primary")
    return states


def test_any_sequence_of_directions_ends_where_a_fresh_deployment_of_the_last_one_begins(
    pair: Deployment, fresh: States
) -> None:
    """Every step is the end of the sequence so far, so all of them are compared.

    DIRECTION_SEED repeats a sequence, DIRECTION_STEPS makes it longer or shorter.
    """
    seed = os.environ.get("DIRECTION_SEED") or str(random.randrange(10**6))
    steps = int(os.environ.get("DIRECTION_STEPS", "8"))
    print(f"DIRECTION_SEED={seed} DIRECTION_STEPS={steps}")
    choice = random.Random(seed)
    now = dict.fromkeys(REGIONS, "primary-to-secondary")
    for step in range(steps):
        stack = choice.choice(list(REGIONS))
        now[stack] = choice.choice([direction for direction in DIRECTIONS if direction != now[stack]])
        print(f"step {step}: {stack} becomes {now[stack]}")
        pair.configure(stack, direction=now[stack])
        pair.up(stack)
        assert_same(pair.state(stack), fresh[stack, now[stack]], f"DIRECTION_SEED={seed}, after step {step}")
    for stack, direction in now.items():
        assert_same(pair.state(stack), fresh[stack, direction], f"DIRECTION_SEED={seed}, at the end")
        pair.settled(stack)
