"""What one stack says about the other: which outputs it needs, and when the two directions do not fit.

What no unit test can prove: that the state of the other stack can be read while its Region is down. That depends on the
state backend.
"""

from typing import Any

import pulumi
import pytest

from components.peer import Peer, disagreement
from config import flows
from tests.recording import DIRECTIONS, STACKS, Run, record, run_program, settings_of

FORWARD, BOTH, REVERSE = DIRECTIONS

NOTHING_RUNS = {
    ("primary", FORWARD, REVERSE),
    ("secondary", REVERSE, FORWARD),
}
"""(role, its direction, the other's): no Replicator runs at all."""

FITS = {
    *((role, direction, direction) for role in STACKS for direction in DIRECTIONS),
    # One stack is ahead, as in a failback: both Replicators run, as the one that is ahead says.
    ("primary", BOTH, FORWARD),
    ("secondary", BOTH, REVERSE),
    # What the other one adds is beyond what this one says, but what runs is what this one says.
    ("primary", FORWARD, BOTH),
    ("secondary", REVERSE, BOTH),
}
"""What runs is what this stack's direction says."""


@pytest.mark.parametrize("role", STACKS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("theirs", DIRECTIONS)
def test_two_directions_that_do_not_fit_are_told_with_what_to_set(role: str, direction: str, theirs: str) -> None:
    pair = settings_of(role, direction).pair
    message = disagreement(pair, theirs)
    case = (role, direction, theirs)
    if case in FITS:
        assert message is None
        return
    assert message is not None
    assert f"direction is {direction!r} here and {theirs!r} in the stack {pair.peer_stack!r}; " in message
    assert f"pulumi config set direction {direction}" in message
    assert ("no Replicator runs and nothing is copied" in message) == (case in NOTHING_RUNS)


def test_the_cases_that_fit_are_those_in_which_the_running_flows_are_the_named_ones() -> None:
    for role in STACKS:
        other = next(stack for stack in STACKS if stack != role)
        for direction in DIRECTIONS:
            for theirs in DIRECTIONS:
                running = {flow for flow in flows(direction) if flow[1] == role}
                running |= {flow for flow in flows(theirs) if flow[1] == other}
                assert ((role, direction, theirs) in FITS) == (running == flows(direction))
                assert ((role, direction, theirs) in NOTHING_RUNS) == (not running)


def test_a_peer_without_a_direction_yet_is_no_disagreement() -> None:
    assert disagreement(settings_of("secondary").pair, None) is None


def alone(stack: str, direction: str, outputs: dict[str, Any], **config: Any) -> Run:
    """A run of nothing but the other stack's outputs."""
    pair = settings_of(stack, direction, **config).pair
    return record(lambda: Peer(pair), stack, peer_outputs=outputs)


def test_the_warning_is_shown_when_the_stack_is_run() -> None:
    assert alone("secondary", FORWARD, {"direction": FORWARD}).warnings == ()
    assert alone("secondary", FORWARD, {}).warnings == ()
    (warning,) = alone("secondary", REVERSE, {"direction": FORWARD}).warnings
    assert warning.startswith(f"direction is {REVERSE!r} here and {FORWARD!r} in the stack 'primary'; no Replicator")
    (warning,) = alone("primary", REVERSE, {"direction": FORWARD}).warnings
    assert "together they copy primary to secondary and secondary to primary." in warning
    # The whole program does as much.
    assert len(run_program("secondary", REVERSE, peer_direction=FORWARD).warnings) == 1


def test_a_failback_in_its_usual_order_warns_of_nothing() -> None:
    for direction in (FORWARD, BOTH, FORWARD):
        assert alone("primary", direction, {"direction": FORWARD}).warnings == ()


def test_the_other_stack_may_be_of_another_project_and_organization() -> None:
    assert alone("secondary", FORWARD, {}).reads == ("organization/msk-dr/primary",)
    theirs = "acme/msk-dr-east/primary"
    assert alone("secondary", FORWARD, {}, peerStack=theirs).reads == (theirs,)


@pytest.mark.parametrize("missing", ["clusterArn", "subnetIds"])
def test_a_missing_output_of_the_other_stack_is_an_error_that_says_what_to_deploy(missing: str) -> None:
    outputs = {key: value for key, value in run_program("primary").exports.items() if key != missing}
    pair = settings_of("secondary").pair
    with pytest.raises(pulumi.RunError) as error:
        record(lambda: Peer(pair).output(missing), "secondary", peer_outputs=outputs)
    assert str(error.value) == (
        f"the stack 'primary' has no output {missing!r}, which this stack needs as it is the target of a Replicator "
        "(direction 'primary-to-secondary'). Run `pulumi up --stack primary` first."
    )
