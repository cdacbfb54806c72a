"""What a change costs: replaced, updated or nothing, property by property, as the real provider does it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.runtime import proto
from pulumi_aws import cloudwatch, ec2, iam, kms, msk, sns, vpc

from sandbox.wire import UNKNOWN, Props
from tests.sandbox.kit import (
    TRUST,
    Client,
    Made,
    Network,
    Pair,
    Resource,
    changed,
    cluster_inputs,
    policy_inputs,
)

REPLACE, UPDATE, NOTHING = "replace", "update", "nothing"


def cost(client: Client, made: Made, inputs: Props) -> str:
    diff = client.diff(made, inputs)
    if diff.changes == proto.DiffResponse.DIFF_NONE:
        assert not diff.detailedDiff
        return NOTHING
    return REPLACE if diff.replaces else UPDATE


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        # terraform-provider-aws, internal/service/kafka/cluster.go
        ("clusterName", "other", REPLACE),
        ("region", "us-east-2", REPLACE),
        ("brokerNodeGroupInfo.clientSubnets", ["subnet-a", "subnet-b", "subnet-c"], REPLACE),
        ("brokerNodeGroupInfo.clientSubnets[1]", "subnet-other", REPLACE),
        ("brokerNodeGroupInfo.securityGroups", ["sg-other"], REPLACE),
        ("encryptionInfo.encryptionAtRestKmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/x", REPLACE),
        ("encryptionInfo.encryptionInTransit.inCluster", False, REPLACE),
        ("kafkaVersion", "3.8.x", REPLACE),
        ("kafkaVersion", "4.2.x.kraft", UPDATE),
        ("brokerNodeGroupInfo.instanceType", "express.m7g.xlarge", UPDATE),
        ("brokerNodeGroupInfo.connectivityInfo.vpcConnectivity.clientAuthentication.sasl.iam", False, UPDATE),
        ("numberOfBrokerNodes", 6, UPDATE),
        ("enhancedMonitoring", "DEFAULT", UPDATE),
        ("clientAuthentication.sasl.scram", True, UPDATE),
        ("encryptionInfo.encryptionInTransit.clientBroker", "TLS_PLAINTEXT", UPDATE),
        ("rebalancing", {"status": "PAUSED"}, UPDATE),
        ("storageMode", "TIERED", UPDATE),
        ("loggingInfo", {"brokerLogs": {"s3": {"enabled": True, "bucket": "b"}}}, UPDATE),
        ("configurationInfo", {"arn": "arn:aws:kafka:us-east-1:123456789012:configuration/a/b", "revision": 1}, UPDATE),
        ("tags", {"a": "b"}, UPDATE),
        # Optional and computed: taking them out changes nothing, they have to be turned off.
        ("brokerNodeGroupInfo.connectivityInfo", None, NOTHING),
        ("brokerNodeGroupInfo.connectivityInfo.vpcConnectivity", None, NOTHING),
        ("rebalancing", None, NOTHING),
        ("storageMode", None, NOTHING),
        # Removal is suppressed.
        ("encryptionInfo", None, NOTHING),
        # What is already so.
        ("rebalancing", {"status": "ACTIVE"}, NOTHING),
        ("clientAuthentication.unauthenticated", False, NOTHING),
        ("clientAuthentication.sasl.scram", False, NOTHING),
    ],
)
def test_a_change_of_a_cluster(east: Client, network: Network, path: str, value: Any, expected: str) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    assert cost(east, made, changed(inputs, path, value)) == expected


def test_a_subnet_less_replaces_a_cluster(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    fewer = changed(inputs, "brokerNodeGroupInfo.clientSubnets", network.subnet_ids[:2])
    diff = east.diff(made, fewer)
    assert list(diff.replaces) == ["brokerNodeGroupInfo.clientSubnets[0]"]
    assert diff.detailedDiff["brokerNodeGroupInfo.clientSubnets[0]"].kind == proto.PropertyDiff.DELETE_REPLACE


def test_the_order_of_a_clusters_subnets_does_not_matter(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    turned = changed(inputs, "brokerNodeGroupInfo.clientSubnets", network.subnet_ids[::-1])
    assert cost(east, made, turned) == NOTHING


def test_tiered_storage_cannot_be_given_up_in_place(east: Client, network: Network) -> None:
    inputs = changed(cluster_inputs(network), "brokerNodeGroupInfo.instanceType", "kafka.m7g.large")
    made = east.make(msk.Cluster, "c", {**inputs, "storageMode": "TIERED"})
    assert cost(east, made, {**inputs, "storageMode": "LOCAL"}) == REPLACE
    local = east.make(msk.Cluster, "d", {**inputs, "clusterName": "d", "storageMode": "LOCAL"})
    assert cost(east, local, {**inputs, "clusterName": "d", "storageMode": "TIERED"}) == UPDATE


def test_logging_and_configuration_differ_in_what_removal_means(east: Client, network: Network) -> None:
    east.make(cloudwatch.LogGroup, "l", {"name": "logs"})
    configuration = east.make(msk.Configuration, "s", {"name": "s", "serverProperties": "a=b"})
    logs = {"brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "logs"}}}
    inputs = {
        **cluster_inputs(network),
        "loggingInfo": logs,
        "configurationInfo": {"arn": configuration.id, "revision": 1},
    }
    made = east.make(msk.Cluster, "c", inputs)
    assert cost(east, made, changed(inputs, "loggingInfo", None)) == NOTHING
    assert cost(east, made, changed(inputs, "configurationInfo", None)) == UPDATE
    turned_off = changed(inputs, "loggingInfo.brokerLogs.cloudwatchLogs.enabled", False)
    assert cost(east, made, turned_off) == UPDATE


INFO = "replicationInfoList"
TOPICS = f"{INFO}.topicReplications[0]"
GROUPS = f"{INFO}.consumerGroupReplications[0]"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        # terraform-provider-aws, internal/service/kafka/replicator.go
        (f"{INFO}.sourceKafkaClusterArn", "arn:aws:kafka:us-east-1:123456789012:cluster/x/y", REPLACE),
        (f"{INFO}.targetKafkaClusterArn", "arn:aws:kafka:us-east-2:123456789012:cluster/x/y", REPLACE),
        (f"{INFO}.targetCompressionType", "GZIP", REPLACE),
        (f"{TOPICS}.startingPosition.type", "LATEST", REPLACE),
        (f"{TOPICS}.topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS", REPLACE),
        (f"{GROUPS}.consumerGroupOffsetSyncMode", "LEGACY", REPLACE),
        ("kafkaClusters[0].vpcConfig.subnetIds", ["subnet-a", "subnet-b"], REPLACE),
        ("region", "us-east-1", REPLACE),
        (f"{TOPICS}.topicsToReplicates", ["orders.*"], UPDATE),
        (f"{TOPICS}.topicsToExcludes", ["tmp.*"], UPDATE),
        (f"{TOPICS}.copyTopicConfigurations", False, UPDATE),
        (f"{TOPICS}.copyAccessControlListsForTopics", True, UPDATE),
        (f"{TOPICS}.detectAndCopyNewTopics", False, UPDATE),
        (f"{GROUPS}.consumerGroupsToReplicates", ["app"], UPDATE),
        (f"{GROUPS}.synchroniseConsumerGroupOffsets", False, UPDATE),
        ("logDelivery", {"replicatorLogDelivery": {"s3": {"enabled": True, "bucket": "b"}}}, UPDATE),
        ("tags", {"a": "b"}, UPDATE),
        # Not replaced, although one would think so: accepted, and not applied either.
        ("replicatorName", "other", UPDATE),
        ("description", "other", UPDATE),
        ("serviceExecutionRoleArn", "arn:aws:iam::123456789012:role/other", UPDATE),
        ("kafkaClusters[1].vpcConfig.securityGroupsIds", ["sg-other"], UPDATE),
        ("kafkaClusters[0].amazonMskCluster.mskClusterArn", "arn:aws:kafka:us-east-1:123456789012:cluster/x/y", UPDATE),
        # Optional and computed: removal never clears.
        (f"{TOPICS}.startingPosition", None, NOTHING),
        (f"{TOPICS}.topicNameConfiguration", None, NOTHING),
        (f"{GROUPS}.consumerGroupOffsetSyncMode", None, NOTHING),
    ],
)
def test_a_change_of_a_replicator(pair: Pair, path: str, value: Any, expected: str) -> None:
    made = pair.replicator()
    assert cost(pair.target, made, changed(pair.inputs(), path, value)) == expected


def test_an_object_that_is_not_known_yet_replaces_for_what_is_in_it(pair: Pair) -> None:
    made = pair.replicator()
    diff = pair.target.diff(made, changed(pair.inputs(), INFO, UNKNOWN))
    assert f"{INFO}.sourceKafkaClusterArn" in diff.replaces
    assert f"{INFO}.sourceKafkaClusterAlias" not in diff.detailedDiff


def test_the_two_clusters_of_a_replicator_are_compared_by_position(pair: Pair) -> None:
    made = pair.replicator()
    inputs = pair.inputs()
    swapped = {**inputs, "kafkaClusters": inputs["kafkaClusters"][::-1]}
    diff = pair.target.diff(made, swapped)
    assert "kafkaClusters[0].vpcConfig.subnetIds[0]" in diff.replaces


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicatorName", "other"),
        ("description", "other"),
        ("kafkaClusters[1].vpcConfig.securityGroupsIds", ["sg-other"]),
    ],
)
def test_what_a_replicator_update_cannot_carry_is_still_different_afterwards(pair: Pair, path: str, value: Any) -> None:
    made = pair.replicator()
    inputs = changed(pair.inputs(), path, value)
    after = pair.target.change(made, inputs)
    assert after.outputs["replicatorName"] == "east-to-ohio"
    assert cost(pair.target, after, inputs) == UPDATE, "an endless diff, as with the real provider"


def test_replace_on_changes_can_turn_such_a_path_into_a_replacement(pair: Pair) -> None:
    """The engine looks for the option's paths among the keys of the detailed diff."""
    diff = pair.target.diff(pair.replicator(), changed(pair.inputs(), "replicatorName", "other"))
    assert list(diff.detailedDiff) == ["replicatorName"]
    assert diff.detailedDiff["replicatorName"].kind == proto.PropertyDiff.UPDATE
    assert not diff.replaces


