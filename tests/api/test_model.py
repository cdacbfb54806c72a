"""Requests and answers against the service's own model: nothing that MSK does not know gets in or out."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.api import model, service
from sandbox.api.errors import ServiceError, ShapeError, not_found
from tests.api.world import MULTI_VPC_IAM, PRIMARY, SECONDARY, World, execution_policy, is_gone, source_policy

ARN = "arn:aws:kafka:us-east-1:123456789012:cluster/a/b-1"


def operation(name: str) -> Any:
    return model.service().operation_model(name)


def test_every_call_of_the_service_is_told_by_its_request() -> None:
    for name in model.service().operation_names:
        http = operation(name).http
        labels = {
            label: f"{ARN}/{label}" for label in ("clusterArn", "arn", "replicatorArn", "resourceArn", "topicName")
        }
        labels |= {"clusterOperationArn": ARN, "revision": "3", "channelArn": ARN}
        path = http["requestUri"]
        for label, value in labels.items():
            path = path.replace(f"{{{label}}}", quote(value, safe=""))
        found = model.match(http["method"], path)
        assert found is not None, name
        assert found[0].name == name
        assert all(labels[label] == value for label, value in found[1].items())


def test_what_is_no_call_is_none() -> None:
    assert model.match("GET", "/v1/nothing") is None
    assert model.match("PATCH", "/v1/clusters") is None


def parsed(name: str, body: Any, **labels: str) -> model.Params:
    return model.parse(operation(name), labels, "", json.dumps(body).encode())


def test_a_request_comes_in_under_member_names() -> None:
    body = {"currentVersion": "K1", "connectivityInfo": {"publicAccess": {"type": "DISABLED"}}, "zookeeperAccess": None}
    assert parsed("UpdateConnectivity", body, clusterArn=ARN) == {
        "ClusterArn": ARN,
        "CurrentVersion": "K1",
        "ConnectivityInfo": {"PublicAccess": {"Type": "DISABLED"}},
    }
    listed = model.parse(operation("UntagResource"), {"resourceArn": ARN}, "tagKeys=a&tagKeys=b", b"")
    assert listed == {"ResourceArn": ARN, "TagKeys": ["a", "b"]}


BAD_REQUESTS = {
    "an unknown member": ("UpdateConnectivity", {"currentVersion": "K1", "colour": "red"}, "no parameter colour"),
    "an unknown member inside": (
        "UpdateRebalancing",
        {"currentVersion": "K1", "rebalancing": {"state": "PAUSED"}},
        'Unknown parameter in Rebalancing: "state"',
    ),
    "a missing member": ("UpdateRebalancing", {"currentVersion": "K1"}, "Missing required parameter"),
    "a wrong type": ("UpdateBrokerCount", {"currentVersion": "K1", "targetNumberOfBrokerNodes": "3"}, "Invalid type"),
    "a number below the least": ("UpdateBrokerCount", {"currentVersion": "K1", "targetNumberOfBrokerNodes": 0}, "min"),
    "a value that is not in the list": (
        "UpdateRebalancing",
        {"currentVersion": "K1", "rebalancing": {"status": "MAYBE"}},
        "Rebalancing.Status is MAYBE; it must be one of PAUSED, ACTIVE",
    ),
    "a list": ("UpdateRebalancing", [], "must be a JSON object"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_request_is_refused_with(case: str) -> None:
    name, body, message = BAD_REQUESTS[case]
    with pytest.raises(ServiceError) as error:
        parsed(name, body, clusterArn=ARN)
    assert error.value.code == "BadRequestException"
    assert message in error.value.message


def test_a_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(ServiceError, match="not JSON"):
        model.parse(operation("UpdateRebalancing"), {"clusterArn": ARN}, "", b"{")


BAD_ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "an unknown member": ("DescribeClusterV2", {"ClusterInfo": {"Colour": "red"}}),
    "a missing member": ("DescribeClusterV2", {"ClusterInfo": {"Provisioned": {"NumberOfBrokerNodes": 3}}}),
    "a wrong type": ("DescribeClusterV2", {"ClusterInfo": {"ClusterName": 3}}),
    "a state that there is not": ("DescribeClusterV2", {"ClusterInfo": {"State": "SLEEPING"}}),
    "something in place of nothing": ("TagResource", {"Tags": {}}),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_an_answer_cannot_have(case: str) -> None:
    name, answer = BAD_ANSWERS[case]
    with pytest.raises(ShapeError):
        model.respond(operation(name), answer)


def test_an_answer_goes_out_under_wire_names() -> None:
    moment = datetime(2026, 11, 22, 13, 0, 0, 5000, tzinfo=UTC)
    status, _, body = model.respond(
        operation("DescribeClusterV2"), {"ClusterInfo": {"CreationTime": moment, "Tags": {"Name": "x"}}}
    )
    assert (status, json.loads(body)) == (
        200,
        {"clusterInfo": {"creationTime": "2026-11-22T13:00:00.005Z", "tags": {"Name": "x"}}},
    )
    assert model.respond(operation("TagResource"), {}) == (204, {}, b"")


def test_a_call_answers_only_errors_that_it_models() -> None:
    status, headers, body = model.refuse(operation("DescribeCluster"), not_found("gone", "clusterArn"))
    assert (status, headers["x-amzn-ErrorType"]) == (404, "NotFoundException")
    assert json.loads(body) == {"message": "gone", "invalidParameter": "clusterArn"}
    status, headers, _ = model.refuse(operation("PutClusterPolicy"), not_found("gone"))
    assert (status, headers["x-amzn-ErrorType"]) == (400, "BadRequestException")


def test_every_call_that_is_served_answers_as_the_service_would(world: World) -> None:
    """One walk through all of them; the server refuses to send an answer that the model does not allow."""
    before = len(world.api.calls())
    primary, secondary = world.kafka(PRIMARY), world.kafka(SECONDARY)
    request = world.cluster_request(PRIMARY)
    made = primary.create_cluster_v2(ClusterName=request.pop("ClusterName"), Provisioned=request)["ClusterArn"]
    world.wait_active(made)
    cluster = {"ClusterArn": made}
    for call, params in (
        (primary.update_connectivity, {"ConnectivityInfo": MULTI_VPC_IAM}),
        (primary.update_broker_count, {"TargetNumberOfBrokerNodes": 6}),
        (primary.update_broker_type, {"TargetInstanceType": "express.m7g.xlarge"}),
        (primary.update_monitoring, {"EnhancedMonitoring": "PER_BROKER"}),
        (
            primary.update_security,
            {"ClientAuthentication": {"Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": True}}}},
        ),
        (primary.update_cluster_kafka_version, {"TargetKafkaVersion": "4.2.x.kraft"}),
        (primary.update_rebalancing, {"Rebalancing": {"Status": "PAUSED"}}),
    ):
        started = call(**cluster, CurrentVersion=world.version(made), **params)["ClusterOperationArn"]
        world.wait_active(made)
    primary.describe_cluster_operation(ClusterOperationArn=started)
    primary.describe_cluster_operation_v2(ClusterOperationArn=started)
    for call in (
        primary.describe_cluster,
        primary.describe_cluster_v2,
        primary.get_bootstrap_brokers,
        primary.list_nodes,
        primary.list_cluster_operations,
        primary.list_cluster_operations_v2,
        primary.get_compatible_kafka_versions,
    ):
        call(**cluster)
    for call in (primary.list_clusters, primary.list_clusters_v2, primary.list_kafka_versions):
        call()
    primary.put_cluster_policy(**cluster, Policy=json.dumps(source_policy(made)))
    primary.get_cluster_policy(**cluster)
    topic = {**cluster, "TopicName": "t"}
    primary.create_topic(**topic, PartitionCount=1, ReplicationFactor=3)
    primary.update_topic(**topic, PartitionCount=2)
    primary.describe_topic(**topic)
    primary.describe_topic_partitions(**topic)
    primary.list_topics(**cluster)
    primary.delete_topic(**topic)
    primary.tag_resource(ResourceArn=made, Tags={"a": "b"})
    primary.list_tags_for_resource(ResourceArn=made)
    primary.untag_resource(ResourceArn=made, TagKeys=["a"])
    target = world.cluster(SECONDARY)
    replicator = {
        "ReplicatorArn": secondary.create_replicator(
            **world.replicator_request(made, target, world.role(execution_policy()))
        )["ReplicatorArn"]
    }
    version = world.settled(replicator["ReplicatorArn"])["CurrentVersion"]
    logs = {"ReplicatorLogDelivery": {"S3": {"Enabled": True, "Bucket": "b", "Prefix": "p"}}}
    secondary.update_replication_info(**replicator, CurrentVersion=version, LogDelivery=logs)
    world.settled(replicator["ReplicatorArn"])
    secondary.list_replicators()
    primary.list_replicators()
    secondary.delete_replicator(**replicator)
    world.wait_for(lambda: is_gone(secondary.describe_replicator, **replicator))
    primary.delete_cluster_policy(**cluster)
    primary.delete_cluster(**cluster)
    world.wait_for(lambda: is_gone(primary.describe_cluster, **cluster))
    calls = [call for call in world.api.calls()[before:] if call.operation.startswith("kafka:")]
    assert {call.operation for call in calls if call.status < 300} == {f"kafka:{name}" for name in service.OPERATIONS}
    assert not [call for call in calls if call.status >= 500]


UNSERVED = sorted({*model.service().operation_names} - service.OPERATIONS.keys())


@pytest.mark.parametrize("name", UNSERVED)
def test_a_call_that_is_not_served_says_so(world: World, name: str) -> None:
    http = model.service().operation_model(name).http
    path = re.sub(r"{\w+}", "anything", http["requestUri"])
    status, headers, body = service.answer(world.api._msk, PRIMARY, http["method"], path, "", b"")
    assert (status, headers["x-amzn-ErrorType"]) == (400, "BadRequestException")
    told = json.loads(body)["message"]
    assert told.startswith(f"{name} is not served; the sandbox has clusters with their updates and policies, ")


def test_the_sdk_shows_why_a_call_is_not_served(world: World) -> None:
    with pytest.raises(world.kafka(PRIMARY).exceptions.BadRequestException, match="but no MSK configurations, "):
        world.kafka(PRIMARY).list_configurations()
