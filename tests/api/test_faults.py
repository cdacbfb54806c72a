"""Regions that are down, calls that fail once, and the way to ask for it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from sandbox.api.faults import GLOBAL, Fault
from sandbox.api.server import Api, Call
from tests.api.world import PRIMARY, SECONDARY, World, client, execution_policy, refusal


@pytest.fixture(autouse=True)
def healed(world: World) -> Iterator[None]:
    """Each test finds an API without faults."""
    yield
    for region in (PRIMARY, SECONDARY, GLOBAL):
        world.api.heal(region)
    world.api.clear_faults()


def since(world: World, count: int) -> list[Call]:
    """The calls after the first `count`."""
    return world.api.calls()[count:]


CALLS = [
    ("kafka", "list_clusters_v2"),
    ("ec2", "describe_vpcs"),
    ("logs", "describe_log_groups"),
    ("cloudwatch", "describe_alarms"),
    ("sns", "list_topics"),
    ("kms", "list_keys"),
    ("ssm", "describe_parameters"),
    ("sts", "get_caller_identity"),
]


def test_a_region_that_is_down_refuses_every_call_and_the_other_none(world: World) -> None:
    world.api.fail(PRIMARY)
    before = len(world.api.calls())
    for service, call in CALLS:
        code, message = refusal(getattr(world.client(service, PRIMARY), call))
        assert (code, message) == ("ServiceUnavailableException", f"{PRIMARY} is down.")
        assert getattr(world.client(service, SECONDARY), call)()["ResponseMetadata"]["HTTPStatusCode"] == 200
    made = since(world, before)
    assert {(call.region, call.status) for call in made} == {(PRIMARY, 503), (SECONDARY, 200)}
    world.client("iam", PRIMARY).list_roles()
    world.api.heal(PRIMARY)
    for service, call in CALLS:
        getattr(world.client(service, PRIMARY), call)()


def test_iam_belongs_to_no_region_and_fails_by_itself(world: World) -> None:
    before = len(world.api.calls())
    world.api.fail(GLOBAL)
    assert refusal(world.client("iam", SECONDARY).list_roles)[0] == "ServiceUnavailableException"
    world.kafka(PRIMARY).list_clusters()
    world.api.heal(GLOBAL)
    world.client("iam", SECONDARY).list_roles()
    made = [call for call in since(world, before) if call.region == GLOBAL]
    assert [(call.operation, call.status) for call in made] == [("iam:ListRoles", 503), ("iam:ListRoles", 200)]


def test_nothing_comes_to_its_end_in_a_region_that_is_down(world: World) -> None:
    request = world.cluster_request(SECONDARY)
    arn = world.kafka(SECONDARY).create_cluster(**request)["ClusterArn"]
    world.api.fail(SECONDARY)
    assert world.describe(world.cluster(PRIMARY))["State"] == "ACTIVE", "time has passed for all"
    states = {cluster["ClusterArn"]: cluster["State"] for cluster in world.api.status()["clusters"]}
    assert states[arn] == "CREATING"
    world.api.heal(SECONDARY)
    world.wait_active(arn)


def test_a_replicator_whose_source_region_is_down_fails(world: World) -> None:
    source, target, role = world.source(PRIMARY), world.cluster(SECONDARY), world.role(execution_policy())
    request = world.replicator_request(source, target, role)
    world.api.fail(PRIMARY)
    arn = world.kafka(SECONDARY).create_replicator(**request)["ReplicatorArn"]
    found = world.settled(arn)
    assert found["StateInfo"] == {
        "Code": "CLUSTER_NOT_REACHABLE",
        "Message": f"The cluster {source} cannot be reached.",
    }


def test_a_call_fails_once(world: World) -> None:
    world.api.fail_once(Fault(operation="kafka:ListClusters*", region=PRIMARY, nth=2))
    kafka = world.kafka(PRIMARY)
    world.kafka(SECONDARY).list_clusters()
    kafka.list_clusters()
    assert refusal(kafka.list_clusters_v2) == (
        "InternalServerErrorException",
        "the sandbox was asked to let this call fail once",
    )
    kafka.list_clusters_v2()


def test_a_fault_may_be_any_error_in_any_protocol(world: World) -> None:
    for service, call in CALLS:
        fault = Fault(operation="*", code="Throttling", message="slow <down>", status=400)
        world.api.fail_once(fault)
        assert refusal(getattr(world.client(service, PRIMARY), call)) == ("Throttling", "slow <down>")


def test_the_usual_number_of_attempts_gets_over_a_fault(world: World) -> None:
    world.api.fail_once(Fault(operation="kafka:ListClusters"))
    kafka = client(world.api, "kafka", PRIMARY, attempts=3)
    assert kafka.list_clusters()["ResponseMetadata"]["RetryAttempts"] == 1


def admin(api: Api, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if method == "GET" else json.dumps(body).encode()
    request = Request(
        f"{api.endpoint}/_sandbox/{path}",
        data=data,
        method=method,
        headers={"Content-Type": "application/json"} | headers,
    )
    try:
        with urlopen(request) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_faults_are_asked_for_over_http_too(world: World) -> None:
    api = world.api
    before = len(api.calls())
    assert admin(api, "POST", f"regions/{PRIMARY}/fail")[1]["regions"][PRIMARY] == "down"
    assert refusal(world.kafka(PRIMARY).list_clusters)[0] == "ServiceUnavailableException"
    assert admin(api, "POST", f"regions/{PRIMARY}/heal")[1]["regions"][PRIMARY] == "up"
    fault = {"operation": "kafka:ListClusters", "message": "no"}
    assert [each["message"] for each in admin(api, "POST", "faults", fault)[1]["faults"]] == ["no"]
    assert admin(api, "DELETE", "faults")[1]["faults"] == []
    world.kafka(PRIMARY).list_clusters()
    arn = world.cluster(PRIMARY)
    assert {"ClusterArn": arn, "State": "ACTIVE", "Bootstrap": None} in admin(api, "GET", "status")[1]["clusters"]
    calls = admin(api, "GET", "calls")[1]["calls"][before:]
    assert [call["status"] for call in calls if call["operation"] == "kafka:ListClusters"] == [503, 200]


def test_what_takes_time_can_be_hurried_over_http(world: World) -> None:
    arn = world.kafka(PRIMARY).create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    admin(world.api, "POST", "hurry")
    while {"ClusterArn": arn, "State": "ACTIVE", "Bootstrap": None} not in world.api.status()["clusters"]:
        admin(world.api, "POST", "hurry")


def test_asking_for_nonsense_is_told(world: World) -> None:
    status, answer = admin(world.api, "POST", "regions/mars-1/fail")
    assert (status, answer["error"]) == (
        400,
        "region is mars-1; it must be one of us-east-1, us-east-2, global.",
    )
    assert admin(world.api, "POST", "faults", {"what": 1})[0] == 400
    assert admin(world.api, "GET", "nothing")[0] == 404


def test_a_web_page_cannot_ask_for_faults(world: World) -> None:
    path = f"regions/{PRIMARY}/fail"
    assert admin(world.api, "POST", path, **{"Content-Type": "text/plain"})[0] == 415
    assert admin(world.api, "POST", path, Host="evil.example:80")[0] == 403
    assert world.api.status()["regions"][PRIMARY] == "up"


def test_requests_from_nowhere_are_refused(world: World) -> None:
    with pytest.raises(HTTPError) as error:
        urlopen(f"{world.api.endpoint}/v1/clusters")
    assert error.value.code == 403
    with pytest.raises(ClientError, match="The sandbox has us-east-1 and us-east-2, not eu-west-1"):
        world.kafka("eu-west-1").list_clusters()
    with pytest.raises(ClientError, match="The sandbox has no service lambda"):
        world.client("lambda", PRIMARY).list_functions()
