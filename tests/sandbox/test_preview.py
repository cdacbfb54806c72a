"""A preview knows what the program says and the provider adds, not what the cloud will decide."""

from __future__ import annotations

import json

import pytest
from pulumi_aws import cloudwatch, ec2, iam, msk

from sandbox.aws import HANDLERS
from sandbox.diff import foreseen
from sandbox.wire import UNKNOWN, contains_unknown
from tests.sandbox.kit import EAST, TRUST, Client, Made, Network, Pair, Refused, changed, cluster_inputs

INFO = "replicationInfoList"


def test_a_new_cluster_shows_its_inputs_and_nothing_that_aws_makes_up(east: Client, network: Network) -> None:
    inputs = cluster_inputs(network)
    outputs = east.preview(msk.Cluster, "c", inputs)
    for known in ("clusterName", "kafkaVersion", "numberOfBrokerNodes", "enhancedMonitoring", "region", "tagsAll"):
        assert outputs[known] != UNKNOWN, known
    for unknown in ("arn", "clusterUuid", "currentVersion", "bootstrapBrokersSaslIam", "rebalancing", "storageMode"):
        assert outputs[unknown] == UNKNOWN, unknown
    assert outputs["brokerNodeGroupInfo"]["storageInfo"] == UNKNOWN
    assert outputs["brokerNodeGroupInfo"]["clientSubnets"] == inputs["brokerNodeGroupInfo"]["clientSubnets"]
    assert outputs["encryptionInfo"]["encryptionAtRestKmsKeyArn"] == UNKNOWN
    assert "loggingInfo" not in outputs


def test_a_new_replicator_does_not_know_its_aliases(pair: Pair) -> None:
    info = pair.target.preview(msk.Replicator, "r", pair.inputs())[INFO]
    assert info["sourceKafkaClusterAlias"] == info["targetKafkaClusterAlias"] == UNKNOWN
    assert info["sourceKafkaClusterArn"] == pair.source_cluster.id
    assert info["topicReplications"][0]["topicsToExcludes"] == UNKNOWN
    assert info["topicReplications"][0]["copyTopicConfigurations"] is True


def test_a_preview_makes_nothing_and_calls_nothing(east: Client, network: Network) -> None:
    east.cloud.forget_calls()
    outputs = east.preview(ec2.SecurityGroup, "g", {"vpcId": UNKNOWN})
    assert outputs["name"].startswith("g-")
    assert outputs["vpcId"] == outputs["arn"] == UNKNOWN
    assert east.cloud.calls(EAST) == []
    assert "g" not in {
        group["name"] for group in east.cloud.region(EAST).table("aws:ec2/securityGroup:SecurityGroup").values()
    }


@pytest.mark.parametrize("token", sorted(HANDLERS))
def test_everything_that_only_the_cloud_sets_is_unknown(token: str) -> None:
    handler = HANDLERS[token]
    outputs = foreseen(handler.schema, handler.rules, {})
    for name in handler.schema.outputs - {"tagsAll"}:
        assert outputs[name] == UNKNOWN


def test_an_update_keeps_what_is_known(pair: Pair) -> None:
    made = pair.replicator()
    inputs = changed(pair.inputs(), f"{INFO}.topicReplications[0].topicsToReplicates", ["orders.*"])
    outputs = pair.target.change(made, inputs, preview=True).outputs
    assert outputs["arn"] == made.id
    assert outputs[INFO]["sourceKafkaClusterAlias"] == made[INFO]["sourceKafkaClusterAlias"]
    assert outputs[INFO]["topicReplications"][0]["topicsToReplicates"] == ["orders.*"]
    assert outputs["currentVersion"] == UNKNOWN
    found = pair.target.read(made)
    assert found is not None
    assert found[INFO]["topicReplications"][0]["topicsToReplicates"] == [".*"], "a preview changes nothing"


