"""Every switch of the configuration, on the real engine: what it builds comes up, and then there is nothing to do.

Switches that have nothing to do with each other share a deployment, because each one takes seconds.
"""

from typing import Any

import pytest

from tests.engine.deployment import CLUSTER, REPLICATOR, Deployment

pytestmark = pytest.mark.engine

EAST, OHIO = "us-east-1", "us-east-2"
AUTHORITY = f"arn:aws:acm-pca:{EAST}:123456789012:certificate-authority/00000000-0000-4000-8000-000000000000"


def comes_up(deployment: Deployment, stack: str, **values: Any) -> None:
    deployment.configure(stack, **values)
    deployment.up(stack)
    deployment.settled(stack)


def only(deployment: Deployment, region: str, type_: str) -> dict[str, Any]:
    (resource,) = deployment.sandbox.resources(region, type_).values()
    return resource


def test_without_a_client_and_with_aws_own_key_and_the_least_monitoring(nothing: Deployment) -> None:
    comes_up(nothing, "primary", client=False, kmsKey="aws-managed", enhancedMonitoring="DEFAULT")
    existing = nothing.existing()
    for absent in ("ec2/instance:Instance", "ec2/internetGateway:InternetGateway", "kms/key:Key", "kms/alias:Alias"):
        assert f"aws:{absent}" not in existing
    assert len(existing["aws:ec2/subnet:Subnet"]) == 3
    assert only(nothing, EAST, CLUSTER)["enhancedMonitoring"] == "DEFAULT"
    assert not [name for name in existing["aws:cloudwatch/metricAlarm:MetricAlarm"] if "throttled" in name]


def test_with_scram_and_mtls_beside_iam_for_clients_in_networks_of_their_own(nothing: Deployment) -> None:
    comes_up(
        nothing,
        "primary",
        scram=True,
        mtlsCertificateAuthorityArns=[AUTHORITY],
        clientCidrs=["10.50.0.0/16", "100.64.0.0/10"],
    )
    authentication = only(nothing, EAST, CLUSTER)["clientAuthentication"]
    assert authentication["sasl"] == {"iam": True, "scram": True}
    assert authentication["tls"]["certificateAuthorityArns"] == [AUTHORITY]
    rules = nothing.sandbox.resources(EAST, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    opened = {(rule["cidrIpv4"], rule["fromPort"]) for rule in rules if "cidrIpv4" in rule}
    assert opened == {(cidr, port) for cidr in ("10.50.0.0/16", "100.64.0.0/10") for port in (9094, 9096, 9098)}


def test_with_more_brokers_in_named_zones_and_someone_to_tell(nothing: Deployment) -> None:
    zones = ["use1-az5", "use1-az6", "use1-az2"]
    comes_up(nothing, "primary", brokerCount=6, instanceType="express.m7g.xlarge", zoneIds=zones, alarmEmail="a@b.org")
    assert only(nothing, EAST, CLUSTER)["numberOfBrokerNodes"] == 6
    subnets = nothing.sandbox.resources(EAST, "aws:ec2/subnet:Subnet").values()
    assert {subnet["availabilityZoneId"] for subnet in subnets} == {*zones}
    topic = only(nothing, EAST, "aws:sns/topic:Topic")
    assert only(nothing, EAST, "aws:sns/topicSubscription:TopicSubscription")["endpoint"] == "a@b.org"
    alarms = nothing.sandbox.resources(EAST, "aws:cloudwatch/metricAlarm:MetricAlarm").values()
    assert {tuple(alarm["alarmActions"]) for alarm in alarms} == {(topic["arn"],)}
    assert any("broker-6" in alarm["name"] for alarm in alarms)


def test_with_topics_tags_a_name_and_what_else_is_only_a_value(nothing: Deployment) -> None:
    on_call = f"arn:aws:sns:{EAST}:123456789012:on-call"
    # A topic of somebody else's.
    nothing.sandbox.cloud.region(EAST).put("aws:sns/topic:Topic", on_call, {"arn": on_call, "name": "on-call"})
    comes_up(
        nothing,
        "primary",
        name="orders",
        vpcCidr="192.168.16.0/22",
        kafkaVersion="3.8.x",
        logRetentionDays=7,
        clientInstanceType="t4g.micro",
        topics=[{"name": "customer", "partitions": 3, "configs": {"retention.ms": 3600000}}],
        tags={"cost-centre": "42"},
        alarmTopicArn=on_call,
    )
    cluster = only(nothing, EAST, CLUSTER)
    assert cluster["clusterName"] == "orders-primary"
    assert cluster["tags"]["cost-centre"] == "42"
    assert only(nothing, EAST, "aws:msk/topic:Topic")["name"] == "customer"
    alarms = nothing.sandbox.resources(EAST, "aws:cloudwatch/metricAlarm:MetricAlarm").values()
    assert {tuple(alarm["alarmActions"]) for alarm in alarms} == {(on_call,)}


def test_a_replicator_with_every_option_of_its_own(primary: Deployment) -> None:
    comes_up(
        primary,
        "secondary",
        topicsToReplicate=["orders-.*", "customer"],
        topicsToExclude=["orders-tmp"],
        consumerGroupsToReplicate=["msk-.*"],
        consumerGroupsToExclude=["msk-test"],
        topicNames="PREFIXED_WITH_SOURCE_CLUSTER_ALIAS",
        startingPosition="LATEST",
        offsetSyncMode="LEGACY",
        compression="GZIP",
        copyTopicConfigurations=False,
        copyTopicAcls=True,
    )
    replicator = only(primary, OHIO, REPLICATOR)
    assert replicator["_state"] == "RUNNING"
    info = replicator["replicationInfoList"]
    (topics,), (groups,) = info["topicReplications"], info["consumerGroupReplications"]
    assert info["targetCompressionType"] == "GZIP"
    assert topics == {
        "copyAccessControlListsForTopics": True,
        "copyTopicConfigurations": False,
        "detectAndCopyNewTopics": True,
        "startingPosition": {"type": "LATEST"},
        "topicNameConfiguration": {"type": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"},
        "topicsToExcludes": ["orders-tmp"],
        "topicsToReplicates": ["orders-.*", "customer"],
    }
    assert groups["consumerGroupOffsetSyncMode"] == "LEGACY"
    assert groups["consumerGroupsToReplicates"] == ["msk-.*"]
    assert groups["consumerGroupsToExcludes"] == ["msk-test"]
