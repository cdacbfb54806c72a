"""Replicators: what they need, how they live, and how the source's Region sees them."""

import copy
import json
from typing import Any

import pytest

from tests.api.world import (
    PRIMARY,
    SECONDARY,
    TRUST,
    World,
    execution_policy,
    is_gone,
    refusal,
    source_policy,
)

FOREIGN = "arn:aws:kafka:us-east-1:210987654321:cluster/foreign/0-1"


def info(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["ReplicationInfoList"][0]
    return found


def test_a_replicator_is_creating_and_then_running(world: World, source: str, target: str, role: str) -> None:
    kafka = world.kafka(SECONDARY)
    request = world.replicator_request(source, target, role, Description="copies", Tags={"a": "b"})
    created = kafka.create_replicator(**request)
    assert created["ReplicatorState"] == "CREATING"
    arn = created["ReplicatorArn"]
    found = world.settled(arn)
    assert found["ReplicatorState"] == "RUNNING" and "StateInfo" not in found
    assert found["ReplicatorDescription"] == "copies" and found["Tags"] == {"a": "b"}
    assert (found["IsReplicatorReference"], found["ReplicatorResourceArn"]) == (False, arn)
    described = found["ReplicationInfoList"][0]
    assert described["TopicReplication"] == info(request)["TopicReplication"] | {
        "CopyTopicConfigurations": True,
        "DetectAndCopyNewTopics": True,
    }
    assert described["ConsumerGroupReplication"]["SynchroniseConsumerGroupOffsets"] is True
    aliases = [entry["KafkaClusterAlias"] for entry in found["KafkaClusters"]]
    assert aliases == [described["SourceKafkaClusterAlias"], described["TargetKafkaClusterAlias"]]
    assert aliases[0].startswith(f"{source.split('/')[1]}-") and aliases[0] != aliases[1]
    world.delete_replicator(arn)


def test_what_is_not_said_takes_the_services_defaults(world: World, source: str, target: str, role: str) -> None:
    # Prefixed names make copies under other names, so that ACLs are copied by default and need one more permission.
    policy = execution_policy()
    policy["Statement"][0]["Action"].append("kafka-cluster:AlterCluster")
    request = world.replicator_request(source, target, world.role(policy))
    info(request)["TopicReplication"] = {"TopicsToReplicate": [".*"]}
    info(request)["ConsumerGroupReplication"] = {"ConsumerGroupsToReplicate": []}
    arn = world.kafka(SECONDARY).create_replicator(**request)["ReplicatorArn"]
    found = world.settled(arn)
    assert found["ReplicatorState"] == "RUNNING", found.get("StateInfo")
    assert info(found)["TopicReplication"] == {
        "TopicsToReplicate": [".*"],
        "CopyAccessControlListsForTopics": True,
        "CopyTopicConfigurations": True,
        "DetectAndCopyNewTopics": True,
        "StartingPosition": {"Type": "LATEST"},
        "TopicNameConfiguration": {"Type": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"},
    }
    assert info(found)["ConsumerGroupReplication"] == {
        "ConsumerGroupsToReplicate": [],
        "DetectAndCopyNewConsumerGroups": True,
        "SynchroniseConsumerGroupOffsets": True,
        "ConsumerGroupOffsetSyncMode": "LEGACY",
    }
    world.delete_replicator(arn)


def test_the_sources_region_sees_a_reference(world: World, source: str, target: str, role: str) -> None:
    here, there = world.kafka(PRIMARY), world.kafka(SECONDARY)
    request = world.replicator_request(source, target, role)
    arn = there.create_replicator(**request)["ReplicatorArn"]
    version = world.settled(arn)["CurrentVersion"]
    name = request["ReplicatorName"]
    (own,) = there.list_replicators(ReplicatorNameFilter=name)["Replicators"]
    (reference,) = here.list_replicators(ReplicatorNameFilter=name)["Replicators"]
    assert (own["IsReplicatorReference"], own["ReplicatorArn"]) == (False, arn)
    assert (reference["IsReplicatorReference"], reference["ReplicatorResourceArn"]) == (True, arn)
    assert reference["ReplicatorArn"].split(":")[3] == PRIMARY
    described = here.describe_replicator(ReplicatorArn=reference["ReplicatorArn"])
    assert (described["IsReplicatorReference"], described["ReplicatorState"]) == (True, "RUNNING")
    for call, params in (
        (here.delete_replicator, {}),
        (here.update_replication_info, {"CurrentVersion": version, "LogDelivery": {}}),
        (here.tag_resource, {}),
    ):
        key = "ResourceArn" if call == here.tag_resource else "ReplicatorArn"
        more = {"Tags": {"a": "b"}} if call == here.tag_resource else params
        assert "is a reference" in refusal(call, **{key: reference["ReplicatorArn"]}, **more)[1]
    assert refusal(here.describe_replicator, ReplicatorArn=arn)[0] == "NotFoundException"
    world.delete_replicator(arn)
    assert is_gone(here.describe_replicator, ReplicatorArn=reference["ReplicatorArn"])


def test_a_name_and_a_pair_of_clusters_are_taken_once(world: World, source: str, target: str, role: str) -> None:
    kafka = world.kafka(SECONDARY)
    request = world.replicator_request(source, target, role)
    arn = kafka.create_replicator(**request)["ReplicatorArn"]
    assert refusal(kafka.create_replicator, **request) == (
        "ConflictException",
        "A resource with this name already exists.",
    )
    second = world.replicator_request(source, target, role)
    code, message = refusal(kafka.create_replicator, **second)
    assert code == "ConflictException" and "replicates from" in message
    world.settled(arn)
    world.delete_replicator(arn)
    arn = kafka.create_replicator(**second)["ReplicatorArn"]
    assert world.settled(arn)["ReplicatorState"] == "RUNNING"
    world.delete_replicator(arn)


def test_both_directions_of_a_pair_live_side_by_side(world: World, role: str) -> None:
    one, other = world.source(PRIMARY), world.source(SECONDARY)
    forward = world.kafka(SECONDARY).create_replicator(**world.replicator_request(one, other, role))["ReplicatorArn"]
    reverse = world.kafka(PRIMARY).create_replicator(**world.replicator_request(other, one, role))["ReplicatorArn"]
    assert {world.settled(arn)["ReplicatorState"] for arn in (forward, reverse)} == {"RUNNING"}
    for arn in (forward, reverse):
        world.delete_replicator(arn)


# Each takes the request of a Replicator that would work and spoils it; the message is what the service says at once.
SPOILED: dict[str, tuple[Any, str, str]] = {
    "a target in another Region": (
        lambda request: info(request).update(
            SourceKafkaClusterArn=info(request)["TargetKafkaClusterArn"],
            TargetKafkaClusterArn=info(request)["SourceKafkaClusterArn"],
        ),
        "BadRequestException",
        "The target cluster must be from region us-east-2",
    ),
    "a cluster twice": (
        lambda request: request["KafkaClusters"].__setitem__(0, request["KafkaClusters"][1]),
        "BadRequestException",
        "Kafka cluster list contains duplicate cluster ARNs",
    ),
    "one cluster": (
        lambda request: request["KafkaClusters"].pop(),
        "BadRequestException",
        "kafkaClusters has 1 clusters",
    ),
    "two flows": (
        lambda request: request["ReplicationInfoList"].append(info(request)),
        "BadRequestException",
        "replicationInfoList must have exactly one entry",
    ),
    "a source that is not in the list": (
        lambda request: info(request).update(SourceKafkaClusterArn=FOREIGN),
        "BadRequestException",
        "Source and target Kafka cluster ARNs must be present in kafkaClusters",
    ),
    "a source that is the target": (
        lambda request: info(request).update(SourceKafkaClusterArn=info(request)["TargetKafkaClusterArn"]),
        "BadRequestException",
        "The source and the target cluster must differ",
    ),
    "a cluster of another account": (
        lambda request: (
            request["KafkaClusters"][0]["AmazonMskCluster"].update(MskClusterArn=FOREIGN),
            info(request).update(SourceKafkaClusterArn=FOREIGN),
        ),
        "ForbiddenException",
        "Access denied on kafka:GetBootstrapBrokers",
    ),
    "a source that does not exist": (
        lambda request: (
            request["KafkaClusters"][0]["AmazonMskCluster"].update(
                MskClusterArn=FOREIGN.replace("210987654321", "123456789012")
            ),
            info(request).update(SourceKafkaClusterArn=FOREIGN.replace("210987654321", "123456789012")),
        ),
        "NotFoundException",
        "does not exist",
    ),
    "a role of another account": (
        lambda request: request.update(ServiceExecutionRoleArn="arn:aws:iam::210987654321:role/r"),
        "BadRequestException",
        "Cross-account pass role is not allowed.",
    ),
    "a role that does not exist": (
        lambda request: request.update(ServiceExecutionRoleArn="arn:aws:iam::123456789012:role/none"),
        "BadRequestException",
        "does not exist",
    ),
    "ENHANCED with prefixed names": (
        lambda request: info(request)["TopicReplication"].pop("TopicNameConfiguration"),
        "BadRequestException",
        "The consumerGroupOffsetSyncMode value ENHANCED is only supported when topicNameConfiguration type is "
        "IDENTICAL",
    ),
    "no topics": (
        lambda request: info(request)["TopicReplication"].update(TopicsToReplicate=[]),
        "BadRequestException",
        "topicsToReplicate has 0 patterns",
    ),
    "too many groups": (
        lambda request: info(request)["ConsumerGroupReplication"].update(ConsumerGroupsToReplicate=["a"] * 101),
        "BadRequestException",
        "consumerGroupsToReplicate has 101 patterns",
    ),
    "a pattern that is too long": (
        lambda request: info(request)["TopicReplication"].update(TopicsToReplicate=["a" * 250]),
        "BadRequestException",
        "the most is 249",
    ),
    "no network": (
        lambda request: request["KafkaClusters"][0].pop("VpcConfig"),
        "BadRequestException",
        "vpcConfig is missing",
    ),
    "one subnet": (
        lambda request: request["KafkaClusters"][0]["VpcConfig"].update(SubnetIds=["subnet-1"]),
        "BadRequestException",
        "subnetIds has 1 subnets",
    ),
    "subnets of the other Region": (
        lambda request: request["KafkaClusters"][0].update(VpcConfig=request["KafkaClusters"][1]["VpcConfig"]),
        "BadRequestException",
        "it does not exist in us-east-1",
    ),
    "a security group that does not exist": (
        lambda request: request["KafkaClusters"][1]["VpcConfig"].update(SecurityGroupIds=["sg-none"]),
        "BadRequestException",
        "securityGroupIds has sg-none",
    ),
    "self-managed Kafka": (
        lambda request: request["KafkaClusters"].__setitem__(
            0, {"ApacheKafkaCluster": {"ApacheKafkaClusterId": "x", "BootstrapBrokerString": "y"}}
        ),
        "BadRequestException",
        "between MSK clusters only",
    ),
    "a compression that there is not": (
        lambda request: info(request).update(TargetCompressionType="RAR"),
        "BadRequestException",
        "TargetCompressionType is RAR; it must be one of NONE",
    ),
    "a name with an underscore": (
        lambda request: request.update(ReplicatorName="a_b"),
        "BadRequestException",
        "ReplicatorName is a_b; it must match",
    ),
    "a log group without its name": (
        lambda request: request.update(LogDelivery={"ReplicatorLogDelivery": {"CloudWatchLogs": {"Enabled": True}}}),
        "BadRequestException",
        "LogGroup is missing",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_replicator_is_refused_at_once_with(world: World, source: str, target: str, role: str, case: str) -> None:
    spoil, code, message = SPOILED[case]
    kafka = world.client("kafka", SECONDARY, parameter_validation=False)
    request = copy.deepcopy(world.replicator_request(source, target, role))
    spoil(request)
    found = refusal(kafka.create_replicator, **request)
    assert found[0] == code
    assert message in found[1]
    assert kafka.list_replicators()["Replicators"] == []


def test_a_role_that_kafka_may_not_take_is_refused(world: World, source: str, target: str) -> None:
    def trust(**changes: Any) -> dict[str, Any]:
        return {**TRUST, "Statement": [TRUST["Statement"][0] | changes]}  # type: ignore[operator]

    elsewhere = trust(Condition={"StringEquals": {"aws:SourceAccount": "210987654321"}})
    here = trust(Condition={"StringEquals": {"aws:SourceAccount": "123456789012"}})
    kafka = world.kafka(SECONDARY)
    for document in (trust(Principal={"Service": "ec2.amazonaws.com"}), elsewhere):
        request = world.replicator_request(source, target, world.role(execution_policy(), document))
        assert "cannot be assumed by kafka.amazonaws.com" in refusal(kafka.create_replicator, **request)[1]
    request = world.replicator_request(source, target, world.role(execution_policy(), here))
    arn = kafka.create_replicator(**request)["ReplicatorArn"]
    assert world.settled(arn)["ReplicatorState"] == "RUNNING"
    world.delete_replicator(arn)


def test_clusters_must_be_fit_for_replication(world: World, source: str, target: str, role: str) -> None:
    group = world.cluster_request(SECONDARY)["BrokerNodeGroupInfo"]
    two = group | {"InstanceType": "kafka.m7g.large", "ClientSubnets": group["ClientSubnets"][:2]}
    scram = {"Sasl": {"Scram": {"Enabled": True}}}
    cases = {
        "must have IAM access control turned on": {"ClientAuthentication": scram},
        "has t3.small brokers": {"BrokerNodeGroupInfo": group | {"InstanceType": "kafka.t3.small"}},
        "must have at least 3 brokers": {"BrokerNodeGroupInfo": two, "NumberOfBrokerNodes": 2},
    }
    kafka = world.kafka(SECONDARY)
    for message, changes in cases.items():
        unfit = world.cluster(SECONDARY, **{"KafkaVersion": "3.9.x", **changes} if "3" in message else changes)
        assert message in refusal(kafka.create_replicator, **world.replicator_request(source, unfit, role))[1]
    request = world.cluster_request(SECONDARY)
    creating = kafka.create_cluster(**request)["ClusterArn"]
    found = refusal(kafka.create_replicator, **world.replicator_request(source, creating, role))
    assert "is in CREATING state; it must be ACTIVE" in found[1]
    world.wait_active(creating)


def failure(world: World, source: str, target: str, role: str) -> dict[str, str]:
    """The reason that a Replicator ends FAILED with."""
    arn = world.kafka(SECONDARY).create_replicator(**world.replicator_request(source, target, role))["ReplicatorArn"]
    found = world.settled(arn)
    assert found["ReplicatorState"] == "FAILED"
    state: dict[str, str] = found["StateInfo"]
    kafka = world.kafka(SECONDARY)
    assert (
        "in FAILED state"
        in refusal(
            kafka.update_replication_info, ReplicatorArn=arn, CurrentVersion=found["CurrentVersion"], LogDelivery={}
        )[1]
    )
    world.delete_replicator(arn)
    return state


def test_a_source_without_multi_vpc_connectivity_fails_the_replicator(world: World, target: str, role: str) -> None:
    found = failure(world, world.source(PRIMARY, multi_vpc=False), target, role)
    assert found["Code"] == "SOURCE_NOT_REACHABLE"
    assert found["Message"].startswith("Multi-VPC private connectivity for IAM is not turned on for the source cluster")


@pytest.mark.parametrize("without", [None, "kafka:CreateVpcConnection", "kafka:DescribeClusterV2"])
def test_a_source_without_its_policy_fails_the_replicator(
    world: World, target: str, role: str, without: str | None
) -> None:
    source = world.source(PRIMARY, policy=False)
    if without:
        policy = json.dumps(source_policy(source, without))
        world.kafka(PRIMARY).put_cluster_policy(ClusterArn=source, Policy=policy)
    found = failure(world, source, target, role)
    assert found["Code"] == "SOURCE_ACCESS_DENIED"
    assert (without or "kafka:GetBootstrapBrokers") in found["Message"]


@pytest.mark.parametrize("without", ["Connect", "WriteDataIdempotently", "CreateTopic", "ReadData", "AlterGroup"])
def test_a_role_without_a_permission_fails_the_replicator(world: World, source: str, target: str, without: str) -> None:
    found = failure(world, source, target, world.role(execution_policy(without)))
    assert found["Code"] == "ROLE_ACCESS_DENIED"
    assert f"kafka-cluster:{without} on arn:aws:kafka" in found["Message"]


def test_a_topic_that_the_role_may_not_read_fails_the_replicator(world: World, target: str) -> None:
    source = world.source(PRIMARY)
    kafka = world.kafka(PRIMARY)
    kafka.create_topic(ClusterArn=source, TopicName="secret", PartitionCount=1, ReplicationFactor=3)
    policy = execution_policy()
    topic = f"{source.replace(':cluster/', ':topic/')}/secret"
    policy["Statement"].append({"Effect": "Deny", "Action": "kafka-cluster:ReadData", "Resource": topic})
    found = failure(world, source, target, world.role(policy))
    assert found["Message"].endswith(f"kafka-cluster:ReadData on {topic}.")


def test_a_managed_policy_will_do(world: World, source: str, target: str) -> None:
    role = world.role(None)
    world.client("iam", PRIMARY).attach_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyArn="arn:aws:iam::aws:policy/service-role/AWSMSKReplicatorExecutionRole",
    )
    arn = world.kafka(SECONDARY).create_replicator(**world.replicator_request(source, target, role))["ReplicatorArn"]
    assert world.settled(arn)["ReplicatorState"] == "RUNNING"
    world.delete_replicator(arn)


def test_a_target_whose_security_group_is_closed_fails_the_replicator(world: World, source: str, role: str) -> None:
    ec2, network = world.client("ec2", SECONDARY), world.network(SECONDARY)
    closed = ec2.create_security_group(GroupName="closed", Description="x", VpcId=network.vpc)["GroupId"]
    group = world.cluster_request(SECONDARY)["BrokerNodeGroupInfo"] | {"SecurityGroups": [closed]}
    target = world.cluster(SECONDARY, BrokerNodeGroupInfo=group)
    found = failure(world, source, target, role)
    assert found["Code"] == "TARGET_NOT_REACHABLE"
    assert "port 9098" in found["Message"]
    ec2.authorize_security_group_ingress(
        GroupId=closed, IpProtocol="tcp", FromPort=9098, ToPort=9098, CidrIp="10.7.0.0/16"
    )
    arn = world.kafka(SECONDARY).create_replicator(**world.replicator_request(source, target, role))["ReplicatorArn"]
    assert world.settled(arn)["ReplicatorState"] == "RUNNING"
    world.delete_replicator(arn)


def test_a_replicator_whose_group_lets_nothing_out_fails(world: World, source: str, target: str, role: str) -> None:
    ec2, network = world.client("ec2", SECONDARY), world.network(SECONDARY)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.revoke_security_group_egress(GroupId=network.replicator_group, IpPermissions=everything)
    try:
        assert failure(world, source, target, role)["Code"] == "TARGET_NOT_REACHABLE"
    finally:
        ec2.authorize_security_group_egress(GroupId=network.replicator_group, IpPermissions=everything)


def topics(**changes: Any) -> dict[str, Any]:
    return {
        "TopicsToReplicate": ["orders"],
        "TopicsToExclude": [],
        "CopyAccessControlListsForTopics": False,
        "CopyTopicConfigurations": False,
        "DetectAndCopyNewTopics": False,
    } | changes


GROUPS = {
    "ConsumerGroupsToReplicate": ["billing"],
    "ConsumerGroupsToExclude": ["test"],
    "DetectAndCopyNewConsumerGroups": False,
    "SynchroniseConsumerGroupOffsets": False,
}


def test_lists_flags_and_logs_can_be_updated_and_nothing_else(
    world: World, source: str, target: str, role: str
) -> None:
    kafka = world.kafka(SECONDARY)
    arn = kafka.create_replicator(**world.replicator_request(source, target, role))["ReplicatorArn"]
    early = refusal(kafka.update_replication_info, ReplicatorArn=arn, CurrentVersion="K1", TopicReplication=topics())
    assert early[1] == "You can't update a replicator in CREATING state."
    assert refusal(kafka.delete_replicator, ReplicatorArn=arn)[1] == "You can't delete a replicator in CREATING state."
    version = world.settled(arn)["CurrentVersion"]
    logs = {"ReplicatorLogDelivery": {"CloudWatchLogs": {"Enabled": True, "LogGroup": "/aws/x"}}}
    answer = kafka.update_replication_info(
        ReplicatorArn=arn,
        CurrentVersion=version,
        SourceKafkaClusterArn=source,
        TargetKafkaClusterArn=target,
        TopicReplication=topics(),
        ConsumerGroupReplication=GROUPS,
        LogDelivery=logs,
    )
    assert answer["ReplicatorState"] == "UPDATING"
    found = world.settled(arn)
    assert found["ReplicatorState"] == "RUNNING" and found["CurrentVersion"] != version
    assert info(found)["TopicReplication"] == topics() | {
        "StartingPosition": {"Type": "EARLIEST"},
        "TopicNameConfiguration": {"Type": "IDENTICAL"},
    }
    assert info(found)["ConsumerGroupReplication"] == GROUPS | {"ConsumerGroupOffsetSyncMode": "ENHANCED"}
    assert found["LogDelivery"] == logs
    update = {"ReplicatorArn": arn, "CurrentVersion": found["CurrentVersion"]}
    for params, message in (
        ({}, "does not include any updates"),
        ({"TopicReplication": topics(), "CurrentVersion": version}, "isn't current"),
        ({"TopicReplication": topics(), "SourceKafkaClusterArn": target}, "stays with its clusters"),
        ({"TopicReplication": topics(TopicsToReplicate=[])}, "topicsToReplicate has 0 patterns"),
    ):
        assert message in refusal(kafka.update_replication_info, **(update | params))[1]
    assert "isn't current" in refusal(kafka.delete_replicator, ReplicatorArn=arn, CurrentVersion=version)[1]
    raw = world.client("kafka", SECONDARY, parameter_validation=False)
    partial = {"TopicsToReplicate": ["orders"]}
    assert "Missing required parameter" in refusal(raw.update_replication_info, **update, TopicReplication=partial)[1]
    kafka.delete_replicator(ReplicatorArn=arn, CurrentVersion=found["CurrentVersion"])
    assert world.wait_for(lambda: is_gone(kafka.describe_replicator, ReplicatorArn=arn))


def test_within_one_region_a_source_needs_neither_multi_vpc_nor_a_policy(world: World, role: str) -> None:
    one, other = world.cluster(SECONDARY), world.cluster(SECONDARY)
    arn = world.kafka(SECONDARY).create_replicator(**world.replicator_request(one, other, role))["ReplicatorArn"]
    found = world.settled(arn)
    assert (found["ReplicatorState"], found["IsReplicatorReference"]) == ("RUNNING", False)
    world.delete_replicator(arn)
