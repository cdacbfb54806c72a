"""With the primary Region refusing every call, the other one is operated as ever."""

import pytest

from tests.engine.deployment import Deployment, changes

pytestmark = pytest.mark.engine

LATENCY = ("update", "aws:cloudwatch/metricAlarm:MetricAlarm", "msk-dr-primary-to-secondary-latency")


def test_the_stand_in_really_refuses_every_call_to_a_lost_region(pair: Deployment) -> None:
    pair.sandbox.fail("us-east-1")
    result = pair.pulumi.refresh("primary")
    assert not result.ok
    assert "StatusCode: 503" in result.output


def test_the_secondary_is_previewed_refreshed_and_updated_without_a_call_to_the_lost_region(pair: Deployment) -> None:
    pair.sandbox.fail("us-east-1")
    pair.settled("secondary")
    assert not pair.up("secondary").changes
    pair.pulumi.refresh("secondary", "--expect-no-changes").check()

    pair.configure("secondary", rpoSeconds=30)
    assert LATENCY in changes(pair.up("secondary"))
    (alarm,) = of_name(pair, LATENCY[2])
    assert alarm["threshold"] == 30_000
    assert pair.calls("us-east-2"), "there is no record of calls at all"
    assert not pair.calls("us-east-1")


def test_an_update_without_iam_succeeds_while_iam_is_lost_as_well(pair: Deployment) -> None:
    """IAM's control plane lives in us-east-1; only its data plane is in every Region."""
    pair.sandbox.fail("us-east-1")
    pair.sandbox.fail("global")
    pair.configure("secondary", rpoSeconds=30)
    assert LATENCY in changes(pair.up("secondary"))
    pair.settled("secondary")
    assert not pair.calls("us-east-1", "global")


def test_the_secondary_can_stop_the_flow_from_the_lost_region(pair: Deployment) -> None:
    pair.sandbox.fail("us-east-1")
    pair.configure("secondary", direction="secondary-to-primary")
    removed = pair.up("secondary")
    assert {step.op for step in removed.changes} == {"delete"}
    assert not pair.calls("us-east-1")


def of_name(deployment: Deployment, alarm: str) -> list[dict[str, object]]:
    alarms = deployment.sandbox.resources("us-east-2", "aws:cloudwatch/metricAlarm:MetricAlarm")
    return [held for held in alarms.values() if held["name"] == alarm]
