"""Creating, describing, listing and deleting clusters."""

from typing import Any

import pytest

from tests.api.world import MULTI_VPC_IAM, PRIMARY, REFUSED_ZONE, SECONDARY, World, is_gone, refusal

STANDARD = "kafka.m7g.large"


def nodes(world: World, **changes: Any) -> dict[str, Any]:
    group: dict[str, Any] = world.cluster_request(PRIMARY)["BrokerNodeGroupInfo"]
    return {key: value for key, value in (group | changes).items() if value is not None}


def test_a_cluster_is_creating_and_then_active(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    request = world.cluster_request(PRIMARY)
    created = kafka.create_cluster(**request)
    assert created["State"] == "CREATING"
    arn = created["ClusterArn"]
    assert arn.startswith(f"arn:aws:kafka:{PRIMARY}:123456789012:cluster/{request['ClusterName']}/")
    world.wait_active(arn)
    described = kafka.describe_cluster(ClusterArn=arn)["ClusterInfo"]
    assert described["CurrentBrokerSoftwareInfo"] == {"KafkaVersion": "3.9.x.kraft"}
    assert described["EncryptionInfo"]["EncryptionInTransit"] == {"ClientBroker": "TLS", "InCluster": True}
    assert described["Rebalancing"] == {"Status": "ACTIVE"}
    assert "StorageMode" not in described and "ZookeeperConnectString" not in described
    assert described["BrokerNodeGroupInfo"]["ZoneIds"] == ["use1-az1", "use1-az2", "use1-az4"]


def test_both_versions_of_the_api_show_the_same_cluster(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    request = world.cluster_request(PRIMARY)
    name = request.pop("ClusterName")
    created = kafka.create_cluster_v2(ClusterName=name, Provisioned=request, Tags={"team": "data"})
    assert created["ClusterType"] == "PROVISIONED"
    world.wait_active(created["ClusterArn"])
    first = kafka.describe_cluster(ClusterArn=created["ClusterArn"])["ClusterInfo"]
    second = kafka.describe_cluster_v2(ClusterArn=created["ClusterArn"])["ClusterInfo"]
    assert first["Tags"] == second["Tags"] == {"team": "data"}
    for key, value in second["Provisioned"].items():
        assert first[key] == value
    assert {item["ClusterArn"] for item in kafka.list_clusters(ClusterNameFilter=name)["ClusterInfoList"]} == {
        item["ClusterArn"] for item in kafka.list_clusters_v2(ClusterNameFilter=name)["ClusterInfoList"]
    }
    assert kafka.list_clusters_v2(ClusterTypeFilter="SERVERLESS")["ClusterInfoList"] == []


def test_a_cluster_with_zookeeper_shows_its_addresses(world: World) -> None:
    arn = world.cluster(PRIMARY, KafkaVersion="3.8.x")
    described = world.describe(arn)["Provisioned"]
    assert described["ZookeeperConnectString"].count(":2181") == 3
    assert described["ZookeeperConnectStringTls"].count(":2182") == 3


def test_a_standard_cluster_gets_storage_and_may_have_two_zones(world: World) -> None:
    two = list(world.network(PRIMARY).subnets[:2])
    group = nodes(world, InstanceType=STANDARD, ClientSubnets=two)
    arn = world.cluster(PRIMARY, BrokerNodeGroupInfo=group, NumberOfBrokerNodes=4)
    described = world.describe(arn)["Provisioned"]
    assert described["StorageMode"] == "LOCAL"
    assert described["BrokerNodeGroupInfo"]["StorageInfo"] == {"EbsStorageInfo": {"VolumeSize": 100}}
    assert "Rebalancing" not in described


def test_without_security_groups_a_cluster_gets_the_networks_default_one(world: World) -> None:
    arn = world.cluster(PRIMARY, BrokerNodeGroupInfo=nodes(world, SecurityGroups=None))
    groups = world.client("ec2", PRIMARY).describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [world.network(PRIMARY).vpc]}]
    )["SecurityGroups"]
    default = [group["GroupId"] for group in groups if group["GroupName"] == "default"]
    assert world.describe(arn)["Provisioned"]["BrokerNodeGroupInfo"]["SecurityGroups"] == default


