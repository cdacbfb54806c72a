"""MSK Replicators: what is refused at once, what ends in FAILED, and what an update can carry.

Every case starts from a pair that passes (`Pair.inputs`, which the first test creates) and breaks one rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_aws import cloudwatch, ec2, iam, msk, vpc

from sandbox.aws.replicator import REPLICATOR, SOURCE_POLICY_ACTIONS
from sandbox.regions import ACCOUNT
from sandbox.wire import Props
from tests.sandbox.kit import EAST, OHIO, Client, Network, Pair, Refused, Rejected, changed, cluster_inputs

INFO = "replicationInfoList"
TOPICS = f"{INFO}.topicReplications[0]"
GROUPS = f"{INFO}.consumerGroupReplications[0]"


def refusal(pair: Pair, inputs: Props) -> str:
    with pytest.raises(Refused) as refused:
        pair.target.make(msk.Replicator, "r", inputs)
    assert refused.value.left is None, "nothing is left behind"
    assert pair.target.cloud.region(OHIO).table(REPLICATOR) == {}
    return str(refused.value)


def failure(pair: Pair, inputs: Props | None = None) -> str:
    """The reason with which a Replicator ends in FAILED."""
    with pytest.raises(Refused, match="unexpected state 'FAILED', wanted target 'RUNNING'") as refused:
        pair.target.make(msk.Replicator, "r", inputs or pair.inputs())
    record = pair.target.cloud.region(OHIO).get(REPLICATOR, refused.value.left.id)
    assert record is not None
    assert record["_state"] == "FAILED"
    return str(refused.value)


def test_a_replicator_that_passes_looks_like_one_of_aws(pair: Pair) -> None:
    made = pair.replicator()
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-2"
    assert re.fullmatch(rf"arn:aws:kafka:us-east-2:{ACCOUNT}:replicator/east-to-ohio/{uuid}", made.id)
    info = made[INFO]
    assert info["sourceKafkaClusterAlias"].startswith("orders-")
    assert info["sourceKafkaClusterAlias"] != info["targetKafkaClusterAlias"]
    assert info["topicReplications"][0]["copyTopicConfigurations"] is True
    assert made["currentVersion"].startswith("K")
    assert not any(name.startswith("_") for name in made.outputs)


def test_making_a_replicator_calls_nothing_in_the_sources_region(pair: Pair) -> None:
    """The service asks the source's Region; the client, and so the provider, does not."""
    pair.target.cloud.forget_calls()
    pair.replicator()
    assert pair.target.cloud.calls(EAST) == []
    assert [call.operation for call in pair.target.cloud.calls(OHIO)] == [
        "kafka:CreateReplicator",
        "kafka:DescribeReplicator",
        "kafka:DescribeReplicator",
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("replicatorName", "east_to_ohio", "at 'replicatorName' failed to satisfy constraint"),
        ("replicatorName", "a" * 129, "at 'replicatorName' failed to satisfy constraint"),
        ("description", "a" * 1025, "at 'description' failed to satisfy constraint"),
        (f"{INFO}.targetCompressionType", "BROTLI", "must be one of NONE, GZIP, SNAPPY, LZ4, ZSTD"),
        (
            f"{TOPICS}.topicNameConfiguration.type",
            "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS",
            "The consumerGroupOffsetSyncMode value ENHANCED is only supported when topicNameConfiguration type is "
            "IDENTICAL",
        ),
        (f"{TOPICS}.topicsToReplicates", [], "must have 1 to 100 patterns"),
        (f"{TOPICS}.topicsToReplicates", ["a"] * 101, "must have 1 to 100 patterns"),
        (f"{TOPICS}.topicsToReplicates", ["a" * 250], "1 to 249 characters, one has 250"),
        (f"{TOPICS}.topicsToReplicates", [""], "1 to 249 characters, one has 0"),
        (f"{TOPICS}.topicsToReplicates", ["*"], "not a valid regular expression"),
        (f"{TOPICS}.topicsToExcludes", ["(tmp"], "not a valid regular expression"),
        (f"{GROUPS}.consumerGroupsToReplicates", ["a" * 257], "1 to 256 characters, one has 257"),
        (f"{GROUPS}.consumerGroupsToExcludes", ["["], "not a valid regular expression"),
        (
            "serviceExecutionRoleArn",
            "arn:aws:iam::999999999999:role/execution",
            "Cross-account pass role is not allowed.",
        ),
        ("serviceExecutionRoleArn", f"arn:aws:iam::{ACCOUNT}:role/none", "does not exist"),
        ("kafkaClusters[1].vpcConfig.securityGroupsIds", ["sg-none"], "does not exist in the VPC of the target"),
        ("kafkaClusters[1].vpcConfig.securityGroupsIds", ["sg-none"] * 17, "At most 16 security groups"),
        ("kafkaClusters[0].vpcConfig.subnetIds", ["subnet-none", "subnet-no"], "2 or 3 of the subnets of cluster"),
        (
            "logDelivery",
            {"replicatorLogDelivery": {"cloudwatchLogs": {"enabled": True}}},
            "logGroup is required when log delivery to CloudWatch Logs is enabled",
        ),
        (
            "logDelivery",
            {"replicatorLogDelivery": {"cloudwatchLogs": {"enabled": True, "logGroup": "none"}}},
            "The log group none does not exist in us-east-2",
        ),
    ],
)
def test_the_service_refuses_a_replicator(pair: Pair, path: str, value: Any, message: str) -> None:
    said = refusal(pair, changed(pair.inputs(), path, value))
    assert message in said
    assert "* creating MSK Replicator (" in said
    assert "operation error Kafka: CreateReplicator, https response error StatusCode: " in said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicatorName", "a" * 128),
        ("description", None),
        (f"{INFO}.targetCompressionType", "ZSTD"),
        (f"{TOPICS}.topicsToReplicates", ["a" * 249]),
        (f"{TOPICS}.topicsToReplicates", [f"t{number}" for number in range(100)]),
        (f"{TOPICS}.topicsToExcludes", ["tmp-.*"]),
        (f"{GROUPS}.consumerGroupsToReplicates", ["a" * 256]),
        (f"{GROUPS}.consumerGroupOffsetSyncMode", "LEGACY"),
        ("kafkaClusters[0].vpcConfig.securityGroupsIds", []),
    ],
)
def test_the_service_takes_a_replicator_that_is_as_unusual_as_allowed(pair: Pair, path: str, value: Any) -> None:
    assert pair.target.make(msk.Replicator, "r", changed(pair.inputs(), path, value)).id


