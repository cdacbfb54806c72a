"""Updates of a cluster, the operations they are, and what gets in their way."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.world import IAM_ONLY, MULTI_VPC_IAM, PRIMARY, SECONDARY, World, refusal

BOTH = {"Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": True}}}
OFF = {"VpcConnectivity": {"ClientAuthentication": {"Sasl": {"Iam": {"Enabled": False}}}}}

GOOD: dict[str, tuple[str, dict[str, Any], Callable[[dict[str, Any]], Any], Any]] = {
    "connectivity": (
        "update_connectivity",
        {"ConnectivityInfo": MULTI_VPC_IAM},
        lambda settings: settings["BrokerNodeGroupInfo"]["ConnectivityInfo"]["VpcConnectivity"],
        {
            "ClientAuthentication": {
                "Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": False}},
                "Tls": {"Enabled": False},
            }
        },
    ),
    "network type": (
        "update_connectivity",
        {"ConnectivityInfo": {"NetworkType": "DUAL"}},
        lambda settings: settings["BrokerNodeGroupInfo"]["ConnectivityInfo"]["NetworkType"],
        "DUAL",
    ),
    "number of brokers": (
        "update_broker_count",
        {"TargetNumberOfBrokerNodes": 6},
        lambda settings: settings["NumberOfBrokerNodes"],
        6,
    ),
    "broker type": (
        "update_broker_type",
        {"TargetInstanceType": "express.m7g.xlarge"},
        lambda settings: settings["BrokerNodeGroupInfo"]["InstanceType"],
        "express.m7g.xlarge",
    ),
    "monitoring": (
        "update_monitoring",
        {"EnhancedMonitoring": "PER_BROKER"},
        lambda settings: settings["EnhancedMonitoring"],
        "PER_BROKER",
    ),
    "logs": (
        "update_monitoring",
        {"LoggingInfo": {"BrokerLogs": {"CloudWatchLogs": {"Enabled": True, "LogGroup": "/aws/msk"}}}},
        lambda settings: settings["LoggingInfo"]["BrokerLogs"]["CloudWatchLogs"]["LogGroup"],
        "/aws/msk",
    ),
    "security": (
        "update_security",
        {"ClientAuthentication": BOTH},
        lambda settings: settings["ClientAuthentication"]["Sasl"]["Scram"]["Enabled"],
        True,
    ),
    "Kafka version": (
        "update_cluster_kafka_version",
        {"TargetKafkaVersion": "4.2.x.kraft"},
        lambda settings: settings["CurrentBrokerSoftwareInfo"]["KafkaVersion"],
        "4.2.x.kraft",
    ),
    "rebalancing": (
        "update_rebalancing",
        {"Rebalancing": {"Status": "PAUSED"}},
        lambda settings: settings["Rebalancing"]["Status"],
        "PAUSED",
    ),
}

BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "nothing to connect": ("update_connectivity", {}, "does not include any updates to the connectivity setting"),
    "connectivity that is there": (
        "update_connectivity",
        {"ConnectivityInfo": OFF},
        "does not include any updates to the connectivity setting",
    ),
    "two connectivity settings at once": (
        "update_connectivity",
        {"ConnectivityInfo": {**MULTI_VPC_IAM, "NetworkType": "DUAL"}},
        "You can't update multiple connectivity settings in the same request",
    ),
    "multi-VPC for a mechanism that is off": (
        "update_connectivity",
        {"ConnectivityInfo": {"VpcConnectivity": {"ClientAuthentication": {"Sasl": {"Scram": {"Enabled": True}}}}}},
        "turn Scram authentication on for the cluster first",
    ),
    "a public access that there is not": (
        "update_connectivity",
        {"ConnectivityInfo": {"PublicAccess": {"Type": "OPEN"}}},
        "type is OPEN",
    ),
    "ZooKeeper's access in KRaft mode": (
        "update_connectivity",
        {"ZookeeperAccess": {"Enabled": True}},
        "A cluster in KRaft mode has no ZooKeeper",
    ),
    "as many brokers as there are": ("update_broker_count", {"TargetNumberOfBrokerNodes": 3}, "does not include"),
    "brokers not a multiple of 3": ("update_broker_count", {"TargetNumberOfBrokerNodes": 5}, "multiple of the 3"),
    "the same broker type": ("update_broker_type", {"TargetInstanceType": "express.m7g.large"}, "does not include"),
    "Standard in place of Express": (
        "update_broker_type",
        {"TargetInstanceType": "kafka.m7g.large"},
        "stays Express or Standard",
    ),
    "an Express size that there is not": (
        "update_broker_type",
        {"TargetInstanceType": "express.m7g.tiny"},
        "Express brokers are express.m7g.large",
    ),
    "monitoring that is there": ("update_monitoring", {"EnhancedMonitoring": "DEFAULT"}, "monitoring setting"),
    "a log destination without its name": (
        "update_monitoring",
        {"LoggingInfo": {"BrokerLogs": {"CloudWatchLogs": {"Enabled": True}}}},
        "logGroup is missing",
    ),
    "security that is there": (
        "update_security",
        {"ClientAuthentication": IAM_ONLY},
        "The request does not include any updates to the security setting of the cluster. Verify the request, then "
        "try again.",
    ),
    "another key": (
        "update_security",
        {"EncryptionInfo": {"EncryptionAtRest": {"DataVolumeKMSKeyId": "arn:aws:kms:k"}}},
        "The key of encryption at rest cannot be changed",
    ),
    "encryption in the cluster off": (
        "update_security",
        {"EncryptionInfo": {"EncryptionInTransit": {"InCluster": False}}},
        "Encryption in the cluster cannot be changed",
    ),
    "plaintext with IAM": (
        "update_security",
        {"EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "PLAINTEXT"}}},
        "clientBroker is PLAINTEXT",
    ),
    "an older version": ("update_cluster_kafka_version", {"TargetKafkaVersion": "3.8.x"}, "can go to: 4.2.x.kraft"),
    "a version with a configuration": (
        "update_cluster_kafka_version",
        {"TargetKafkaVersion": "4.2.x.kraft", "ConfigurationInfo": {"Arn": "a", "Revision": 1}},
        "no MSK configurations",
    ),
    "rebalancing that is there": ("update_rebalancing", {"Rebalancing": {"Status": "ACTIVE"}}, "does not include"),
}


@pytest.mark.parametrize("case", GOOD)
def test_an_update_changes(world: World, case: str) -> None:
    call, params, read, expected = GOOD[case]
    kafka = world.kafka(SECONDARY)
    arn = world.cluster(SECONDARY)
    before = world.version(arn)
    started = getattr(kafka, call)(ClusterArn=arn, CurrentVersion=before, **params)
    during = world.describe(arn)
    assert (during["State"], during["ActiveOperationArn"]) == ("UPDATING", started["ClusterOperationArn"])
    assert (
        read(during["Provisioned"] | {"LoggingInfo": {"BrokerLogs": {"CloudWatchLogs": {"LogGroup": ""}}}}) != expected
    )
    operation = kafka.describe_cluster_operation(ClusterOperationArn=started["ClusterOperationArn"])
    assert operation["ClusterOperationInfo"]["OperationState"] == "UPDATE_IN_PROGRESS"
    world.wait_active(arn)
    after = world.describe(arn)
    assert read(after["Provisioned"]) == expected
    assert after["CurrentVersion"] != before
    assert "ActiveOperationArn" not in after
    done = kafka.describe_cluster_operation_v2(ClusterOperationArn=started["ClusterOperationArn"])
    assert done["ClusterOperationInfo"]["OperationState"] == "UPDATE_COMPLETE"
    assert done["ClusterOperationInfo"]["EndTime"] >= done["ClusterOperationInfo"]["StartTime"]


@pytest.mark.parametrize("case", BAD)
def test_an_update_is_refused_with(world: World, cluster: str, case: str) -> None:
    call, params, message = BAD[case]
    before = world.describe(cluster)
    found = refusal(
        getattr(world.kafka(PRIMARY), call), ClusterArn=cluster, CurrentVersion=before["CurrentVersion"], **params
    )
    assert found[0] == "BadRequestException"
    assert message in found[1]
    assert world.describe(cluster) == before


@pytest.mark.parametrize("call, params", [(call, params) for call, params, _, _ in GOOD.values()])
def test_an_update_wants_the_current_version(world: World, cluster: str, call: str, params: dict[str, Any]) -> None:
    found = refusal(getattr(world.kafka(PRIMARY), call), ClusterArn=cluster, CurrentVersion="K3AEGXETSR30VB", **params)
    assert found == (
        "BadRequestException",
        "The version of the cluster isn't current. Check the current version and try again.",
    )


def test_a_second_update_has_to_wait_for_the_first(world: World) -> None:
    kafka = world.kafka(SECONDARY)
    arn = world.cluster(SECONDARY)
    version = world.version(arn)
    kafka.update_monitoring(ClusterArn=arn, CurrentVersion=version, EnhancedMonitoring="PER_BROKER")
    assert refusal(kafka.update_broker_count, ClusterArn=arn, CurrentVersion=version, TargetNumberOfBrokerNodes=6) == (
        "BadRequestException",
        "You can't update a cluster in UPDATING state.",
    )
    assert refusal(kafka.delete_cluster, ClusterArn=arn)[1] == "You can't delete a cluster in UPDATING state."
    world.wait_active(arn)
    stale = refusal(kafka.update_broker_count, ClusterArn=arn, CurrentVersion=version, TargetNumberOfBrokerNodes=6)
    assert "isn't current" in stale[1]
    kafka.update_broker_count(ClusterArn=arn, CurrentVersion=world.version(arn), TargetNumberOfBrokerNodes=6)
    world.wait_active(arn)
    assert world.describe(arn)["Provisioned"]["NumberOfBrokerNodes"] == 6


def test_a_cluster_that_is_being_created_takes_no_update(world: World) -> None:
    kafka = world.kafka(SECONDARY)
    arn = kafka.create_cluster(**world.cluster_request(SECONDARY))["ClusterArn"]
    found = refusal(kafka.update_connectivity, ClusterArn=arn, CurrentVersion="K1", ConnectivityInfo=MULTI_VPC_IAM)
    assert found[1] == "You can't update a cluster in CREATING state."
    world.wait_active(arn)


def test_iam_stays_while_multi_vpc_connectivity_needs_it(world: World) -> None:
    arn = world.source(SECONDARY, ClientAuthentication=BOTH)
    scram = {"Sasl": {"Scram": {"Enabled": True}, "Iam": {"Enabled": False}}}
    kafka = world.kafka(SECONDARY)
    params = {"ClusterArn": arn, "ClientAuthentication": scram}
    assert "IAM cannot be turned off" in refusal(kafka.update_security, CurrentVersion=world.version(arn), **params)[1]
    kafka.update_connectivity(ClusterArn=arn, CurrentVersion=world.version(arn), ConnectivityInfo=OFF)
    world.wait_active(arn)
    kafka.update_security(CurrentVersion=world.version(arn), **params)
    world.wait_active(arn)
    assert world.describe(arn)["Provisioned"]["ClientAuthentication"]["Sasl"]["Iam"] == {"Enabled": False}


def test_unauthenticated_access_and_multi_vpc_exclude_each_other(world: World) -> None:
    client = {**IAM_ONLY, "Unauthenticated": {"Enabled": True}}
    arn = world.cluster(SECONDARY, ClientAuthentication=client)
    found = refusal(
        world.kafka(SECONDARY).update_connectivity,
        ClusterArn=arn,
        CurrentVersion=world.version(arn),
        ConnectivityInfo=MULTI_VPC_IAM,
    )
    assert "needs unauthenticated access to be off" in found[1]


def test_only_express_brokers_rebalance(world: World) -> None:
    group = world.cluster_request(SECONDARY)["BrokerNodeGroupInfo"] | {"InstanceType": "kafka.m7g.large"}
    arn = world.cluster(SECONDARY, BrokerNodeGroupInfo=group)
    found = refusal(
        world.kafka(SECONDARY).update_rebalancing,
        ClusterArn=arn,
        CurrentVersion=world.version(arn),
        Rebalancing={"Status": "PAUSED"},
    )
    assert "Only clusters with Express brokers" in found[1]


def test_an_operation_tells_what_was_and_what_is_to_be(world: World) -> None:
    kafka = world.kafka(SECONDARY)
    arn = world.cluster(SECONDARY)
    started = kafka.update_broker_count(ClusterArn=arn, CurrentVersion=world.version(arn), TargetNumberOfBrokerNodes=6)[
        "ClusterOperationArn"
    ]
    world.wait_active(arn)
    kafka.update_monitoring(ClusterArn=arn, CurrentVersion=world.version(arn), EnhancedMonitoring="PER_BROKER")
    world.wait_active(arn)
    first = kafka.describe_cluster_operation(ClusterOperationArn=started)["ClusterOperationInfo"]
    assert first["SourceClusterInfo"] == {"NumberOfBrokerNodes": 3}
    assert first["TargetClusterInfo"] == {"NumberOfBrokerNodes": 6}
    listed = kafka.list_cluster_operations(ClusterArn=arn)["ClusterOperationInfoList"]
    assert [item["OperationType"] for item in listed] == ["UPDATE_BROKER_COUNT", "UPDATE_MONITORING"]
    newer = kafka.list_cluster_operations_v2(ClusterArn=arn)["ClusterOperationInfoList"]
    assert [item["OperationArn"] for item in newer] == [item["OperationArn"] for item in listed]
    missing = refusal(kafka.describe_cluster_operation, ClusterOperationArn=f"{started}0")
    assert missing[0] == "NotFoundException"
    assert world.wait_for(lambda: listed[1]["OperationState"]) == "UPDATE_COMPLETE"