def test_bootstrap_brokers_are_those_of_the_mechanisms_that_are_on(world: World, cluster: str, source: str) -> None:
    kafka = world.kafka(PRIMARY)
    plain = kafka.get_bootstrap_brokers(ClusterArn=cluster)
    assert set(plain) == {"BootstrapBrokerStringSaslIam", "ResponseMetadata"}
    brokers = plain["BootstrapBrokerStringSaslIam"].split(",")
    assert [broker.partition(".")[0] for broker in brokers] == ["b-1", "b-2", "b-3"]
    assert all(broker.endswith(f".kafka.{PRIMARY}.amazonaws.com:9098") for broker in brokers)
    multi = kafka.get_bootstrap_brokers(ClusterArn=source)["BootstrapBrokerStringVpcConnectivitySaslIam"].split(",")
    assert [broker.rpartition(":")[2] for broker in multi] == ["14001", "14002", "14003"]
    all_on = {"Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": True}}}
    everything = kafka.get_bootstrap_brokers(ClusterArn=world.cluster(PRIMARY, ClientAuthentication=all_on))
    assert ":9096" in everything["BootstrapBrokerStringSaslScram"]


def test_bootstrap_brokers_of_a_cluster_that_is_not_there_yet_are_refused(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    arn = kafka.create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    code, message = refusal(kafka.get_bootstrap_brokers, ClusterArn=arn)
    assert (code, message) == (
        "BadRequestException",
        "You can't get bootstrap broker nodes for a cluster in CREATING state.",
    )
    world.wait_active(arn)


def test_nodes_are_spread_over_the_subnets(world: World) -> None:
    arn = world.cluster(PRIMARY, NumberOfBrokerNodes=6)
    found = world.kafka(PRIMARY).list_nodes(ClusterArn=arn)["NodeInfoList"]
    assert [node["BrokerNodeInfo"]["BrokerId"] for node in found] == [1, 2, 3, 4, 5, 6]
    subnets = list(world.network(PRIMARY).subnets)
    assert [node["BrokerNodeInfo"]["ClientSubnet"] for node in found] == subnets * 2
    assert len({node["BrokerNodeInfo"]["ClientVpcIpAddress"] for node in found}) == 6


def test_a_deleted_cluster_is_deleting_and_then_gone_with_its_policy(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    arn = world.source(PRIMARY)
    assert kafka.delete_cluster(ClusterArn=arn)["State"] == "DELETING"
    world.wait_for(lambda: is_gone(kafka.describe_cluster_v2, ClusterArn=arn))
    assert refusal(kafka.get_cluster_policy, ClusterArn=arn)[0] == "NotFoundException"
    assert refusal(kafka.list_cluster_operations, ClusterArn=arn)[0] == "BadRequestException"


def test_a_cluster_that_is_being_created_cannot_be_deleted(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    arn = kafka.create_cluster(**world.cluster_request(PRIMARY))["ClusterArn"]
    assert refusal(kafka.delete_cluster, ClusterArn=arn)[1] == "You can't delete a cluster in CREATING state."
    world.wait_active(arn)


def test_a_cluster_is_deleted_only_by_its_current_version(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    arn = world.cluster(PRIMARY)
    assert "isn't current" in refusal(kafka.delete_cluster, ClusterArn=arn, CurrentVersion="K1")[1]
    kafka.delete_cluster(ClusterArn=arn, CurrentVersion=world.version(arn))
    world.wait_for(lambda: is_gone(kafka.describe_cluster, ClusterArn=arn))


def test_a_name_is_taken_in_its_region_only(world: World) -> None:
    request = world.cluster_request(PRIMARY)
    arn = world.kafka(PRIMARY).create_cluster(**request)["ClusterArn"]
    assert refusal(world.kafka(PRIMARY).create_cluster, **request) == (
        "ConflictException",
        "A resource with this name already exists.",
    )
    other = world.cluster(SECONDARY, ClusterName=request["ClusterName"])
    assert refusal(world.kafka(SECONDARY).describe_cluster, ClusterArn=arn)[0] == "NotFoundException"
    assert world.describe(other)["ClusterArn"] != arn
    world.wait_active(arn)


def test_versions_of_kafka_and_where_they_can_go(world: World, cluster: str) -> None:
    kafka = world.kafka(PRIMARY)
    versions = {item["Version"]: item["Status"] for item in kafka.list_kafka_versions()["KafkaVersions"]}
    assert versions["3.9.x.kraft"] == "ACTIVE" and versions["2.8.1"] == "DEPRECATED"
    found = kafka.get_compatible_kafka_versions(ClusterArn=cluster)["CompatibleKafkaVersions"]
    assert found == [{"SourceVersion": "3.9.x.kraft", "TargetVersions": ["4.2.x.kraft"]}]
    assert len(kafka.get_compatible_kafka_versions()["CompatibleKafkaVersions"]) > 3


GOOD: dict[str, dict[str, Any]] = {
    "the oldest Express version": {"KafkaVersion": "3.8.x"},
    "six brokers": {"NumberOfBrokerNodes": 6},
    "sixty brokers in KRaft mode": {"NumberOfBrokerNodes": 60},
    "logs to CloudWatch": {
        "LoggingInfo": {"BrokerLogs": {"CloudWatchLogs": {"Enabled": True, "LogGroup": "/aws/msk"}}}
    },
    "an exporter": {"OpenMonitoring": {"Prometheus": {"JmxExporter": {"EnabledInBroker": True}}}},
    "SCRAM beside IAM": {"ClientAuthentication": {"Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": True}}}},
    "mutual TLS with an authority": {
        "ClientAuthentication": {"Tls": {"Enabled": True, "CertificateAuthorityArnList": ["arn:aws:acm-pca:x"]}}
    },
    "multi-VPC named but off": {
        "BrokerNodeGroupInfo": {
            "ConnectivityInfo": {
                "VpcConnectivity": {"ClientAuthentication": {"Sasl": {"Iam": {"Enabled": False}}}},
                "PublicAccess": {"Type": "DISABLED"},
            }
        }
    },
    "rebalancing paused": {"Rebalancing": {"Status": "PAUSED"}},
}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a version that Express has not": (
        {"KafkaVersion": "3.7.x"},
        "Unsupported KafkaVersion [3.7.x]. Valid values: [3.8.x, 3.9.x.kraft, 4.2.x.kraft]",
    ),
    "a version that is none": ({"KafkaVersion": "9"}, "Unsupported KafkaVersion [9]."),
    "brokers not a multiple of 3": ({"NumberOfBrokerNodes": 4}, "it must be a multiple of the 3 subnets"),
    "more brokers than there may be": ({"NumberOfBrokerNodes": 63}, "a kraft cluster has at most 60"),
    "more brokers than ZooKeeper takes": (
        {"NumberOfBrokerNodes": 33, "KafkaVersion": "3.8.x"},
        "a zookeeper cluster has at most 30",
    ),
    "storage on Express": (
        {"BrokerNodeGroupInfo": {"StorageInfo": {"EbsStorageInfo": {"VolumeSize": 10}}}},
        "The storageInfo parameter is not supported for Express instance types",
    ),
    "a storage mode on Express": ({"StorageMode": "LOCAL"}, "storageMode parameter is not supported for Express"),
    "an Express size that there is not": (
        {"BrokerNodeGroupInfo": {"InstanceType": "express.m7g.huge"}},
        "instanceType is express.m7g.huge",
    ),
    "multi-VPC at creation": (
        {"BrokerNodeGroupInfo": {"ConnectivityInfo": MULTI_VPC_IAM}},
        "all vpcConnectivity auth schemes must be disabled",
    ),
    "public access at creation": (
        {"BrokerNodeGroupInfo": {"ConnectivityInfo": {"PublicAccess": {"Type": "SERVICE_PROVIDED_EIPS"}}}},
        "publicAccess must be DISABLED",
    ),
    "dual stack at creation": (
        {"BrokerNodeGroupInfo": {"ConnectivityInfo": {"NetworkType": "DUAL"}}},
        "networkType must be IPV4",
    ),
    "IAM without TLS": (
        {"EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "PLAINTEXT"}}},
        "clientBroker is PLAINTEXT; Iam needs TLS",
    ),
    "IAM without encryption in the cluster": (
        {"EncryptionInfo": {"EncryptionInTransit": {"InCluster": False}}},
        "inCluster is false",
    ),
    "TLS and plaintext with IAM alone": (
        {"EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "TLS_PLAINTEXT"}}},
        "that needs unauthenticated access",
    ),
    "mutual TLS without an authority": (
        {"ClientAuthentication": {"Tls": {"Enabled": True, "CertificateAuthorityArnList": []}}},
        "certificateAuthorityArnList is empty",
    ),
    "no way to connect": (
        {"ClientAuthentication": {"Unauthenticated": {"Enabled": False}}},
        "Every way to connect is off",
    ),
    "empty broker logs": ({"LoggingInfo": {"BrokerLogs": {}}}, "brokerLogs is empty"),
    "a log destination without its name": (
        {"LoggingInfo": {"BrokerLogs": {"S3": {"Enabled": True}}}},
        "bucket is missing",
    ),
    "monitoring without an exporter": (
        {"OpenMonitoring": {"Prometheus": {"NodeExporter": {"EnabledInBroker": False}}}},
        "openMonitoring has no exporter",
    ),
    "a name with an underscore": ({"ClusterName": "a_b"}, "clusterName is a_b"),
    "a name that begins with a dash": ({"ClusterName": "-ab"}, "clusterName is -ab"),
    "a name that is too long": ({"ClusterName": "a" * 65}, "the most is 64"),
    "a monitoring level that there is not": ({"EnhancedMonitoring": "ALL"}, "must be one of DEFAULT"),
    "a configuration": (
        {"ConfigurationInfo": {"Arn": "arn:aws:kafka:c", "Revision": 1}},
        "the sandbox has no MSK configurations",
    ),
}


def merged(request: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    group = request["BrokerNodeGroupInfo"] | changes.get("BrokerNodeGroupInfo", {})
    return request | changes | {"BrokerNodeGroupInfo": group}


@pytest.mark.parametrize("case", GOOD)
def test_a_cluster_is_taken_with(world: World, case: str) -> None:
    request = merged(world.cluster_request(PRIMARY), GOOD[case])
    assert world.kafka(PRIMARY).create_cluster(**request)["State"] == "CREATING"


@pytest.mark.parametrize("case", BAD)
def test_a_cluster_is_refused_with(world: World, case: str) -> None:
    changes, message = BAD[case]
    kafka = world.client("kafka", PRIMARY, parameter_validation=False)
    before = len(kafka.list_clusters()["ClusterInfoList"])
    code, found = refusal(kafka.create_cluster, **merged(world.cluster_request(PRIMARY), changes))
    assert code == "BadRequestException"
    assert message in found
    assert len(kafka.list_clusters()["ClusterInfoList"]) == before


def test_express_brokers_want_three_subnets_in_three_offered_zones(world: World) -> None:
    kafka, network = world.kafka(PRIMARY), world.network(PRIMARY)
    first, second, third = network.subnets
    twin = world.subnet(PRIMARY, network.vpc, "use1-az1", 20)
    refused = world.subnet(PRIMARY, network.vpc, REFUSED_ZONE, 21)
    for subnets, message in (
        ([first, second], "Clusters with Express instance types require 3 subnets"),
        ([first, second, twin], "every subnet must be in another zone"),
        ([first, second, refused], "Express brokers are not offered there"),
        ([first, second, "subnet-none"], "subnet-none; it does not exist"),
    ):
        group = nodes(world, ClientSubnets=subnets)
        assert message in refusal(kafka.create_cluster, **world.cluster_request(PRIMARY, BrokerNodeGroupInfo=group))[1]
    group = nodes(world, ClientSubnets=[third, second, first])
    assert kafka.create_cluster(**world.cluster_request(PRIMARY, BrokerNodeGroupInfo=group))["State"] == "CREATING"


def test_standard_brokers_take_two_or_three_subnets(world: World) -> None:
    group = nodes(world, InstanceType=STANDARD, ClientSubnets=list(world.network(PRIMARY).subnets[:1]))
    request = world.cluster_request(PRIMARY, BrokerNodeGroupInfo=group)
    assert "Standard brokers need 2 or 3" in refusal(world.kafka(PRIMARY).create_cluster, **request)[1]


def test_a_security_group_must_exist_in_the_region(world: World) -> None:
    group = nodes(world, SecurityGroups=[world.network(SECONDARY).cluster_group])
    request = world.cluster_request(PRIMARY, BrokerNodeGroupInfo=group)
    assert "it does not exist in us-east-1" in refusal(world.kafka(PRIMARY).create_cluster, **request)[1]


def test_serverless_clusters_are_not_there(world: World) -> None:
    subnets = list(world.network(PRIMARY).subnets)
    request = {"ClusterName": "serverless", "Serverless": {"VpcConfigs": [{"SubnetIds": subnets}]}}
    assert "provisioned is missing" in refusal(world.kafka(PRIMARY).create_cluster_v2, **request)[1]
    provisioned = world.cluster_request(PRIMARY)
    provisioned.pop("ClusterName")
    both = request | {"Provisioned": provisioned}
    assert "either provisioned or serverless" in refusal(world.kafka(PRIMARY).create_cluster_v2, **both)[1]