OTHER_CASES: list[tuple[Resource, Props, str, Any, str]] = [
    (ec2.Vpc, {"cidrBlock": "10.9.0.0/16"}, "cidrBlock", "10.8.0.0/16", REPLACE),
    (ec2.Vpc, {"cidrBlock": "10.9.0.0/16"}, "enableDnsHostnames", True, UPDATE),
    (ec2.Vpc, {"cidrBlock": "10.9.0.0/16", "enableDnsHostnames": True}, "enableDnsHostnames", None, NOTHING),
    (ec2.Vpc, {"cidrBlock": "10.9.0.0/16"}, "instanceTenancy", "dedicated", REPLACE),
    (ec2.Vpc, {"cidrBlock": "10.9.0.0/16", "tags": {"a": "b"}}, "tags", None, UPDATE),
    (ec2.SecurityGroup, {"name": "x", "vpcId": "VPC"}, "name", "y", REPLACE),
    (ec2.SecurityGroup, {"name": "x", "vpcId": "VPC"}, "description", "y", REPLACE),
    (ec2.SecurityGroup, {"name": "x", "vpcId": "VPC"}, "vpcId", "vpc-other", REPLACE),
    (ec2.SecurityGroup, {"name": "x", "vpcId": "VPC"}, "tags", {"a": "b"}, UPDATE),
    (ec2.RouteTable, {"vpcId": "VPC"}, "vpcId", "vpc-other", REPLACE),
    (ec2.RouteTable, {"vpcId": "VPC"}, "tags", {"a": "b"}, UPDATE),
    (ec2.InternetGateway, {"vpcId": "VPC"}, "vpcId", "vpc-other", UPDATE),
    (ec2.Subnet, {"vpcId": "VPC", "cidrBlock": "10.0.9.0/24"}, "cidrBlock", "10.0.8.0/24", REPLACE),
    (ec2.Subnet, {"vpcId": "VPC", "cidrBlock": "10.0.9.0/24"}, "availabilityZone", "us-east-1f", REPLACE),
    (ec2.Subnet, {"vpcId": "VPC", "cidrBlock": "10.0.9.0/24"}, "mapPublicIpOnLaunch", True, UPDATE),
    (vpc.SecurityGroupIngressRule, {"cidrIpv4": "10.0.0.0/8"}, "cidrIpv4", "10.0.0.0/16", UPDATE),
    (vpc.SecurityGroupIngressRule, {"cidrIpv4": "10.0.0.0/8"}, "toPort", 9100, UPDATE),
    (vpc.SecurityGroupIngressRule, {"cidrIpv4": "10.0.0.0/8"}, "securityGroupId", "sg-other", REPLACE),
    (vpc.SecurityGroupEgressRule, {"cidrIpv4": "10.0.0.0/8"}, "description", "why", UPDATE),
    (iam.Role, {"assumeRolePolicy": TRUST, "name": "r"}, "name", "s", REPLACE),
    (iam.Role, {"assumeRolePolicy": TRUST, "name": "r"}, "path", "/x/", REPLACE),
    (iam.Role, {"assumeRolePolicy": TRUST, "name": "r"}, "description", "x", UPDATE),
    (
        iam.Role,
        {"assumeRolePolicy": TRUST, "name": "r"},
        "assumeRolePolicy",
        json.dumps(json.loads(TRUST), indent=3),
        NOTHING,
    ),
    (iam.InstanceProfile, {"name": "p"}, "name", "q", REPLACE),
    (kms.Key, {}, "customerMasterKeySpec", "RSA_2048", REPLACE),
    (kms.Key, {}, "keyUsage", "SIGN_VERIFY", REPLACE),
    (kms.Key, {}, "multiRegion", True, REPLACE),
    (kms.Key, {}, "enableKeyRotation", True, UPDATE),
    (kms.Key, {}, "deletionWindowInDays", 7, UPDATE),
    (kms.Key, {"description": "x"}, "description", None, NOTHING),
    (cloudwatch.LogGroup, {"name": "l"}, "name", "m", REPLACE),
    (cloudwatch.LogGroup, {"name": "l"}, "logGroupClass", "INFREQUENT_ACCESS", REPLACE),
    (cloudwatch.LogGroup, {"name": "l"}, "retentionInDays", 7, UPDATE),
    (cloudwatch.Dashboard, {"dashboardName": "d", "dashboardBody": '{"widgets": []}'}, "dashboardName", "e", REPLACE),
    (
        cloudwatch.Dashboard,
        {"dashboardName": "d", "dashboardBody": '{"widgets": []}'},
        "dashboardBody",
        '{"widgets":[]}',
        NOTHING,
    ),
    (sns.Topic, {"name": "t"}, "name", "u", REPLACE),
    (sns.Topic, {"name": "t"}, "displayName", "x", UPDATE),
    (msk.Configuration, {"name": "c", "serverProperties": "a=b"}, "serverProperties", "a=c", UPDATE),
    (msk.Configuration, {"name": "c", "serverProperties": "a=b"}, "kafkaVersions", ["3.8.x"], REPLACE),
]