def test_prefixed_names_go_with_legacy_offsets(pair: Pair) -> None:
    inputs = changed(pair.inputs(), f"{TOPICS}.topicNameConfiguration", None)
    inputs = changed(inputs, f"{GROUPS}.consumerGroupOffsetSyncMode", None)
    made = pair.target.make(msk.Replicator, "r", changed(inputs, f"{TOPICS}.startingPosition", None))
    topics, groups = made[INFO]["topicReplications"][0], made[INFO]["consumerGroupReplications"][0]
    assert topics["topicNameConfiguration"] == {"type": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"}
    assert topics["startingPosition"] == {"type": "LATEST"}
    assert groups["consumerGroupOffsetSyncMode"] == "LEGACY"


def _without_clusters(inputs: Props) -> Props:
    return {**inputs, "kafkaClusters": inputs["kafkaClusters"][:1]}


@pytest.mark.parametrize(
    ("spoil", "path"),
    [
        (_without_clusters, "kafkaClusters"),
        (lambda i: {**i, "kafkaClusters": [*i["kafkaClusters"], i["kafkaClusters"][0]]}, "kafkaClusters"),
        (lambda i: changed(i, "kafkaClusters[0].amazonMskCluster", None), "kafkaClusters[0]"),
        (lambda i: changed(i, "kafkaClusters[1].vpcConfig", None), "kafkaClusters[1].vpcConfig"),
        (
            lambda i: changed(i, "kafkaClusters[0].amazonMskCluster.mskClusterArn", "orders"),
            "kafkaClusters[0].amazonMskCluster.mskClusterArn",
        ),
        (
            lambda i: changed(i, "kafkaClusters[0].clientAuthentication", {"mtls": {"secretArn": "a"}}),
            "kafkaClusters[0].clientAuthentication",
        ),
        (
            lambda i: changed(i, "kafkaClusters[0].encryptionInTransit", {"rootCaCertificate": "a"}),
            "kafkaClusters[0].encryptionInTransit",
        ),
        (
            lambda i: changed(
                changed(i, "kafkaClusters[0].amazonMskCluster", None),
                "kafkaClusters[0].apacheKafkaCluster",
                {"apacheKafkaClusterId": "a", "bootstrapBrokerString": "b"},
            ),
            "kafkaClusters[0].apacheKafkaCluster",
        ),
        (lambda i: changed(i, "serviceExecutionRoleArn", "role"), "serviceExecutionRoleArn"),
        (lambda i: changed(i, f"{INFO}.sourceKafkaClusterArn", None), f"{INFO}.sourceKafkaClusterArn"),
        (lambda i: changed(i, f"{INFO}.targetKafkaClusterId", "x"), f"{INFO}.targetKafkaClusterArn"),
        (lambda i: changed(i, f"{INFO}.sourceKafkaClusterArn", "orders"), f"{INFO}.sourceKafkaClusterArn"),
        (lambda i: changed(i, f"{INFO}.sourceKafkaClusterAlias", "x"), f"{INFO}.sourceKafkaClusterAlias"),
        (lambda i: changed(i, f"{INFO}.topicReplications", []), f"{INFO}.topicReplications"),
        (lambda i: changed(i, f"{INFO}.consumerGroupReplications", []), f"{INFO}.consumerGroupReplications"),
        (lambda i: changed(i, f"{TOPICS}.startingPosition.type", "OLDEST"), f"{TOPICS}.startingPosition.type"),
        (
            lambda i: changed(i, f"{TOPICS}.topicNameConfiguration.type", "SAME"),
            f"{TOPICS}.topicNameConfiguration.type",
        ),
        (
            lambda i: changed(i, f"{GROUPS}.consumerGroupOffsetSyncMode", "NEW"),
            f"{GROUPS}.consumerGroupOffsetSyncMode",
        ),
        (
            lambda i: {
                **i,
                "logDelivery": {"replicatorLogDelivery": {"cloudwatchLogs": {"enabled": False, "logGroup": "x"}}},
            },
            "logDelivery.replicatorLogDelivery.cloudwatchLogs.logGroup",
        ),
    ],
)
def test_the_provider_refuses_a_replicator_before_anything_is_made(
    pair: Pair, spoil: Callable[[Props], Props], path: str
) -> None:
    with pytest.raises(Rejected) as rejected:
        pair.target.check(msk.Replicator, "r", spoil(pair.inputs()))
    assert path in rejected.value.failures


def test_the_provider_takes_a_compression_type_that_the_service_then_refuses(pair: Pair) -> None:
    inputs = changed(pair.inputs(), f"{INFO}.targetCompressionType", "BROTLI")
    assert pair.target.check(msk.Replicator, "r", inputs)


def test_a_replicator_lives_in_the_region_of_its_target(pair: Pair) -> None:
    with pytest.raises(Refused, match="The target cluster must be from region us-east-1"):
        pair.source.make(msk.Replicator, "r", pair.inputs())


def test_source_and_target_differ_and_are_the_clusters_that_are_listed(pair: Pair) -> None:
    source, target = pair.source_cluster.id, pair.target_cluster.id
    same = changed(pair.inputs(), f"{INFO}.sourceKafkaClusterArn", target)
    assert "must be different" in refusal(pair, same)
    twice = changed(pair.inputs(), "kafkaClusters[0].amazonMskCluster.mskClusterArn", target)
    assert "Kafka cluster list contains duplicate cluster ARNs" in refusal(pair, twice)
    other = source.replace("orders", "other")
    elsewhere = changed(pair.inputs(), f"{INFO}.sourceKafkaClusterArn", other)
    message = "Source and target Kafka cluster ARNs must be present in kafkaClusters"
    assert message in refusal(pair, elsewhere)
    missing = changed(elsewhere, "kafkaClusters[0].amazonMskCluster.mskClusterArn", other)
    assert "NotFoundException" in refusal(pair, missing)


def test_both_clusters_are_of_the_same_account(pair: Pair) -> None:
    foreign = pair.source_cluster.id.replace(ACCOUNT, "999999999999")
    inputs = changed(pair.inputs(), f"{INFO}.sourceKafkaClusterArn", foreign)
    inputs = changed(inputs, "kafkaClusters[0].amazonMskCluster.mskClusterArn", foreign)
    assert "not authorized to perform: kafka:GetBootstrapBrokers" in refusal(pair, inputs)


@pytest.mark.parametrize("side", ["source", "target"])
def test_both_clusters_have_iam_authentication(cloud: Any, pair: Pair, side: str) -> None:
    client, network = (pair.source, pair.source_network) if side == "source" else (pair.target, pair.target_network)
    without = changed(cluster_inputs(network, "scram"), "clientAuthentication", {"sasl": {"scram": True}})
    without = changed(without, "brokerNodeGroupInfo.connectivityInfo", None)
    cluster = client.make(msk.Cluster, "scram", without)
    inputs = changed(pair.inputs(), f"{INFO}.{side}KafkaClusterArn", cluster.id)
    entry = 0 if side == "source" else 1
    inputs = changed(inputs, f"kafkaClusters[{entry}].amazonMskCluster.mskClusterArn", cluster.id)
    assert "must have IAM access control enabled" in refusal(pair, inputs)


def test_a_cluster_of_two_brokers_is_too_small(pair: Pair) -> None:
    path = "brokerNodeGroupInfo"
    inputs = changed(cluster_inputs(pair.source_network, "small"), f"{path}.instanceType", "kafka.m7g.large")
    inputs = changed(inputs, f"{path}.clientSubnets", pair.source_network.subnet_ids[:2])
    small = pair.source.make(msk.Cluster, "small", {**inputs, "numberOfBrokerNodes": 2})
    given = changed(pair.inputs(), f"{INFO}.sourceKafkaClusterArn", small.id)
    given = changed(given, "kafkaClusters[0].amazonMskCluster.mskClusterArn", small.id)
    assert "too small for MSK Replicator" in refusal(pair, given)


def test_there_is_one_replicator_for_a_pair_and_one_of_a_name(pair: Pair) -> None:
    first = pair.replicator()
    with pytest.raises(Refused, match="A resource with this name already exists"):
        pair.target.make(msk.Replicator, "again", pair.inputs())
    with pytest.raises(Refused, match="already exists for this pair"):
        pair.target.make(msk.Replicator, "again", changed(pair.inputs(), "replicatorName", "other"))
    pair.target.delete(first)
    assert pair.target.make(msk.Replicator, "again", pair.inputs()).id != first.id


def test_the_other_direction_is_another_pair(cloud: Any, pair: Pair) -> None:
    pair.replicator()
    back = Pair.__new__(Pair)
    back.source, back.target = pair.target, pair.source
    back.source_network, back.target_network = pair.target_network, pair.source_network
    back.source_cluster, back.target_cluster = pair.target_cluster, pair.source_cluster
    back.policy = pair.target.make(
        msk.ClusterPolicy,
        "target",
        {
            "clusterArn": pair.target_cluster.id,
            "policy": pair.policy["policy"].replace(pair.source_cluster.id, pair.target_cluster.id),
        },
    )
    back.role = pair.role
    document = json.dumps(back.permission_document())
    pair.source.make(iam.RolePolicy, "back", {"role": pair.role.id, "policy": document})
    back.group = pair.source.make(ec2.SecurityGroup, "replicator", {"vpcId": pair.source_network.vpc.id})
    rule = {"ipProtocol": "tcp", "fromPort": 9098, "toPort": 9098}
    group, cluster_group = back.group.id, pair.source_network.group.id
    out = {**rule, "securityGroupId": group, "referencedSecurityGroupId": cluster_group}
    inward = {**rule, "securityGroupId": cluster_group, "referencedSecurityGroupId": group}
    pair.source.make(vpc.SecurityGroupEgressRule, "o", out)
    pair.source.make(vpc.SecurityGroupIngressRule, "i", inward)
    assert f":{EAST}:" in pair.source.make(msk.Replicator, "back", back.inputs()).id


def test_the_role_must_be_one_that_msk_can_assume(pair: Pair) -> None:
    trust = json.dumps(
        {"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}
    )
    other = pair.target.make(iam.Role, "other", {"assumeRolePolicy": trust})
    said = refusal(pair, changed(pair.inputs(), "serviceExecutionRoleArn", other["arn"]))
    assert "cannot be assumed by kafka.amazonaws.com" in said


def test_a_source_in_a_region_that_is_down_cannot_be_reached(pair: Pair) -> None:
    pair.target.cloud.faults.fail(EAST)
    said = refusal(pair, pair.inputs())
    assert "ServiceUnavailableException: The source cluster in us-east-1 cannot be reached" in said
    pair.target.cloud.faults.heal(EAST)
    assert pair.replicator().id


def test_a_source_without_a_policy_fails(pair: Pair) -> None:
    pair.source.delete(pair.policy)
    assert "SOURCE_POLICY" in failure(pair)


@pytest.mark.parametrize("action", SOURCE_POLICY_ACTIONS)
def test_a_source_whose_policy_lacks_an_action_fails_and_names_it(pair: Pair, action: str) -> None:
    document = json.loads(pair.policy["policy"])
    document["Statement"][0]["Action"].remove(action)
    inputs = {"clusterArn": pair.source_cluster.id, "policy": json.dumps(document)}
    pair.source.change(pair.policy, inputs)
    assert action in failure(pair)


def test_a_source_whose_policy_is_for_somebody_else_fails(pair: Pair) -> None:
    document = json.loads(pair.policy["policy"])
    document["Statement"][0]["Principal"] = {"AWS": ACCOUNT}
    pair.source.change(pair.policy, {"clusterArn": pair.source_cluster.id, "policy": json.dumps(document)})
    assert "SOURCE_POLICY" in failure(pair)


def test_a_source_without_multi_vpc_connectivity_fails(pair: Pair) -> None:
    off = changed(
        cluster_inputs(pair.source_network),
        "brokerNodeGroupInfo.connectivityInfo.vpcConnectivity.clientAuthentication.sasl.iam",
        False,
    )
    pair.source.change(pair.source_cluster, off)
    assert "SOURCE_CONNECTIVITY" in failure(pair)


def test_within_a_region_the_source_needs_neither(cloud: Any) -> None:
    pair = Pair.__new__(Pair)
    client = Client(cloud, OHIO)
    network = Network(client)
    bare = changed(cluster_inputs(network, "one"), "brokerNodeGroupInfo.connectivityInfo", None)
    pair.source = pair.target = client
    pair.source_network = pair.target_network = network
    pair.source_cluster = client.make(msk.Cluster, "one", bare)
    pair.target_cluster = client.make(msk.Cluster, "two", {**bare, "clusterName": "two"})
    pair.role = client.make(iam.Role, "r", {"assumeRolePolicy": _trust()})
    managed = "arn:aws:iam::aws:policy/service-role/AWSMSKReplicatorExecutionRole"
    client.make(iam.RolePolicyAttachment, "a", {"role": pair.role.id, "policyArn": managed})
    pair.group = network.group
    own = {"ipProtocol": "-1", "securityGroupId": network.group.id, "referencedSecurityGroupId": network.group.id}
    client.make(vpc.SecurityGroupIngressRule, "i", own)
    client.make(vpc.SecurityGroupEgressRule, "e", own)
    assert pair.replicator().id


def _trust() -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": "kafka.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return json.dumps({"Statement": [statement]})


@pytest.mark.parametrize(
    ("statement", "action", "missing"),
    [
        (0, "Connect", "kafka-cluster:Connect on the source's cluster"),
        (0, "DescribeCluster", "kafka-cluster:DescribeCluster on the target's cluster"),
        (0, "WriteDataIdempotently", "kafka-cluster:WriteDataIdempotently on the source's cluster"),
        (1, "ReadData", "kafka-cluster:ReadData on the target's topic"),
        (2, "ReadData", "kafka-cluster:ReadData on the source's topic"),
        (3, "WriteData", "kafka-cluster:WriteData on the target's topic"),
        (3, "AlterTopic", "kafka-cluster:AlterTopic on the target's topic"),
        (4, "DescribeGroup", "kafka-cluster:DescribeGroup on the source's group"),
        (5, "AlterGroup", "kafka-cluster:AlterGroup on the target's group"),
    ],
)
def test_a_role_without_a_permission_fails_and_names_it(pair: Pair, statement: int, action: str, missing: str) -> None:
    document = pair.permission_document()
    document["Statement"][statement]["Action"].remove(f"kafka-cluster:{action}")
    pair.target.change(pair.permissions, {"role": pair.role.id, "policy": json.dumps(document)})
    assert missing in failure(pair)


def test_a_role_without_any_policy_and_one_with_a_denial_fail(pair: Pair) -> None:
    document = pair.permission_document()
    denial = {"Effect": "Deny", "Action": "kafka-cluster:WriteData", "Resource": "*"}
    document["Statement"].append(denial)
    changed_policy = pair.target.change(pair.permissions, {"role": pair.role.id, "policy": json.dumps(document)})
    assert "kafka-cluster:WriteData on the target's topic" in failure(pair)
    pair.target.delete(changed_policy)
    inputs = {**pair.inputs(), "replicatorName": "other"}
    with pytest.raises(Refused, match="already exists for this pair"):
        pair.target.make(msk.Replicator, "r", inputs)


def test_copying_acls_needs_one_more_permission(pair: Pair) -> None:
    inputs = changed(pair.inputs(), f"{TOPICS}.copyAccessControlListsForTopics", True)
    assert "kafka-cluster:AlterCluster on the target's cluster" in failure(pair, inputs)


@pytest.mark.parametrize("which", ["egress", "ingress"])
def test_a_closed_port_at_the_target_fails(pair: Pair, which: str) -> None:
    pair.target.delete(getattr(pair, which))
    assert "TARGET_CONNECTIVITY" in failure(pair)


@pytest.mark.parametrize(
    ("rule", "open_"),
    [
        ({"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}, True),
        ({"ipProtocol": "tcp", "fromPort": 9000, "toPort": 9100, "cidrIpv4": "10.2.0.0/16"}, True),
        ({"ipProtocol": "tcp", "fromPort": 9098, "toPort": 9098, "cidrIpv4": "10.2.0.0/24"}, False),
        ({"ipProtocol": "tcp", "fromPort": 9092, "toPort": 9096, "cidrIpv4": "0.0.0.0/0"}, False),
        ({"ipProtocol": "udp", "fromPort": 9098, "toPort": 9098, "cidrIpv4": "0.0.0.0/0"}, False),
    ],
)
def test_the_port_may_be_opened_by_address_when_all_brokers_are_covered(pair: Pair, rule: Props, open_: bool) -> None:
    pair.target.delete(pair.egress)
    pair.target.make(vpc.SecurityGroupEgressRule, "other", {"securityGroupId": pair.group.id, **rule})
    if open_:
        assert pair.replicator().id
    else:
        assert "TARGET_CONNECTIVITY" in failure(pair)


def test_a_failed_replicator_looks_healthy_to_pulumi_and_blocks_its_successor(pair: Pair) -> None:
    """The trap of the real provider: no output tells the state, and the next update only reads."""
    pair.target.delete(pair.ingress)
    with pytest.raises(Refused) as refused:
        pair.replicator()
    left = refused.value.left
    assert left.id
    assert "TARGET_CONNECTIVITY" in left.reasons[0]
    with pytest.raises(Refused, match="already exists"):
        pair.replicator()


def test_a_replicator_whose_cluster_is_gone_cannot_be_updated(pair: Pair) -> None:
    made = pair.replicator()
    pair.source.delete(pair.source_cluster)
    with pytest.raises(Refused, match="in the state FAILED; it must be RUNNING"):
        pair.target.change(made, changed(pair.inputs(), f"{TOPICS}.topicsToReplicates", ["orders"]))
    pair.target.delete(made)


@pytest.mark.parametrize("which", ["cluster", "replicator"])
def test_neither_clusters_nor_replicators_take_bad_tags(pair: Pair, which: str) -> None:
    tags = {"tags": {"aws:x": "y"}}
    with pytest.raises(Refused, match="InvalidTag"):
        if which == "cluster":
            pair.source.make(msk.Cluster, "c", {**cluster_inputs(pair.source_network, "other"), **tags})
        else:
            pair.target.make(msk.Replicator, "r", {**pair.inputs(), **tags})


def test_an_update_carries_topics_groups_flags_and_logs(pair: Pair) -> None:
    pair.target.make(cloudwatch.LogGroup, "l", {"name": "replicator"})
    made = pair.replicator()
    inputs = changed(pair.inputs(), f"{TOPICS}.topicsToReplicates", ["orders.*"])
    inputs = changed(inputs, f"{TOPICS}.detectAndCopyNewTopics", False)
    inputs = changed(inputs, f"{GROUPS}.consumerGroupsToExcludes", ["tmp.*"])
    logs = {"replicatorLogDelivery": {"cloudwatchLogs": {"enabled": True, "logGroup": "replicator"}}}
    inputs = {**inputs, "logDelivery": logs, "tags": {"a": "b"}}
    after = pair.target.change(made, inputs)
    topics, groups = after[INFO]["topicReplications"][0], after[INFO]["consumerGroupReplications"][0]
    assert topics["topicsToReplicates"] == ["orders.*"]
    assert topics["detectAndCopyNewTopics"] is False
    assert groups["consumerGroupsToExcludes"] == ["tmp.*"]
    assert after["logDelivery"] == logs
    assert after["tags"] == {"a": "b"}
    assert after["currentVersion"] != made["currentVersion"]
    assert not pair.target.diff(after, inputs).detailedDiff


def test_an_update_with_a_pattern_that_is_none_is_refused(pair: Pair) -> None:
    made = pair.replicator()
    with pytest.raises(Refused, match="UpdateReplicationInfo.*not a valid regular expression"):
        pair.target.change(made, changed(pair.inputs(), f"{TOPICS}.topicsToReplicates", ["*"]))


def test_tags_alone_do_not_touch_the_replication(pair: Pair) -> None:
    made = pair.replicator()
    pair.target.cloud.forget_calls()
    after = pair.target.change(made, {**pair.inputs(), "tags": {"a": "b"}})
    operations = [call.operation for call in pair.target.cloud.calls(OHIO)]
    assert operations == ["kafka:TagResource", "kafka:DescribeReplicator"]
    assert after["currentVersion"] == made["currentVersion"]


def test_a_deleted_replicator_is_gone_and_deleting_it_again_is_no_error(pair: Pair) -> None:
    made = pair.replicator()
    pair.target.delete(made)
    assert pair.target.read(made) is None
    pair.target.delete(made)
    with pytest.raises(Refused, match="does not exist"):
        pair.target.change(made, {**pair.inputs(), "description": "other"})
