"""What the two stacks tell each other, and what is said when they do not fit together."""

import re

import pytest

from tests.engine.deployment import Deployment, warnings

pytestmark = pytest.mark.engine


def test_a_secondary_before_its_primary_is_told_which_stack_to_deploy_first(nothing: Deployment) -> None:
    result = nothing.pulumi.engine("up", "secondary", "--yes")
    assert not result.ok
    assert re.search(
        "the stack 'primary' has no output '(clusterArn|subnetIds)', which this stack needs", result.output
    )
    assert "Run `pulumi up --stack primary` first." in result.output
    assert "Traceback" not in result.output
    assert not nothing.existing()


def test_a_secondary_whose_primary_is_not_even_a_stack_gets_the_engines_own_error(nothing: Deployment) -> None:
    nothing.pulumi.run("stack", "rm", "primary", "--yes").check()
    result = nothing.pulumi.engine("up", "secondary", "--yes")
    assert not result.ok
    assert 'unknown stack "organization/msk-dr/primary"' in result.output
    assert not nothing.existing()


def test_a_primary_needs_no_other_stack_to_come_up(nothing: Deployment) -> None:
    nothing.pulumi.run("stack", "rm", "secondary", "--yes").check()
    nothing.pulumi.preview("primary").check()


def test_a_pair_without_any_replicator_is_warned_of(pair: Deployment) -> None:
    pair.configure("secondary", direction="secondary-to-primary")
    (warning,) = warnings(pair.pulumi.preview("secondary").check())
    assert "no Replicator runs and nothing is copied" in warning
    assert "direction is 'secondary-to-primary' here and 'primary-to-secondary' in the stack 'primary'" in warning
    assert "pulumi config set direction secondary-to-primary" in warning


def test_stacks_that_disagree_are_warned_of(pair: Deployment) -> None:
    pair.configure("primary", direction="secondary-to-primary")
    (warning,) = warnings(pair.pulumi.preview("primary").check())
    assert "together they copy primary to secondary and secondary to primary" in warning
    assert "set the same direction on both stacks" in warning


def test_a_failback_is_not_warned_of(pair: Deployment) -> None:
    """The primary stack alone is ahead, and the flows that run are those that it names."""
    pair.configure("primary", direction="bidirectional")
    assert not warnings(pair.pulumi.preview("primary").check())
