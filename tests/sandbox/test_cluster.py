"""MSK clusters, policies, topics: what the service refuses, and what it answers.

Every case starts from inputs that pass (`cluster_inputs`, which the first test creates) and breaks one rule.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pulumi_aws import cloudwatch, ec2, kms, msk

from sandbox.aws.msk import EXPRESS_TOPIC_CONFIGS, EXPRESS_VERSIONS
from sandbox.regions import ACCOUNT
from sandbox.wire import Props
from tests.sandbox.kit import (
    EAST,
    OHIO,
    Client,
    Made,
    Network,
    Refused,
    Rejected,
    changed,
    cluster_inputs,
    policy_inputs,
)

BROKERS = "brokerNodeGroupInfo"
VPC_AUTH = f"{BROKERS}.connectivityInfo.vpcConnectivity.clientAuthentication"
AUTHORITY = f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority/11111111-2222-3333-4444-555555555555"


def refusal(client: Client, resource: Any, inputs: Props) -> str:
    with pytest.raises(Refused) as refused:
        client.make(resource, "r", inputs)
    return str(refused.value)


def test_an_express_cluster_that_passes_looks_like_one_of_aws(east: Client, network: Network) -> None:
    made = east.make(msk.Cluster, "c", cluster_inputs(network))
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-2"
    assert re.fullmatch(rf"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/orders/{uuid}", made.id)
    assert made["arn"] == made.id
    assert re.fullmatch(uuid, made["clusterUuid"])
    host = r"b-\d\.orders\.[0-9a-f]{6}\.c2\.kafka\.us-east-1\.amazonaws\.com"
    assert re.fullmatch(rf"{host}:9098(,{host}:9098){{2}}", made["bootstrapBrokersSaslIam"])
    assert re.fullmatch(rf"{host}:14001,{host}:14002,{host}:14003", made["bootstrapBrokersVpcConnectivitySaslIam"])
    assert re.fullmatch(r"K[0-9A-Z]{13}", made["currentVersion"])
    assert made["rebalancing"] == {"status": "ACTIVE"}
    assert made["encryptionInfo"]["encryptionInTransit"] == {"clientBroker": "TLS", "inCluster": True}
    assert made["encryptionInfo"]["encryptionAtRestKmsKeyArn"].startswith(f"arn:aws:kms:us-east-1:{ACCOUNT}:key/")
    for empty in ("bootstrapBrokers", "bootstrapBrokersTls", "bootstrapBrokersPublicSaslIam", "zookeeperConnectString"):
        assert made[empty] == "", empty


def test_the_calls_of_a_creation_are_those_of_the_real_provider(east: Client, network: Network) -> None:
    east.cloud.forget_calls()
    east.make(msk.Cluster, "c", cluster_inputs(network))
    assert [call.operation for call in east.cloud.calls(EAST)] == [
        "kafka:CreateCluster",
        "kafka:DescribeClusterV2",
        "kafka:UpdateConnectivity",
        "kafka:DescribeClusterOperation",
        "kafka:DescribeCluster",
        "kafka:GetBootstrapBrokers",
    ]


@pytest.mark.parametrize("version", EXPRESS_VERSIONS)
def test_every_express_version_is_accepted(east: Client, network: Network, version: str) -> None:
    made = east.make(msk.Cluster, "c", changed(cluster_inputs(network), "kafkaVersion", version))
    assert bool(made["zookeeperConnectString"]) == (not version.endswith(".kraft"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("clusterName", "-orders", "must match pattern"),
        ("clusterName", "orders_1", "must match pattern"),
        ("kafkaVersion", "3.7.x", r"Unsupported KafkaVersion \[3.7.x\] for Express.*3.8.x, 3.9.x.kraft, 4.2.x.kraft"),
        ("kafkaVersion", "4.0.x.kraft", "Unsupported KafkaVersion"),
        ("kafkaVersion", "3.9.x", "Unsupported KafkaVersion"),
        ("storageMode", "TIERED", "The storageMode parameter is not supported for Express instance types"),
        ("storageMode", "LOCAL", "The storageMode parameter is not supported for Express instance types"),
        (
            f"{BROKERS}.storageInfo",
            {"ebsStorageInfo": {"volumeSize": 100}},
            "The storageInfo parameter is not supported for Express instance types",
        ),
        (f"{BROKERS}.instanceType", "express.m7g.3xlarge", "Unsupported InstanceType"),
        (f"{BROKERS}.instanceType", "m7g.large", "Unsupported InstanceType"),
        (f"{BROKERS}.securityGroups", ["sg-none"], "security group 'sg-none' does not exist"),
        (f"{BROKERS}.securityGroups", [], "between 1 and 16 security groups"),
        ("numberOfBrokerNodes", 4, "must be a multiple of Availability Zones"),
        ("numberOfBrokerNodes", 0, "must be a multiple of Availability Zones"),
        ("numberOfBrokerNodes", 63, "limited to 60"),
        ("encryptionInfo.encryptionInTransit.clientBroker", "PLAINTEXT", "requires TLS encryption"),
        ("encryptionInfo.encryptionInTransit.clientBroker", "TLS_PLAINTEXT", "requires unauthenticated access"),
        ("encryptionInfo.encryptionInTransit.inCluster", False, "requires encryption in transit within the cluster"),
        ("clientAuthentication", {"unauthenticated": False}, "Unauthenticated access cannot be disabled unless"),
        (
            "clientAuthentication.tls",
            {"certificateAuthorityArns": ["arn:aws:acm:us-east-1:1:x"]},
            "Invalid certificate authority ARN",
        ),
        (
            "encryptionInfo.encryptionAtRestKmsKeyArn",
            f"arn:aws:kms:us-east-1:{ACCOUNT}:key/none",
            "does not exist, is disabled, or is not in Region us-east-1",
        ),
        (f"{BROKERS}.connectivityInfo", {"publicAccess": {"type": "SERVICE_PROVIDED_EIPS"}}, "during cluster creation"),
        ("loggingInfo", {"brokerLogs": {}}, "at least one log destination"),
        ("loggingInfo", {"brokerLogs": {"cloudwatchLogs": {"enabled": True}}}, "logGroup is required"),
        ("loggingInfo", {"brokerLogs": {"s3": {"enabled": True}}}, "bucket is required"),
        ("loggingInfo", {"brokerLogs": {"firehose": {"enabled": True}}}, "deliveryStream is required"),
        (
            "loggingInfo",
            {"brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "none"}}},
            "The log group none does not exist in us-east-1",
        ),
        (
            "openMonitoring",
            {"prometheus": {"jmxExporter": {"enabledInBroker": False}}},
            "requires at least one exporter",
        ),
        ("configurationInfo", {"arn": "arn:aws:kafka:x", "revision": 1}, "does not exist"),
    ],
)
def test_the_service_refuses_a_cluster(east: Client, network: Network, path: str, value: Any, message: str) -> None:
    said = refusal(east, msk.Cluster, changed(cluster_inputs(network), path, value))
    assert re.search(message, said)
    assert said.startswith("1 error occurred:\n\t* creating MSK Cluster (")
    assert "operation error Kafka: CreateCluster, https response error StatusCode: 400, RequestID: " in said
    assert east.cloud.region(EAST).table("aws:msk/cluster:Cluster") == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kafkaVersion", "4.2.x.kraft"),
        (f"{BROKERS}.instanceType", "express.m7g.16xlarge"),
        ("numberOfBrokerNodes", 60),
        ("clientAuthentication.sasl.scram", True),
        ("clientAuthentication.tls", {"certificateAuthorityArns": [AUTHORITY]}),
        ("loggingInfo", {"brokerLogs": {"s3": {"enabled": True, "bucket": "b"}}}),
        ("openMonitoring", {"prometheus": {"jmxExporter": {"enabledInBroker": True}}}),
        ("clusterName", "a" * 64),
        ("rebalancing", {"status": "PAUSED"}),
    ],
)
def test_the_service_takes_a_cluster_that_is_as_unusual_as_allowed(
    east: Client, network: Network, path: str, value: Any
) -> None:
    assert east.make(msk.Cluster, "c", changed(cluster_inputs(network), path, value)).id


@pytest.mark.parametrize(
    ("path", "value", "failing"),
    [
        ("enhancedMonitoring", "ALL", "enhancedMonitoring"),
        ("rebalancing", {"status": "ON"}, "rebalancing.status"),
        ("encryptionInfo.encryptionInTransit.clientBroker", "SSL", "encryptionInfo.encryptionInTransit.clientBroker"),
        ("storageMode", "REMOTE", "storageMode"),
        (f"{BROKERS}.azDistribution", "SPREAD", f"{BROKERS}.azDistribution"),
        ("clusterName", "a" * 65, "clusterName"),
    ],
)
def test_the_provider_itself_refuses_some_values(
    east: Client, network: Network, path: str, value: Any, failing: str
) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(msk.Cluster, "c", changed(cluster_inputs(network), path, value))
    assert list(rejected.value.failures) == [failing]


def test_express_needs_three_subnets_in_three_zones_that_have_it(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    subnets = network.subnet_ids
    path = f"{BROKERS}.clientSubnets"
    for given in (subnets[:2], subnets[:1]):
        said = refusal(east, msk.Cluster, changed(inputs, path, given))
        assert "Clusters with Express instance types require 3 subnets" in said
    same_zone = east.make(
        ec2.Subnet,
        "same",
        {"vpcId": network.vpc.id, "cidrBlock": "10.0.8.0/24", "availabilityZone": network.zones["names"][0]},
    )
    assert "different Availability Zone" in refusal(
        east, msk.Cluster, changed(inputs, path, [*subnets[:2], same_zone.id])
    )
    without_express = east.make(
        ec2.Subnet, "e", {"vpcId": network.vpc.id, "cidrBlock": "10.0.9.0/24", "availabilityZoneId": "use1-az3"}
    )
    said = refusal(east, msk.Cluster, changed(inputs, path, [*subnets[:2], without_express.id]))
    assert "not available in Availability Zone use1-az3" in said
    assert "does not exist" in refusal(east, msk.Cluster, changed(inputs, path, [*subnets[:2], "subnet-none"]))


def test_subnets_and_groups_of_another_vpc_are_refused(east: Client, network: Network) -> None:
    other = east.make(ec2.Vpc, "other", {"cidrBlock": "10.7.0.0/16"})
    zone = {"availabilityZone": network.zones["names"][2]}
    subnet = east.make(ec2.Subnet, "other", {"vpcId": other.id, "cidrBlock": "10.7.0.0/24", **zone})
    group = east.make(ec2.SecurityGroup, "other", {"vpcId": other.id})
    inputs = cluster_inputs(network)
    mixed = changed(inputs, f"{BROKERS}.clientSubnets", [*network.subnet_ids[:2], subnet.id])
    assert "in the same VPC" in refusal(east, msk.Cluster, mixed)
    foreign = changed(inputs, f"{BROKERS}.securityGroups", [group.id])
    assert f"Security group {group.id} is not in the VPC" in refusal(east, msk.Cluster, foreign)


def test_subnets_of_another_region_do_not_exist(cloud: Any, network: Network) -> None:
    assert "does not exist" in refusal(Client(cloud, OHIO), msk.Cluster, cluster_inputs(network))


def test_two_clusters_cannot_have_one_name_in_a_region(cloud: Any, east: Client, network: Network) -> None:
    east.make(msk.Cluster, "c", cluster_inputs(network))
    said = refusal(east, msk.Cluster, cluster_inputs(network))
    assert "StatusCode: 409" in said
    assert "ConflictException: A resource with this name already exists." in said
    ohio = Client(cloud, OHIO)
    assert ohio.make(msk.Cluster, "c", cluster_inputs(Network(ohio))).id


def test_a_customer_managed_key_must_be_usable_and_of_the_same_region(
    cloud: Any, east: Client, network: Network
) -> None:
    path = "encryptionInfo.encryptionAtRestKmsKeyArn"
    key = east.make(kms.Key, "k", {})
    made = east.make(msk.Cluster, "c", changed(cluster_inputs(network), path, key["arn"]))
    assert made["encryptionInfo"]["encryptionAtRestKmsKeyArn"] == key["arn"]
    abroad = Client(cloud, OHIO).make(kms.Key, "k", {})
    deleted = east.make(kms.Key, "d", {})
    east.delete(deleted)
    for unusable in (abroad["arn"], deleted["arn"], "alias/data"):
        assert "KMS key" in refusal(east, msk.Cluster, changed(cluster_inputs(network, "other"), path, unusable))


def test_logs_go_to_a_group_that_exists(east: Client, network: Network) -> None:
    east.make(cloudwatch.LogGroup, "l", {"name": "brokers"})
    logs = {"brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "brokers"}}}
    assert east.make(msk.Cluster, "c", {**cluster_inputs(network), "loggingInfo": logs})["loggingInfo"] == logs


def test_multi_vpc_without_its_authentication_leaves_a_cluster_behind(east: Client, network: Network) -> None:
    """The provider creates the cluster first and turns connectivity on afterwards; the second step fails."""
    inputs = changed(cluster_inputs(network), f"{VPC_AUTH}.sasl.scram", True)
    with pytest.raises(Refused, match="UpdateConnectivity.*SCRAM client authentication") as refused:
        east.make(msk.Cluster, "c", inputs)
    left = refused.value.left
    assert left.id.startswith("arn:aws:kafka:us-east-1")
    assert "UpdateConnectivity" in left.reasons[0]
    assert list(east.cloud.region(EAST).table("aws:msk/cluster:Cluster")) == [left.id]
    kept = Made(msk.Cluster, "c", left.id, cluster_inputs(network), {})
    state = east.read(kept)
    assert state is not None
    sasl = {"iam": False, "scram": False}
    assert state["brokerNodeGroupInfo"]["connectivityInfo"]["vpcConnectivity"]["clientAuthentication"]["sasl"] == sasl


def test_multi_vpc_does_not_go_with_unauthenticated_access(east: Client, network: Network) -> None:
    inputs = changed(cluster_inputs(network), "clientAuthentication.unauthenticated", True)
    with pytest.raises(Refused, match="does not support unauthenticated access"):
        east.make(msk.Cluster, "c", inputs)
    without = changed(inputs, f"{VPC_AUTH}.sasl.iam", False)
    assert east.make(msk.Cluster, "d", {**without, "clusterName": "d"})["bootstrapBrokersTls"] == ""


def test_multi_vpc_does_not_go_with_the_smallest_brokers(east: Client, network: Network) -> None:
    inputs = changed(cluster_inputs(network), f"{BROKERS}.instanceType", "kafka.t3.small")
    with pytest.raises(Refused, match="not supported for kafka.t3.small"):
        east.make(msk.Cluster, "c", {**inputs, "kafkaVersion": "3.8.x"})


def test_every_kind_of_update_is_a_call_of_its_own_in_the_providers_order(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    wanted = changed(inputs, f"{BROKERS}.instanceType", "express.m7g.xlarge")
    wanted = changed(wanted, "numberOfBrokerNodes", 6)
    wanted = changed(wanted, "kafkaVersion", "4.2.x.kraft")
    wanted = changed(wanted, "clientAuthentication.sasl.scram", True)
    wanted = {**wanted, "enhancedMonitoring": "DEFAULT", "rebalancing": {"status": "PAUSED"}, "tags": {"a": "b"}}
    wanted = changed(wanted, f"{VPC_AUTH}.sasl.iam", False)
    east.cloud.forget_calls()
    after = east.change(made, wanted)
    updates = [call.operation for call in east.cloud.calls(EAST) if "Describe" not in call.operation]
    assert updates == [
        "kafka:UpdateConnectivity",
        "kafka:UpdateBrokerType",
        "kafka:UpdateBrokerCount",
        "kafka:UpdateMonitoring",
        "kafka:UpdateClusterKafkaVersion",
        "kafka:UpdateSecurity",
        "kafka:UpdateRebalancing",
        "kafka:TagResource",
        "kafka:GetBootstrapBrokers",
    ]
    assert after.id == made.id
    assert after["currentVersion"] != made["currentVersion"]
    assert after["bootstrapBrokersVpcConnectivitySaslIam"] == ""
    assert after["bootstrapBrokersSaslScram"].count(":9096") == 3
    assert not east.diff(after, wanted).detailedDiff


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("numberOfBrokerNodes", 5, "multiple of Availability Zones"),
        ("kafkaVersion", "3.10.x", "Unsupported KafkaVersion"),
        (f"{BROKERS}.instanceType", "kafka.m7g.large", "cannot change between Standard and Express"),
        ("clientAuthentication.sasl.iam", False, "Turn off multi-VPC private connectivity for IAM first"),
        ("encryptionInfo.encryptionInTransit.clientBroker", "PLAINTEXT", "requires TLS encryption"),
        (f"{VPC_AUTH}.sasl.scram", True, "requires SCRAM client authentication"),
        ("storageMode", "TIERED", "not supported for Express"),
        ("loggingInfo", {"brokerLogs": {"s3": {"enabled": True}}}, "bucket is required"),
        (f"{BROKERS}.storageInfo", {"ebsStorageInfo": {"volumeSize": 100}}, "storageInfo parameter is not supported"),
    ],
)
def test_the_service_refuses_an_update(east: Client, network: Network, path: str, value: Any, message: str) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    with pytest.raises(Refused, match=message) as refused:
        east.change(made, changed(inputs, path, value))
    assert refused.value.left.id == made.id


def test_a_cluster_can_go_from_ipv4_to_dual_but_not_back(east: Client, network: Network) -> None:
    path = f"{BROKERS}.connectivityInfo.networkType"
    inputs = changed(cluster_inputs(network), path, "DUAL")
    made = east.make(msk.Cluster, "c", inputs)
    assert made["bootstrapBrokersSaslIamIpv6"].count(":20098") == 3
    with pytest.raises(Refused, match="can only be changed from IPV4 to DUAL"):
        east.change(made, changed(inputs, path, "IPV4"))


@pytest.mark.parametrize(
    ("authentication", "transit", "message"),
    [
        ({"unauthenticated": True}, "TLS", "requires unauthenticated access to be off"),
        ({"unauthenticated": True, "sasl": {"iam": True}}, "TLS", "requires unauthenticated access to be off"),
        (
            {"unauthenticated": True, "sasl": {"iam": True}},
            "TLS_PLAINTEXT",
            "requires unauthenticated access to be off",
        ),
        ({"sasl": {"iam": True}}, "TLS", None),
    ],
)
def test_public_access_comes_after_creation_and_needs_authentication_over_tls(
    east: Client, network: Network, authentication: Props, transit: str, message: str | None
) -> None:
    inputs = changed(cluster_inputs(network), f"{BROKERS}.connectivityInfo", None)
    inputs = changed(inputs, "encryptionInfo.encryptionInTransit.clientBroker", transit)
    inputs = {**inputs, "clientAuthentication": authentication}
    made = east.make(msk.Cluster, "c", inputs)
    public = changed(inputs, f"{BROKERS}.connectivityInfo.publicAccess", {"type": "SERVICE_PROVIDED_EIPS"})
    if message is None:
        assert east.change(made, public)["bootstrapBrokersPublicSaslIam"].count("b-public") == 3
    else:
        with pytest.raises(Refused, match=message):
            east.change(made, public)


def test_iam_and_its_multi_vpc_cannot_be_turned_on_in_one_update(east: Client, network: Network) -> None:
    """Connectivity is updated before security, so it takes two updates; at creation one is enough."""
    inputs = changed(cluster_inputs(network), "clientAuthentication", {"sasl": {"scram": True}})
    bare = changed(inputs, f"{BROKERS}.connectivityInfo", None)
    made = east.make(msk.Cluster, "c", bare)
    both = {**cluster_inputs(network), "clientAuthentication": {"sasl": {"scram": True, "iam": True}}}
    with pytest.raises(Refused, match="requires IAM client authentication"):
        east.change(made, both)
    first = east.change(made, changed(both, f"{BROKERS}.connectivityInfo", None))
    assert east.change(first, both)["bootstrapBrokersVpcConnectivitySaslIam"]


def test_what_was_updated_before_an_error_stays_updated(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    made = east.make(msk.Cluster, "c", inputs)
    with pytest.raises(Refused):
        east.change(made, {**inputs, "enhancedMonitoring": "DEFAULT", "kafkaVersion": "9.9.x"})
    found = east.read(made)
    assert found is not None
    assert found["enhancedMonitoring"] == "DEFAULT"
    assert found["kafkaVersion"] == "3.9.x.kraft"


def test_standard_brokers_have_storage_and_two_or_three_zones(east: Client, network: Network) -> None:
    inputs = changed(cluster_inputs(network), f"{BROKERS}.instanceType", "kafka.m7g.large")
    two = changed(inputs, f"{BROKERS}.clientSubnets", network.subnet_ids[:2])
    made = east.make(msk.Cluster, "c", {**two, "numberOfBrokerNodes": 4, "kafkaVersion": "3.7.x"})
    assert made["brokerNodeGroupInfo"]["storageInfo"]["ebsStorageInfo"]["volumeSize"] > 0
    assert made["storageMode"] == "LOCAL"
    one = changed(inputs, f"{BROKERS}.clientSubnets", network.subnet_ids[:1])
    assert "two or three client subnets" in refusal(east, msk.Cluster, {**one, "clusterName": "d"})
    rebalancing = {**two, "numberOfBrokerNodes": 4, "clusterName": "d", "rebalancing": {"status": "ACTIVE"}}
    assert "Express instance types only" in refusal(east, msk.Cluster, rebalancing)
    small = changed(inputs, f"{BROKERS}.instanceType", "kafka.t3.small")
    assert "not supported in KRaft mode" in refusal(east, msk.Cluster, {**small, "clusterName": "d"})
    version = {**inputs, "clusterName": "d", "kafkaVersion": "2.8.1"}
    assert "Unsupported KafkaVersion" in refusal(east, msk.Cluster, version)


def test_standard_brokers_are_not_rebalanced_and_limit_the_replicas(east: Client, network: Network) -> None:
    inputs = changed(cluster_inputs(network), f"{BROKERS}.instanceType", "kafka.m7g.large")
    made = east.make(msk.Cluster, "c", inputs)
    with pytest.raises(Refused, match="Express instance types only"):
        east.change(made, {**inputs, "rebalancing": {"status": "ACTIVE"}})
    assert east.make(msk.Topic, "t", topic_inputs(made, replicationFactor=2)).id
    too_many = topic_inputs(made, name="more", replicationFactor=4)
    assert "Replication factor: 4 larger than available brokers: 3." in refusal(east, msk.Topic, too_many)


def test_a_deleted_cluster_takes_its_topics_and_its_policy_along(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    policy = east.make(msk.ClusterPolicy, "p", policy_inputs(cluster.id))
    topic = east.make(msk.Topic, "t", topic_inputs(cluster))
    east.delete(cluster)
    assert east.read(cluster) is east.read(policy) is east.read(topic) is None
    east.delete(topic)
    east.delete(cluster)
    again = east.make(msk.Cluster, "c", cluster_inputs(network))
    assert again.id != cluster.id, "a cluster of the same name is another cluster"


def test_the_network_of_a_cluster_cannot_be_deleted(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    for held in (network.subnets[0], network.group, network.vpc):
        with pytest.raises(Refused, match="DependencyViolation"):
            east.delete(held)
    for gone in (cluster, *network.subnets, network.group, network.vpc):
        east.delete(gone)
        assert east.read(gone) is None


def test_a_cluster_policy_that_passes_has_a_version(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    made = east.make(msk.ClusterPolicy, "p", policy_inputs(cluster.id))
    assert made.id == cluster.id
    assert made["currentVersion"].startswith("K")


def _spoiled_policy(cluster_arn: str, key: str, value: Any) -> str:
    document = json.loads(policy_inputs(cluster_arn)["policy"])
    if value is None:
        del document["Statement"][0][key]
    else:
        document["Statement"][0][key] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("Resource", "*", "The cluster policy is not valid. Invalid cluster arn"),
        ("Resource", "arn:aws:kafka:us-east-1:123456789012:cluster/orders/*", "Invalid cluster arn"),
        ("Resource", None, "Invalid cluster arn"),
        ("Principal", None, "Principal is required"),
        ("Principal", {}, "Principal is required"),
        ("Principal", "*", "Principal is required"),
        ("Effect", None, "every statement has the Effect"),
        ("Action", None, "every statement has an Action"),
        ("Action", ["s3:GetObject"], "Invalid action s3:GetObject"),
        ("Sid", "x" * 21000, "maximum size is 20 KB"),
    ],
)
def test_the_service_refuses_a_cluster_policy(
    east: Client, network: Network, key: str, value: Any, message: str
) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    inputs = {"clusterArn": cluster.id, "policy": _spoiled_policy(cluster.id, key, value)}
    said = refusal(east, msk.ClusterPolicy, inputs)
    assert message in said
    assert "BadRequestException" in said


def test_a_cluster_policy_must_be_json_and_its_cluster_must_exist(east: Client, network: Network) -> None:
    with pytest.raises(Rejected, match="invalid JSON"):
        east.check(msk.ClusterPolicy, "p", {"clusterArn": "a", "policy": "{"})
    missing = f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/x/y"
    assert "NotFoundException" in refusal(east, msk.ClusterPolicy, policy_inputs(missing))


def test_a_cluster_has_one_policy_and_a_second_resource_for_it_fails(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    made = east.make(msk.ClusterPolicy, "p", policy_inputs(cluster.id))
    said = refusal(east, msk.ClusterPolicy, policy_inputs(cluster.id))
    assert "Current cluster policy version needed for Update" in said
    east.delete(made)
    assert east.make(msk.ClusterPolicy, "p", policy_inputs(cluster.id))["currentVersion"] != made["currentVersion"]


def test_a_policy_moved_to_another_cluster_keeps_its_id_and_reads_the_old_one(east: Client, network: Network) -> None:
    """The provider puts the policy on the new cluster and then reads the old one's."""
    one = east.make(msk.Cluster, "one", cluster_inputs(network, "one"))
    two = east.make(msk.Cluster, "two", cluster_inputs(network, "two"))
    made = east.make(msk.ClusterPolicy, "p", policy_inputs(one.id))
    after = east.change(made, policy_inputs(two.id))
    assert after.id == one.id
    assert after["clusterArn"] == one.id
    assert set(east.cloud.region(EAST).table("aws:msk/clusterPolicy:ClusterPolicy")) == {one.id, two.id}