@pytest.mark.parametrize(("resource", "inputs", "path", "value", "expected"), OTHER_CASES)
def test_a_change_of_another_type(
    east: Client, network: Network, resource: Resource, inputs: Props, path: str, value: Any, expected: str
) -> None:
    inputs = {name: network.vpc.id if value == "VPC" else value for name, value in inputs.items()}
    if "SecurityGroup" in resource.__name__ and "Rule" in resource.__name__:
        inputs = {"ipProtocol": "tcp", "fromPort": 1, "toPort": 9098, "securityGroupId": network.group.id, **inputs}
    made = east.make(resource, "r", inputs)
    assert cost(east, made, changed(inputs, path, value)) == expected


def test_another_kind_of_peer_replaces_a_security_group_rule(east: Client, network: Network) -> None:
    inputs = {"ipProtocol": "-1", "securityGroupId": network.group.id, "cidrIpv4": "10.0.0.0/8"}
    made = east.make(vpc.SecurityGroupIngressRule, "r", inputs)
    other = {"ipProtocol": "-1", "securityGroupId": network.group.id, "referencedSecurityGroupId": network.group.id}
    assert cost(east, made, other) == REPLACE


def test_policies_that_mean_the_same_do_not_differ(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    inputs = policy_inputs(cluster.id)
    made = east.make(msk.ClusterPolicy, "p", inputs)
    assert cost(east, made, {**inputs, "policy": json.dumps(json.loads(inputs["policy"]), indent=2)}) == NOTHING
    other = json.loads(inputs["policy"])
    other["Statement"][0]["Action"].pop()
    assert cost(east, made, {**inputs, "policy": json.dumps(other)}) == UPDATE
    # Not replaced, although the id is the cluster's ARN.
    assert cost(east, made, {**inputs, "clusterArn": inputs["clusterArn"] + "x"}) == UPDATE


def test_a_topic_is_replaced_for_its_name_cluster_and_replication_factor_only(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    inputs = {"clusterArn": cluster.id, "name": "orders", "partitionCount": 3, "replicationFactor": 3}
    made = east.make(msk.Topic, "t", inputs)
    for path, value, expected in (
        ("name", "other", REPLACE),
        ("replicationFactor", 2, REPLACE),
        ("clusterArn", cluster.id + "x", REPLACE),
        ("partitionCount", 6, UPDATE),
        ("configs", '{"retention.ms": "1"}', UPDATE),
    ):
        assert cost(east, made, changed(inputs, path, value)) == expected, path


def test_user_data_replaces_an_instance_only_when_asked(east: Client, network: Network) -> None:
    inputs = instance_inputs(east, network)
    made = east.make(ec2.Instance, "i", inputs)
    assert cost(east, made, {**inputs, "userData": "#!/bin/sh\nother"}) == UPDATE
    asked = {**inputs, "userDataReplaceOnChange": True}
    assert cost(east, made, {**asked, "userData": "#!/bin/sh\nother"}) == REPLACE
    for path, value, expected in (
        ("ami", "ami-0other", REPLACE),
        ("subnetId", "subnet-other", REPLACE),
        ("associatePublicIpAddress", True, REPLACE),
        ("rootBlockDevice.encrypted", False, REPLACE),
        ("rootBlockDevice.volumeSize", 20, UPDATE),
        ("instanceType", "t4g.large", UPDATE),
        ("iamInstanceProfile", "other", UPDATE),
        ("vpcSecurityGroupIds", ["sg-other"], UPDATE),
        ("metadataOptions.httpTokens", "optional", UPDATE),
        ("metadataOptions", None, NOTHING),
        ("rootBlockDevice", None, NOTHING),
    ):
        assert cost(east, made, changed(inputs, path, value)) == expected, path


def instance_inputs(client: Client, network: Network) -> Props:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    return {
        "ami": client.invoke("aws:ssm/getParameter:getParameter", {"name": name})["value"],
        "instanceType": "t4g.small",
        "subnetId": network.subnet_ids[0],
        "vpcSecurityGroupIds": [network.group.id],
        "userData": "#!/bin/sh",
        "metadataOptions": {"httpTokens": "required"},
        "rootBlockDevice": {"encrypted": True, "volumeSize": 10},
    }


def test_an_unknown_value_is_a_change_and_replaces_where_a_known_one_would(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    assert cost(east, made, changed(inputs, "kafkaVersion", UNKNOWN)) == UPDATE
    assert cost(east, made, changed(inputs, "brokerNodeGroupInfo.securityGroups[0]", UNKNOWN)) == REPLACE


def test_the_detailed_diff_names_paths_and_kinds(east: Client) -> None:
    made = east.make(ec2.Vpc, "v", {"cidrBlock": "10.9.0.0/16", "tags": {"a": "b", "c.d": "e"}})
    inputs = {"cidrBlock": "10.8.0.0/16", "tags": {"a": "z", "new": "n"}, "enableDnsHostnames": True}
    diff = east.diff(made, inputs)
    kinds = {path: proto.PropertyDiff.Kind.Name(change.kind) for path, change in diff.detailedDiff.items()}
    assert kinds == {
        "cidrBlock": "UPDATE_REPLACE",
        "enableDnsHostnames": "UPDATE",
        "tags.a": "UPDATE",
        'tags["c.d"]': "DELETE",
        "tags.new": "ADD",
        "tagsAll.a": "UPDATE",
        'tagsAll["c.d"]': "DELETE",
        "tagsAll.new": "ADD",
    }
    assert diff.hasDetailedDiff
    assert list(diff.replaces) == ["cidrBlock"]
    assert sorted(diff.diffs) == ["cidrBlock", "enableDnsHostnames", "tags", "tagsAll"]


@pytest.mark.parametrize(
    ("resource", "inputs", "change"),
    [
        (cloudwatch.LogGroup, {}, {"logGroupClass": "INFREQUENT_ACCESS"}),
        (iam.Role, {"assumeRolePolicy": TRUST}, {"path": "/x/"}),
        (sns.Topic, {}, {"fifoTopic": True, "name": "x.fifo"}),
    ],
)
def test_a_resource_named_by_the_program_is_deleted_before_it_is_replaced(
    east: Client, resource: Resource, inputs: Props, change: Props
) -> None:
    automatic = east.make(resource, "auto", inputs)
    if "name" not in change:
        assert not east.diff(automatic, {**inputs, **change}).deleteBeforeReplace
    named = east.make(resource, "named", {**inputs, "name": "mine"})
    diff = east.diff(named, {**inputs, "name": "mine", **change})
    assert diff.replaces
    assert diff.deleteBeforeReplace


def test_a_named_cluster_is_deleted_first_and_an_automatic_one_is_not(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    named = east.make(msk.Cluster, "c", inputs)
    automatic = east.make(msk.Cluster, "d", changed(inputs, "clusterName", None))
    path, value = "brokerNodeGroupInfo.securityGroups", ["sg-other"]
    assert east.diff(named, changed(inputs, path, value)).deleteBeforeReplace
    assert not east.diff(automatic, changed(changed(inputs, "clusterName", None), path, value)).deleteBeforeReplace
    assert not east.diff(named, changed(inputs, "numberOfBrokerNodes", 6)).deleteBeforeReplace


def test_replicators_and_topics_are_created_first_and_collide_with_themselves(pair: Pair) -> None:
    """Why both need `delete_before_replace`: neither has a name that the bridge knows as automatic."""
    replicator = pair.replicator()
    inputs = changed(pair.inputs(), "replicationInfoList.targetCompressionType", "GZIP")
    assert not pair.target.diff(replicator, inputs).deleteBeforeReplace
    topic_inputs = {
        "clusterArn": pair.target_cluster.id,
        "name": "orders",
        "partitionCount": 3,
        "replicationFactor": 3,
    }
    topic = pair.target.make(msk.Topic, "t", topic_inputs)
    assert not pair.target.diff(topic, {**topic_inputs, "replicationFactor": 2}).deleteBeforeReplace


def test_an_attachment_is_always_deleted_first(east: Client) -> None:
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    inputs = {"role": role.id, "policyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"}
    made = east.make(iam.RolePolicyAttachment, "a", inputs)
    other = {**inputs, "policyArn": "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"}
    assert east.diff(made, other).deleteBeforeReplace
