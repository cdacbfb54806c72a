"""Protected, a cluster is neither deleted nor replaced; unprotected, the pair goes without a trace."""

import pytest

from tests.engine.deployment import REGIONS, Deployment

pytestmark = pytest.mark.engine


@pytest.fixture
def protected(pair: Deployment) -> Deployment:
    pair.configure("primary", protect=True)
    pair.up("primary")
    assert not pair.changing_calls(), "protection is Pulumi's own affair"
    pair.sandbox.forget_calls()
    return pair


def test_a_protected_cluster_is_not_destroyed_and_nothing_else_is_either(protected: Deployment) -> None:
    """Thanks to the preview. With `--skip-preview` the engine deletes what it can before it gets to the cluster."""
    refused = protected.pulumi.engine("destroy", "primary", "--yes")
    assert not refused.ok
    assert "cannot be deleted" in refused.output
    assert "because it is protected" in refused.output
    assert "Traceback" not in refused.output
    assert not protected.changing_calls()


def test_a_protected_cluster_is_not_replaced_and_nothing_is_touched_before_that_is_said(protected: Deployment) -> None:
    protected.configure("primary", kafkaVersion="3.8.x")  # a downgrade
    refused = protected.pulumi.engine("up", "primary", "--yes")
    assert not refused.ok
    assert "aws:msk/cluster:Cluster::msk-dr-primary" in refused.output
    assert "protect" in refused.output
    assert not protected.changing_calls()


def test_without_protection_the_pair_is_torn_down_and_nothing_is_left(pair: Deployment) -> None:
    assert pair.existing()
    for stack in reversed(REGIONS):
        pair.pulumi.destroy(stack).check()
        assert not pair.pulumi.export(stack)
    assert not pair.existing()