def test_an_update_makes_unknown_what_follows_from_it(east: Client, network: Network) -> None:
    configuration = east.make(msk.Configuration, "s", {"serverProperties": "a=b"})
    revised = east.change(configuration, {"serverProperties": "a=c"}, preview=True)
    described = east.change(configuration, {"serverProperties": "a=b", "description": "x"}, preview=True)
    assert revised["latestRevision"] == UNKNOWN
    assert described["latestRevision"] == 1
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    inputs = {"clusterArn": cluster.id, "name": "t", "partitionCount": 1, "replicationFactor": 3}
    topic = east.make(msk.Topic, "t", inputs)
    assert east.change(topic, {**inputs, "partitionCount": 2}, preview=True)["configsActual"] == UNKNOWN
    assert east.change(topic, inputs, preview=True)["configsActual"] == topic["configsActual"]


def test_what_a_preview_promised_is_what_comes(east: Client, network: Network) -> None:
    """Every known value of the preview is the value afterwards."""
    inputs = cluster_inputs(network)
    promised = east.preview(msk.Cluster, "c", inputs)
    made = east.make(msk.Cluster, "c", inputs)
    for name, value in promised.items():
        if not contains_unknown(value) and name != "encryptionInfo":
            assert made[name] == value, name


def read(client: Client, made: Made) -> Made:
    found = client.read(made)
    assert found is not None
    return found


def test_a_refresh_finds_nothing_new_after_a_creation(pair: Pair, east: Client) -> None:
    for client, made in (
        (pair.source, pair.source_cluster),
        (pair.source, pair.policy),
        (pair.target, pair.replicator()),
        (pair.target, pair.role),
        (pair.target, pair.permissions),
        (pair.target, pair.group),
        (pair.target, pair.egress),
        (pair.source, pair.source_network.vpc),
        (pair.source, pair.source_network.subnets[0]),
    ):
        found = read(client, made)
        assert found.outputs == made.outputs
        assert found.inputs == made.inputs
        assert not client.diff(found, found.inputs, checked=True).detailedDiff


def test_a_refresh_sees_what_was_changed_elsewhere(east: Client) -> None:
    made = east.make(cloudwatch.LogGroup, "l", {"retentionInDays": 7, "tags": {"a": "b"}})
    kind = "aws:cloudwatch/logGroup:LogGroup"
    record = east.cloud.region(EAST).get(kind, made.id)
    assert record is not None
    east.cloud.region(EAST).put(kind, made.id, {**record, "retentionInDays": 30})
    found = read(east, made)
    assert found["retentionInDays"] == 30
    assert found.inputs["retentionInDays"] == 30
    assert found.inputs["__defaults"] == made.inputs["__defaults"]
    assert list(east.diff(found, {"retentionInDays": 7, "tags": {"a": "b"}}).detailedDiff) == ["retentionInDays"]


def test_what_is_gone_cannot_be_updated(east: Client) -> None:
    made = east.make(cloudwatch.LogGroup, "l", {})
    east.delete(made)
    with pytest.raises(Refused, match="NotFoundException: CloudWatch Logs Log Group .* does not exist"):
        east.change(made, {"retentionInDays": 7})


def test_what_is_gone_is_not_found(east: Client) -> None:
    made = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    east.delete(made)
    assert east.read(made) is None
    east.delete(made)


def test_a_resource_that_is_read_without_inputs_gets_them_from_the_cloud(east: Client) -> None:
    """As for `Vpc.get` and `pulumi import`."""
    made = east.make(ec2.Vpc, "v", {"cidrBlock": "10.0.0.0/16"})
    found = read(east, Made(ec2.Vpc, "other", made.id, {}, {}))
    assert found["arn"] == made["arn"]
    assert found.inputs["cidrBlock"] == "10.0.0.0/16"
    assert "arn" not in found.inputs


def test_documents_that_mean_the_same_keep_their_old_form(east: Client) -> None:
    made = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST, "name": "r"})
    spaced = json.dumps(json.loads(TRUST), indent=2)
    after = east.change(made, {"assumeRolePolicy": spaced, "name": "r", "description": "x"})
    assert after["assumeRolePolicy"] == TRUST