def topic_inputs(cluster: Made, **other: Any) -> Props:
    return {"clusterArn": cluster.id, "name": "orders", "partitionCount": 3, "replicationFactor": 3, **other}


def test_a_topic_that_passes_shows_its_whole_configuration(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    configs = json.dumps({"message.timestamp.before.max.ms": "9223372036854775807"})
    made = east.make(msk.Topic, "t", topic_inputs(cluster, configs=configs))
    assert made.id == f"{cluster.id},orders"
    assert made["arn"] == f"{cluster.id.replace(':cluster/', ':topic/')}/orders"
    actual = json.loads(made["configsActual"])
    assert actual == {**EXPRESS_TOPIC_CONFIGS, "message.timestamp.before.max.ms": "9223372036854775807"}
    assert made["configs"] == configs


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", "or ders", "illegal"),
        ("name", "a" * 250, "illegal"),
        ("name", "..", "illegal"),
        ("partitionCount", 0, "partitionCount must be at least 1"),
        ("replicationFactor", 2, "must be 3"),
        ("configs", '{"min.insync.replicas": "1"}', "min.insync.replicas cannot be changed on Express"),
        ("configs", '{"retention.ms": 1}', "whose values are strings"),
        ("configs", '["retention.ms"]', "whose values are strings"),
        ("configs", '{"retention.ms": "a week"}', "Not a number"),
        ("configs", '{"cleanup.policy": "shred"}', "must be one of: compact, delete"),
        ("configs", '{"message.timestamp.type": "Never"}', "must be one of: CreateTime"),
        ("clusterArn", f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/x/y", "does not exist"),
    ],
)
def test_the_service_refuses_a_topic(east: Client, network: Network, path: str, value: Any, message: str) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    assert message in refusal(east, msk.Topic, changed(topic_inputs(cluster), path, value))


