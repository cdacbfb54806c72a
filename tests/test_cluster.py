"""The cluster: what makes it an Express cluster, safe, and ready to be a source.

What no unit test can prove: that the provider creates it first and turns multi-VPC connectivity on in the same update.
"""

from typing import Any

import pytest

from components.cluster import ExpressCluster
from tests.recording import ACCOUNT, STACKS, Resource, Run, record, run_program, settings_of


def built(**config: Any) -> Run:
    """The component alone."""
    settings = settings_of("primary", **config).cluster
    return record(lambda: ExpressCluster("c", settings, vpc_id="vpc-1", subnet_ids=["s-1", "s-2", "s-3"]))


def cluster(**config: Any) -> Resource:
    return built(**config).one("msk.Cluster")


@pytest.mark.parametrize("stack", STACKS)
def test_it_is_named_after_the_pair_and_the_role_and_stands_in_the_private_subnets(stack: str) -> None:
    run = run_program(stack)
    inputs = run.one("msk.Cluster").inputs
    assert inputs["clusterName"] == f"msk-dr-{stack}"
    private = [subnet.id for subnet in run.of("ec2.Subnet") if "private" in subnet.name]
    assert inputs["brokerNodeGroupInfo"]["clientSubnets"] == private
    assert len(set(private)) == 3
    group = run.one("ec2.SecurityGroup", f"msk-dr-{stack}")
    assert inputs["brokerNodeGroupInfo"]["securityGroups"] == [group.id]


def test_it_is_ready_to_be_a_source_from_the_first_day() -> None:
    """Turning multi-VPC connectivity on takes half an hour, which a failback must not wait for."""
    connectivity = cluster().inputs["brokerNodeGroupInfo"]["connectivityInfo"]
    assert connectivity == {"vpcConnectivity": {"clientAuthentication": {"sasl": {"iam": True}}}}


def test_iam_is_on_and_others_are_beside_it_only_when_asked_for() -> None:
    ca = f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority/1b2c"
    assert cluster().inputs["clientAuthentication"] == {
        "sasl": {"iam": True, "scram": False},
        "unauthenticated": False,
    }
    assert cluster(scram=True, mtlsCertificateAuthorityArns=[ca]).inputs["clientAuthentication"] == {
        "sasl": {"iam": True, "scram": True},
        "tls": {"certificateAuthorityArns": [ca]},
        "unauthenticated": False,
    }


def test_everything_in_transit_is_encrypted_and_nothing_is_public() -> None:
    inputs = cluster().inputs
    assert inputs["encryptionInfo"]["encryptionInTransit"] == {"clientBroker": "TLS", "inCluster": True}
    assert "publicAccess" not in inputs["brokerNodeGroupInfo"]["connectivityInfo"]


def test_nothing_is_set_that_express_brokers_refuse() -> None:
    inputs = cluster().inputs
    assert inputs.keys() & {"storageMode", "configurationInfo", "openMonitoring"} == set()
    assert "storageInfo" not in inputs["brokerNodeGroupInfo"]
    assert inputs["brokerNodeGroupInfo"]["instanceType"] == "express.m7g.large"
    assert inputs["rebalancing"] == {"status": "ACTIVE"}


def test_its_own_key_rotates_and_has_a_name() -> None:
    run = built()
    key, alias = run.one("kms.Key"), run.one("kms.Alias")
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key.id}"
    assert run.one("msk.Cluster").inputs["encryptionInfo"]["encryptionAtRestKmsKeyArn"] == arn
    assert key.inputs["enableKeyRotation"] is True
    assert (alias.inputs["name"], alias.inputs["targetKeyId"]) == ("alias/msk-dr-primary", key.id)
    # Data outlive a mistake: neither a short waiting period nor a policy of its own.
    assert key.inputs.keys() & {"deletionWindowInDays", "policy", "bypassPolicyLockoutSafetyCheck"} == set()


def test_another_key_takes_the_place_of_its_own() -> None:
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1b2c"
    theirs, aws_managed = built(kmsKey=arn), built(kmsKey="aws-managed")
    assert theirs.one("msk.Cluster").inputs["encryptionInfo"]["encryptionAtRestKmsKeyArn"] == arn
    assert "encryptionAtRestKmsKeyArn" not in aws_managed.one("msk.Cluster").inputs["encryptionInfo"]
    for run in (theirs, aws_managed):
        assert run.of("kms.Key") == run.of("kms.Alias") == []


def test_another_kind_of_key_is_another_cluster_delete_first() -> None:
    """The provider keeps a cluster whose key is no longer given, and the key would be deleted under it."""
    made = [cluster(kmsKey=kind) for kind in ("create", "aws-managed")]
    assert [one.replacement_trigger for one in made] == ["create", "aws-managed"]
    assert all(one.delete_before_replace for one in made)


def test_broker_logs_go_to_a_log_group_that_ends() -> None:
    run = built(logRetentionDays=90)
    logs = run.one("cloudwatch.LogGroup").inputs
    assert (logs["name"], logs["retentionInDays"]) == ("/aws/vendedlogs/msk/msk-dr-primary", 90)
    delivery = run.one("msk.Cluster").inputs["loggingInfo"]["brokerLogs"]
    assert delivery == {"cloudwatchLogs": {"enabled": True, "logGroup": logs["name"]}}


def test_its_security_group_has_no_rules_of_its_own() -> None:
    """Rules inside the group and rules beside it undo each other, and a changed group is another cluster."""
    group = built().one("ec2.SecurityGroup").inputs
    assert group.keys() & {"ingress", "egress"} == set()


def test_creation_may_take_as_long_as_the_service_needs() -> None:
    """The provider waits as long for the cluster, and once more for multi-VPC connectivity."""
    assert cluster().timeouts == {"create": "150m", "update": "180m", "delete": "120m"}


def test_cluster_and_key_are_protected_together() -> None:
    for protect in (True, False):
        run = built(protect=protect)
        assert run.one("msk.Cluster").protect is run.one("kms.Key").protect is protect


def test_size_version_and_monitoring_are_as_configured() -> None:
    inputs = cluster(
        brokerCount=6,
        kafkaVersion="3.8.x",
        instanceType="express.m7g.4xlarge",
        enhancedMonitoring="PER_TOPIC_PER_BROKER",
    ).inputs
    assert inputs["numberOfBrokerNodes"] == 6
    assert inputs["kafkaVersion"] == "3.8.x"
    assert inputs["brokerNodeGroupInfo"]["instanceType"] == "express.m7g.4xlarge"
    assert inputs["enhancedMonitoring"] == "PER_TOPIC_PER_BROKER"
