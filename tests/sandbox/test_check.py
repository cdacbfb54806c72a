"""Check refuses what pulumi_aws's own types do not allow, and fills in what the real provider fills in."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import proto
from pulumi_aws import cloudwatch, ec2, iam, kms, msk, sns

from sandbox.aws import HANDLERS
from sandbox.aws.base import RecordHandler, kind_of
from sandbox.rules import Rules
from sandbox.schema import Property, Type
from sandbox.wire import UNKNOWN, Props, encode
from tests.sandbox.kit import (
    EAST,
    OHIO,
    RESOURCES,
    TRUST,
    Client,
    Network,
    Pair,
    Refused,
    Rejected,
    Resource,
    changed,
    cluster_inputs,
    context,
    policy_inputs,
)

CLUSTER: Props = {
    "kafkaVersion": "3.9.x.kraft",
    "numberOfBrokerNodes": 3,
    "brokerNodeGroupInfo": {
        "instanceType": "express.m7g.large",
        "clientSubnets": ["subnet-1", "subnet-2", "subnet-3"],
        "securityGroups": ["sg-1"],
    },
}
POLICY_ARN = "arn:aws:kafka:us-east-1:123456789012:cluster/a/b"
ALARM: Props = {"comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1, "metricName": "CpuUser"}


def test_exactly_the_promised_types_are_served() -> None:
    assert set(HANDLERS) == {kind_of(resource) for resource in RESOURCES}


def test_another_type_is_an_error_that_says_what_there_is(east: Client) -> None:
    request = proto.CheckRequest(type="aws:s3/bucket:Bucket", name="b", news=encode({}))
    with pytest.raises(Refused, match=r"aws:s3/bucket:Bucket is not served by the sandbox; it has aws:.*aws:msk/topic"):
        east.provider.Check(request, east.context)


@pytest.mark.parametrize("token", sorted(HANDLERS))
def test_every_rule_names_a_property_that_exists(token: str) -> None:
    """A misspelt path in a table would be a rule that never applies."""
    handler = HANDLERS[token]
    rules, schema = handler.rules, handler.schema
    lists: list[str] = [*rules.replace, *rules.computed, *rules.kept, *rules.defaults, *rules.sets, *rules.documents]
    lists += [cause for causes in rules.recomputed.values() for cause in causes]
    if rules.autoname:
        lists.append(rules.autoname.property)
    for path in lists:
        found = _property(schema.inputs, path)
        assert found is not None, f"{token} has no {path}"
        if path in rules.sets:
            assert found.kind == "list", path
        if path in rules.documents:
            assert found.kind in ("string", "document"), path
    assert set(rules.recomputed) <= schema.outputs


@pytest.mark.parametrize("token", sorted(HANDLERS))
def test_what_cannot_be_updated_is_replaced(token: str) -> None:
    handler = HANDLERS[token]
    if isinstance(handler, RecordHandler) and not handler.updates:
        assert set(handler.schema.inputs) - {"region"} == handler.rules.replace


def _property(properties: Any, path: str) -> Type | None:
    found: Type | None = None
    for part in path.split("."):
        name = part.removesuffix("[]")
        declared: Property | None = properties.get(name)
        if declared is None:
            return None
        found = declared.type
        if part.endswith("[]"):
            assert found.element is not None, path
            found = found.element
        properties = found.fields
    return found


@pytest.mark.parametrize(
    ("resource", "inputs", "path", "reason"),
    [
        # unknown
        (ec2.Vpc, {"cidrBlok": "10.0.0.0/16"}, "cidrBlok", "did you mean cidrBlock?"),
        (ec2.Vpc, {"zzz": 1}, "zzz", "the properties here are assignGeneratedIpv6CidrBlock"),
        (ec2.Vpc, {"cidr_block": "10.0.0.0/16"}, "cidr_block", "did you mean cidrBlock?"),
        (
            msk.Cluster,
            changed(CLUSTER, "brokerNodeGroupInfo.conectivityInfo", {}),
            "brokerNodeGroupInfo.conectivityInfo",
            "did you mean connectivityInfo?",
        ),
        (ec2.Vpc, {"arn": "arn:aws:ec2:us-east-1::vpc/x"}, "arn", "is not a property"),
        (ec2.Vpc, {"tagsAll": {"a": "b"}}, "tagsAll", "did you mean tags?"),
        (iam.Role, {"assumeRolePolicy": TRUST, "region": EAST}, "region", "is not a property"),
        # missing
        (msk.Cluster, changed(CLUSTER, "kafkaVersion", None), "kafkaVersion", "it is required"),
        (
            msk.Cluster,
            changed(CLUSTER, "brokerNodeGroupInfo.clientSubnets", None),
            "brokerNodeGroupInfo.clientSubnets",
            "it is required",
        ),
        (ec2.Subnet, {"cidrBlock": "10.0.0.0/24"}, "vpcId", "it is required"),
        (iam.Role, {}, "assumeRolePolicy", "it is required"),
        # of the wrong type
        (msk.Cluster, changed(CLUSTER, "numberOfBrokerNodes", "3"), "numberOfBrokerNodes", "must be a whole number"),
        (msk.Cluster, changed(CLUSTER, "numberOfBrokerNodes", 3.5), "numberOfBrokerNodes", "must be a whole number"),
        (msk.Cluster, changed(CLUSTER, "kafkaVersion", 3.9), "kafkaVersion", "the number 3.9; it must be a string"),
        (msk.Cluster, changed(CLUSTER, "kafkaVersion", True), "kafkaVersion", "the boolean true; it must be a string"),
        (msk.Cluster, changed(CLUSTER, "clientAuthentication", []), "clientAuthentication", "must be an object"),
        (
            msk.Cluster,
            changed(CLUSTER, "brokerNodeGroupInfo.clientSubnets", "subnet-1"),
            "brokerNodeGroupInfo.clientSubnets",
            'the string "subnet-1"; it must be a list',
        ),
        (
            msk.Cluster,
            changed(CLUSTER, "brokerNodeGroupInfo.clientSubnets[2]", 7),
            "brokerNodeGroupInfo.clientSubnets[2]",
            "the number 7; it must be a string",
        ),
        (
            msk.Cluster,
            changed(CLUSTER, "clientAuthentication.sasl.iam", "true"),
            "clientAuthentication.sasl.iam",
            'the string "true"; it must be a boolean',
        ),
        (ec2.Vpc, {"tags": {"a.b": 1}}, 'tags["a.b"]', "must be a string"),
        (ec2.Vpc, {"tags": ["a"]}, "tags", "must be a map"),
        (ec2.Vpc, {"enableDnsSupport": "yes"}, "enableDnsSupport", "must be a boolean"),
        (cloudwatch.MetricAlarm, {**ALARM, "threshold": "1"}, "threshold", "must be a number"),
        (iam.Role, {"assumeRolePolicy": 1}, "assumeRolePolicy", "must be a JSON string or an object"),
        (kms.Key, {"policy": {"Statement": []}}, "policy", "must be a string"),
        (ec2.Instance, {"ami": "ami-1", "instanceType": 4}, "instanceType", "must be a string"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_path(
    east: Client, resource: Resource, inputs: Props, path: str, reason: str
) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(resource, "a", inputs)
    assert list(rejected.value.failures) == [path]
    assert reason in rejected.value.failures[path]


def test_several_mistakes_are_reported_together(east: Client) -> None:
    inputs = changed(changed(CLUSTER, "numberOfBrokerNodes", "3"), "brokerNodeGroupInfo.instanceTyp", "x")
    with pytest.raises(Rejected) as rejected:
        east.check(msk.Cluster, "a", inputs)
    assert set(rejected.value.failures) == {"numberOfBrokerNodes", "brokerNodeGroupInfo.instanceTyp"}


@pytest.mark.parametrize(
    ("resource", "inputs"),
    [
        (ec2.Vpc, {"cidrBlock": "10.0.0.0/16"}),
        (msk.Cluster, CLUSTER),
        (cloudwatch.MetricAlarm, {**ALARM, "threshold": 1}),
        (cloudwatch.MetricAlarm, {**ALARM, "threshold": 0.5}),
        (iam.Role, {"assumeRolePolicy": TRUST}),
        (iam.Role, {"assumeRolePolicy": {"Version": "2012-10-17", "Statement": []}}),
        (ec2.Instance, {"ami": "ami-1", "instanceType": "t4g.small"}),
    ],
)
def test_a_right_shape_is_accepted(east: Client, resource: Resource, inputs: Props) -> None:
    checked = east.check(resource, "a", inputs)
    assert inputs.keys() <= checked.keys()


@pytest.mark.parametrize("resource", RESOURCES)
def test_unknown_values_are_accepted_for_every_property(
    east: Client, pair: Pair, network: Network, resource: Resource
) -> None:
    inputs = _valid(resource, pair, network)
    for name in inputs:
        checked = east.check(resource, "a", {**inputs, name: UNKNOWN})
        assert checked[name] == UNKNOWN


def _valid(resource: Resource, pair: Pair, network: Network) -> Props:
    valid: dict[Resource, Props] = {
        ec2.Vpc: {"cidrBlock": "10.0.0.0/16"},
        ec2.Subnet: {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"},
        ec2.InternetGateway: {"vpcId": "vpc-1"},
        ec2.RouteTable: {"vpcId": "vpc-1"},
        ec2.Route: {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"},
        ec2.RouteTableAssociation: {"routeTableId": "rtb-1", "subnetId": "subnet-1"},
        ec2.SecurityGroup: {"vpcId": "vpc-1", "name": "n", "description": "d"},
        ec2.Instance: {"ami": "ami-1", "instanceType": "t4g.small", "userData": "#!"},
        iam.Role: {"assumeRolePolicy": TRUST, "name": "n", "maxSessionDuration": 3600},
        iam.RolePolicy: {"role": "r", "policy": "{}", "name": "n"},
        iam.RolePolicyAttachment: {"role": "r", "policyArn": "arn:aws:iam::aws:policy/x"},
        iam.InstanceProfile: {"role": "r", "name": "n"},
        kms.Key: {"policy": "{}", "deletionWindowInDays": 7, "keyUsage": "ENCRYPT_DECRYPT"},
        kms.Alias: {"targetKeyId": "k", "name": "alias/n"},
        cloudwatch.LogGroup: {"name": "n", "retentionInDays": 7},
        cloudwatch.MetricAlarm: {**ALARM, "name": "n", "statistic": "Sum", "metricName": "m"},
        cloudwatch.Dashboard: {"dashboardName": "n", "dashboardBody": "{}"},
        sns.Topic: {"name": "n", "policy": "{}"},
        sns.TopicSubscription: {"topic": "t", "protocol": "email", "endpoint": "a@b.c"},
        msk.Cluster: cluster_inputs(network),
        msk.ClusterPolicy: policy_inputs(POLICY_ARN),
        msk.Replicator: pair.inputs(),
        msk.Topic: {
            "clusterArn": POLICY_ARN,
            "partitionCount": 1,
            "replicationFactor": 3,
            "name": "n",
            "configs": "{}",
        },
        msk.Configuration: {"serverProperties": "a=b", "name": "n"},
        msk.VpcConnection: {
            "authentication": "SASL_IAM",
            "clientSubnets": ["subnet-1"],
            "securityGroups": ["sg-1"],
            "targetClusterArn": POLICY_ARN,
            "vpcId": "vpc-1",
        },
    }
    rule = {"ipProtocol": "tcp", "fromPort": 1, "toPort": 2, "securityGroupId": "sg-1", "cidrIpv4": "10.0.0.0/8"}
    return valid.get(resource, rule)


def test_defaults_are_filled_in_and_noted_where_the_object_around_them_is_present(east: Client) -> None:
    inputs = changed(CLUSTER, "encryptionInfo.encryptionInTransit", {})
    checked = east.check(msk.Cluster, "a", {**inputs, "clusterName": "n"})
    assert checked["enhancedMonitoring"] == "DEFAULT"
    assert checked["brokerNodeGroupInfo"]["azDistribution"] == "DEFAULT"
    transit = {"clientBroker": "TLS", "inCluster": True, "__defaults": ["clientBroker", "inCluster"]}
    assert checked["encryptionInfo"] == {"encryptionInTransit": transit, "__defaults": []}
    assert checked["__defaults"] == ["enhancedMonitoring"]
    assert "encryptionInfo" not in east.check(msk.Cluster, "a", CLUSTER)


def test_what_the_program_sets_is_no_default(east: Client) -> None:
    checked = east.check(msk.Cluster, "a", {**CLUSTER, "clusterName": "n", "enhancedMonitoring": "PER_BROKER"})
    assert checked["enhancedMonitoring"] == "PER_BROKER"
    assert checked["__defaults"] == []


def test_the_replicators_flags_default_to_true(pair: Pair) -> None:
    inputs = changed(pair.inputs(), "replicationInfoList.topicReplications[0]", {"topicsToReplicates": [".*"]})
    info = pair.target.check(msk.Replicator, "a", inputs)["replicationInfoList"]
    topics, groups = info["topicReplications"][0], info["consumerGroupReplications"][0]
    for flag in ("copyAccessControlListsForTopics", "copyTopicConfigurations", "detectAndCopyNewTopics"):
        assert topics[flag] is True
    for flag in ("detectAndCopyNewConsumerGroups", "synchroniseConsumerGroupOffsets"):
        assert groups[flag] is True


@pytest.mark.parametrize(
    ("resource", "inputs", "expected"),
    [
        (ec2.Vpc, {}, {"enableDnsSupport": True, "instanceTenancy": "default"}),
        (ec2.Subnet, {"vpcId": "v"}, {"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False}),
        (ec2.SecurityGroup, {}, {"description": "Managed by Pulumi", "revokeRulesOnDelete": False}),
        (
            iam.Role,
            {"assumeRolePolicy": TRUST},
            {"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False},
        ),
        (iam.InstanceProfile, {}, {"path": "/"}),
        (kms.Key, {}, {"keyUsage": "ENCRYPT_DECRYPT", "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "isEnabled": True}),
        (cloudwatch.LogGroup, {}, {"retentionInDays": 0, "skipDestroy": False}),
        (cloudwatch.MetricAlarm, ALARM, {"actionsEnabled": True, "treatMissingData": "missing"}),
    ],
)
def test_other_types_get_the_providers_defaults(
    east: Client, resource: Resource, inputs: Props, expected: Props
) -> None:
    checked = east.check(resource, "a", inputs)
    assert {name: checked[name] for name in expected} == expected
    assert set(expected) <= set(checked["__defaults"])


def test_an_automatic_name_is_the_logical_name_and_seven_hex_digits(east: Client) -> None:
    checked = east.check(cloudwatch.LogGroup, "logs", {})
    stem, _, digits = checked["name"].rpartition("-")
    assert stem == "logs"
    assert len(digits) == 7
    assert int(digits, 16) >= 0
    assert "name" in checked["__defaults"]


def test_an_automatic_name_stays_on_update_and_a_replacement_gets_its_own(east: Client) -> None:
    first = east.check(cloudwatch.LogGroup, "logs", {})
    again = east.check(cloudwatch.LogGroup, "logs", {"retentionInDays": 7}, first)
    replacement = east.check(cloudwatch.LogGroup, "logs", {})
    assert again["name"] == first["name"]
    assert replacement["name"] != first["name"]


def test_a_name_taken_out_of_the_program_is_not_kept(east: Client) -> None:
    named = east.check(cloudwatch.LogGroup, "logs", {"name": "mine"})
    assert east.check(cloudwatch.LogGroup, "logs", {}, named)["name"] != "mine"


@pytest.mark.parametrize(
    ("resource", "inputs", "maximum"),
    [
        (iam.Role, {"assumeRolePolicy": TRUST}, 64),
        (cloudwatch.LogGroup, {}, 512),
        (cloudwatch.MetricAlarm, ALARM, 255),
        (ec2.SecurityGroup, {}, 255),
    ],
)
def test_an_automatic_name_that_would_be_too_long_is_refused(
    east: Client, resource: Resource, inputs: Props, maximum: int
) -> None:
    longest = "a" * (maximum - 8)
    assert len(east.check(resource, longest, inputs)["name"]) == maximum
    with pytest.raises(Rejected, match=f"longer than maximum length {maximum}"):
        east.check(resource, longest + "a", inputs)


def test_a_clusters_automatic_name_may_be_longer_than_the_provider_then_allows(east: Client) -> None:
    assert len(east.check(msk.Cluster, "a" * 56, CLUSTER)["clusterName"]) == 64
    with pytest.raises(Rejected, match=r"range \(1 - 64\)"):
        east.check(msk.Cluster, "a" * 57, CLUSTER)


def test_a_topic_without_a_name_is_renamed_and_a_replicator_needs_one(east: Client, pair: Pair) -> None:
    """The trap: topics that must keep their names are silently renamed when `name` is left out."""
    inputs = {"clusterArn": POLICY_ARN, "partitionCount": 1, "replicationFactor": 3}
    assert east.check(msk.Topic, "orders", inputs)["name"].startswith("orders-")
    with pytest.raises(Rejected) as rejected:
        east.check(msk.Replicator, "r", changed(pair.inputs(), "replicatorName", None))
    assert list(rejected.value.failures) == ["replicatorName"]


def test_a_key_alias_gets_its_prefix(east: Client) -> None:
    assert east.check(kms.Alias, "data", {"targetKeyId": "k"})["name"].startswith("alias/data-")


def test_the_region_is_filled_in_where_there_is_one(cloud: Any) -> None:
    ohio = Client(cloud, OHIO)
    assert ohio.check(ec2.Vpc, "a", {})["region"] == OHIO
    assert ohio.check(ec2.Vpc, "a", {"region": EAST})["region"] == EAST
    assert "region" not in ohio.check(iam.Role, "a", {"assumeRolePolicy": TRUST})


def test_all_tags_are_default_tags_under_own_tags(cloud: Any) -> None:
    client = Client(cloud, EAST, defaultTags={"tags": {"team": "data", "env": "test"}})
    assert client.check(ec2.Vpc, "a", {"tags": {"env": "prod"}})["tagsAll"] == {"team": "data", "env": "prod"}
    assert client.check(ec2.Vpc, "a", {})["tagsAll"] == {"team": "data", "env": "test"}
    assert "tagsAll" not in client.check(iam.RolePolicy, "a", {"role": "r", "policy": "{}"})


def test_one_unknown_tag_makes_all_tags_unknown(east: Client) -> None:
    assert east.check(ec2.Vpc, "a", {"tags": {"a": UNKNOWN, "b": "c"}})["tagsAll"] == UNKNOWN
    assert east.check(ec2.Vpc, "a", {"tags": {"b": "c"}})["tagsAll"] == {"b": "c"}
    assert east.check(ec2.Vpc, "a", {})["tagsAll"] == {}


def test_an_object_given_as_a_document_becomes_its_text(east: Client) -> None:
    checked = east.check(iam.Role, "a", {"assumeRolePolicy": {"Version": "2012-10-17", "Statement": []}})
    assert checked["assumeRolePolicy"] == '{"Statement":[],"Version":"2012-10-17"}'


def test_a_provider_that_was_not_configured_is_refused(east: Client) -> None:
    request = proto.CheckRequest(type=kind_of(ec2.Vpc), name="a", news=encode({}))
    with pytest.raises(Refused, match="was not configured"):
        east.provider.Check(request, context("ipv4:127.0.0.1:1"))


def test_a_provider_without_a_region_or_with_an_unknown_one_is_refused(cloud: Any) -> None:
    with pytest.raises(Refused, match="invalid AWS Region: us-middle-1"):
        Client(cloud, "us-middle-1")
    client = Client(cloud, EAST)
    with pytest.raises(Refused, match="aws:region is missing"):
        client.provider.Configure(proto.ConfigureRequest(args=encode({})), client.context)


def test_rules_cover_what_is_below_a_path_and_nothing_beside_it() -> None:
    rules = Rules(computed=frozenset({"a.b"}))
    assert rules.is_kept("a.b.c")
    assert rules.is_kept("a.b[].c")
    assert not rules.is_kept("a.bc")
    assert not rules.is_kept("a")
