"""Both stacks come up with the ordinary command, and then there is nothing left to do."""

from datetime import datetime

import pytest

from tests.engine.deployment import CLUSTER, REGIONS, REPLICATOR, Deployment, of

pytestmark = pytest.mark.engine


def test_the_pair_has_a_cluster_in_each_region_and_a_replicator_in_the_second(pair: Deployment) -> None:
    for stack, region in REGIONS.items():
        (cluster,) = pair.sandbox.resources(region, CLUSTER).values()
        outputs = pair.pulumi.outputs(stack)
        assert cluster["arn"] == outputs["clusterArn"]
        assert outputs["bootstrapBrokers"] in outputs["clientProperties"]
    assert not pair.sandbox.resources("us-east-1", REPLICATOR)
    (replicator,) = pair.sandbox.resources("us-east-2", REPLICATOR).values()
    assert replicator["_state"] == "RUNNING"
    info = replicator["replicationInfoList"]
    ends = [info["sourceKafkaClusterArn"], info["targetKafkaClusterArn"]]
    assert ends == [pair.pulumi.outputs(stack)["clusterArn"] for stack in REGIONS]


@pytest.mark.parametrize("stack", REGIONS)
def test_a_second_update_changes_nothing(stack: str, pair: Deployment) -> None:
    result = pair.up(stack)
    assert not result.changes
    assert of(result.steps, CLUSTER), "the event log has no steps at all"
    assert not pair.changing_calls()


@pytest.mark.parametrize("stack", REGIONS)
def test_preview_and_refresh_after_an_update_find_nothing(stack: str, pair: Deployment) -> None:
    pair.settled(stack)
    pair.pulumi.refresh(stack, "--expect-no-changes").check()
    pair.settled(stack)


def test_the_replicator_waits_for_its_role_to_be_known(primary: Deployment) -> None:
    primary.configure("secondary", iamWaitSeconds=2)
    primary.up("secondary")
    (ready,) = [call for call in primary.calls("global") if call.resource == "msk-dr-primary-to-secondary"][-1:]
    (created,) = [call for call in primary.calls("us-east-2") if call.operation == "kafka:CreateReplicator"]
    assert seconds_between(ready.time, created.time) >= 2
    primary.settled("secondary")
    # The pause is a hook, which exists only while the program runs: commands without the program have to do without.
    primary.pulumi.refresh("secondary", "--expect-no-changes").check()
    primary.pulumi.destroy("secondary").check()


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
