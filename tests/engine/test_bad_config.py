"""Mistakes in the configuration, as the ordinary command shows them: all at once, and before anything is asked for."""

import pytest

from sandbox.cli import Result
from tests.engine.deployment import Deployment

pytestmark = pytest.mark.engine


def refused(deployment: Deployment) -> Result:
    result = deployment.pulumi.preview("primary")
    assert not result.ok
    assert "Traceback" not in result.output
    assert not deployment.calls(), "a mistake was found only after a call was made"
    return result


def test_several_mistakes_are_shown_together(nothing: Deployment) -> None:
    nothing.configure(
        "primary", vpcCidr="10.10.0.0/28", brokerCount=4, topicsToReplicate=["*"], rpoSeconds=0, instancetype="x"
    )
    output = refused(nothing).output
    assert "5 mistakes in the configuration; nothing was changed." in output
    for key in (
        "vpcCidr is",
        "brokerCount is 4;",
        "topicsToReplicate has '*'",
        "rpoSeconds is 0;",
        "instancetype is no",
    ):
        assert f"- {key}" in output


def test_an_update_is_refused_as_well(nothing: Deployment) -> None:
    nothing.configure("primary", direction="both")
    result = nothing.pulumi.up("primary")
    assert not result.ok
    assert "- direction is 'both'; it must be one of primary-to-secondary, " in result.output
    assert "Traceback" not in result.output
    assert not nothing.calls()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"brokerCount": "three"}, "'brokerCount' must be of type 'integer'"),
        ({"topicsToReplicate": ".*"}, "'topicsToReplicate' must be of type 'array<string>'"),
        ({"vpcCidr": None}, "vpcCidr"),
    ],
    ids=["text for a number", "text for a list", "missing"],
)
def test_pulumi_itself_refuses_wrong_types_and_missing_keys(
    values: dict[str, object], said: str, nothing: Deployment
) -> None:
    nothing.configure("primary", **values)
    assert said in refused(nothing).output
