"""How the provider waits for what the API makes: by state, not for ever, and in the words of the real one."""

from typing import Any

import pytest

from sandbox.api.account import REGIONS
from sandbox.aws.api_client import PATIENCE, ServiceClient, State, go_duration
from sandbox.cloud import Aws, AwsError, Cloud
from tests.api.world import PRIMARY, World


@pytest.fixture
def client(world: World) -> ServiceClient:
    return ServiceClient("kafka", world.api.endpoint, REGIONS)


def state(found: dict[str, Any]) -> State:
    return found["ClusterInfo"]["State"], "BROKEN: the reason"


def refused(client: ServiceClient, cloud: Cloud, arn: str, *pending: str, target: str) -> str:
    """What a wait of 0.3 s ends with."""
    params = {"ClusterArn": arn}
    with cloud.lock, pytest.raises(AwsError) as error:
        aws = Aws(cloud, PRIMARY)
        client.wait(aws, "DescribeClusterV2", params, state, pending=pending, target=target, seconds=0.3)
    return str(error.value)


def test_a_wait_that_takes_too_long_tells_what_it_waited_for_and_for_how_long(
    world: World, client: ServiceClient, cloud: Cloud
) -> None:
    kafka = world.kafka(PRIMARY)
    arn = kafka.create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    told = refused(client, cloud, arn, "CREATING", target="ACTIVE")
    assert told == "timeout while waiting for state to become 'ACTIVE' (last state: 'CREATING', timeout: 300ms)"

    world.wait_active(arn)
    kafka.delete_cluster(ClusterArn=arn)
    told = refused(client, cloud, arn, "DELETING", target="")
    assert told == "timeout while waiting for resource to be gone (last state: 'DELETING', timeout: 300ms)"


def test_a_wait_ends_at_once_in_a_state_that_leads_nowhere(world: World, client: ServiceClient, cloud: Cloud) -> None:
    told = refused(client, cloud, world.cluster(PRIMARY), "CREATING", target="RUNNING")
    assert told == "unexpected state 'ACTIVE', wanted target 'RUNNING'. last error: BROKEN: the reason"


def test_a_wait_is_recorded_as_one_call(world: World, client: ServiceClient, cloud: Cloud) -> None:
    with cloud.lock:
        arn = {"ClusterArn": world.cluster(PRIMARY)}
        client.wait(Aws(cloud, PRIMARY), "DescribeClusterV2", arn, state, pending=(), target="ACTIVE", times=3)
    assert [call.operation for call in cloud.calls(PRIMARY)] == ["kafka:DescribeClusterV2"]


def test_there_is_nothing_in_other_regions(client: ServiceClient, cloud: Cloud) -> None:
    with cloud.lock, pytest.raises(AwsError, match="there is no kafka in eu-west-1; the sandbox has it in us-east-1"):
        client.call(Aws(cloud, "eu-west-1"), "ListClusters")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7200, "2h0m0s"), (5430, "1h30m30s"), (PATIENCE, "10m0s"), (45, "45s"), (1.5, "1.5s"), (0.25, "250ms")],
)
def test_a_time_is_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