def test_a_topic_exists_once(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    made = east.make(msk.Topic, "t", topic_inputs(cluster))
    assert "TopicExistsException: Topic 'orders' already exists." in refusal(east, msk.Topic, topic_inputs(cluster))
    east.delete(made)
    assert east.make(msk.Topic, "t", topic_inputs(cluster)).id == made.id


def test_a_topic_grows_but_does_not_shrink(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    made = east.make(msk.Topic, "t", topic_inputs(cluster))
    grown = east.change(made, topic_inputs(cluster, partitionCount=6, configs='{"retention.ms": "1"}'))
    assert grown["partitionCount"] == 6
    assert json.loads(grown["configsActual"])["retention.ms"] == "1"
    with pytest.raises(Refused, match="6 partitions, which is higher than the requested 3"):
        east.change(grown, topic_inputs(cluster, configs='{"retention.ms": "1"}'))
    gone = east.make(msk.Topic, "g", topic_inputs(cluster, name="gone"))
    east.delete(gone)
    with pytest.raises(Refused, match="does not host this topic-partition"):
        east.change(gone, topic_inputs(cluster, name="gone", partitionCount=6))
    cleared = east.change(grown, topic_inputs(cluster, partitionCount=6))
    assert json.loads(cleared["configsActual"]) == EXPRESS_TOPIC_CONFIGS


def test_a_configuration_in_use_stays_and_counts_its_revisions(east: Client, network: Network) -> None:
    configuration = east.make(msk.Configuration, "s", {"serverProperties": "a=b"})
    assert configuration["latestRevision"] == 1
    revised = east.change(configuration, {"serverProperties": "a=c"})
    assert revised["latestRevision"] == 2
    info = {"arn": configuration.id, "revision": 2}
    cluster = east.make(msk.Cluster, "c", {**cluster_inputs(network), "configurationInfo": info})
    assert "has no revision 3" in refusal(
        east, msk.Cluster, {**cluster_inputs(network, "d"), "configurationInfo": {**info, "revision": 3}}
    )
    with pytest.raises(Refused, match="in use by one or more clusters"):
        east.delete(revised)
    with pytest.raises(Refused, match="configurationInfo is required"):
        east.change(cluster, cluster_inputs(network))
    east.delete(cluster)
    east.delete(revised)
    assert east.read(revised) is None


def test_a_configuration_has_a_name_of_its_own_and_a_known_version(east: Client) -> None:
    east.make(msk.Configuration, "s", {"serverProperties": "a=b", "name": "s"})
    for inputs, message in (
        ({"name": "s"}, "with this name already exists"),
        ({"name": "a_b"}, "failed to satisfy constraint"),
        ({"kafkaVersions": ["0.1"]}, "Unsupported KafkaVersion"),
    ):
        assert message in refusal(east, msk.Configuration, {"serverProperties": "a=b", **inputs})


def test_a_vpc_connection_needs_the_clusters_multi_vpc_scheme_and_zones(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    clients = Network(east, "10.6")
    inputs = {
        "authentication": "SASL_IAM",
        "clientSubnets": clients.subnet_ids,
        "securityGroups": [clients.group.id],
        "targetClusterArn": cluster.id,
        "vpcId": clients.vpc.id,
    }
    assert east.make(msk.VpcConnection, "v", inputs).id.startswith(f"arn:aws:kafka:us-east-1:{ACCOUNT}:vpc-connection/")
    for path, value, message in (
        ("authentication", "SASL_SCRAM", "no multi-VPC private connectivity for SASL_SCRAM"),
        ("authentication", "NONE", "no multi-VPC private connectivity for NONE"),
        ("clientSubnets", clients.subnet_ids[:2], "in the cluster's Availability Zones"),
        ("securityGroups", [network.group.id], "is not in VPC"),
        ("targetClusterArn", cluster.id + "x", "does not exist"),
    ):
        assert message in refusal(east, msk.VpcConnection, changed(inputs, path, value))
