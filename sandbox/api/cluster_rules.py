"""What MSK demands of a cluster, at creation and in updates. Pure functions: they raise a ServiceError or do nothing.

Texts are the service's own where one is known: [M] measured in us-east-1 on 2026-09-14 (cdk-preflight), [S] from AWS's
sample code, [I] quoted in a public issue. The rest is worded here; only the rule is AWS's (developer guide, 2026-09).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sandbox.api.account import Subnet
from sandbox.api.errors import bad_request
from sandbox.api.model import Params

EXPRESS_VERSIONS: Final = ("3.8.x", "3.9.x.kraft", "4.2.x.kraft")
"""What Express brokers take at creation (measured in us-east-1, 2026-09-14)."""

STANDARD_VERSIONS: Final = (
    "3.6.0",
    "3.7.x",
    "3.7.x.kraft",
    "3.8.x",
    "3.8.x.kraft",
    "3.9.x",
    "3.9.x.kraft",
    "4.1.x.kraft",
    "4.2.x.kraft",
)  # noqa: E501
"""What Standard brokers take; a selection of what the guide's version table lists as supported (2026-09)."""

DEPRECATED_VERSIONS: Final = ("2.8.1", "3.4.0", "3.5.1")

EXPRESS_ZONES: Final = 3
EXPRESS_REFUSED_ZONES: Final = frozenset({"use1-az3"})
MOST_BROKERS: Final = {"kraft": 60, "zookeeper": 30}
"""Brokers of one cluster (quotas page, 2026-09)."""

EXPRESS_TYPES: Final = tuple(
    f"express.m7g.{size}" for size in ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
)

NO_CHANGE: Final = (
    "The request does not include any updates to the {what} of the cluster. Verify the request, then try again."  # noqa: E501
)
"""[I] for the security setting."""


def is_express_type(instance_type: str) -> bool:
    return instance_type.startswith("express.")


def is_kraft(version: str) -> bool:
    return version.endswith(".kraft") or version.startswith("4")


def versions_for(instance_type: str) -> Sequence[str]:
    return EXPRESS_VERSIONS if is_express_type(instance_type) else STANDARD_VERSIONS


def check_creation(provisioned: Params, subnets: Sequence[Subnet]) -> None:
    """Judges `CreateCluster`, or the `Provisioned` part of `CreateClusterV2`. `subnets` are the client subnets."""
    nodes = provisioned["BrokerNodeGroupInfo"]
    instance_type = nodes["InstanceType"]
    version = provisioned["KafkaVersion"]
    if version not in versions_for(instance_type):
        valid = ", ".join(versions_for(instance_type))
        raise bad_request(f"Unsupported KafkaVersion [{version}]. Valid values: [{valid}]", "kafkaVersion")  # [I]
    if is_express_type(instance_type):
        _check_express(provisioned, subnets)
    elif len(subnets) not in {2, 3}:
        raise bad_request(f"clientSubnets has {len(subnets)} subnets; Standard brokers need 2 or 3.", "clientSubnets")
    zones = [subnet.zone_id for subnet in subnets]
    if len(set(zones)) < len(zones):
        found = ", ".join(zones)
        raise bad_request(f"clientSubnets are in {found}; every subnet must be in another zone.", "clientSubnets")
    check_broker_count(provisioned["NumberOfBrokerNodes"], len(subnets), version)
    _check_connectivity_at_creation(nodes.get("ConnectivityInfo", {}))
    check_authentication(provisioned.get("ClientAuthentication", {}), provisioned.get("EncryptionInfo", {}))
    check_logging(provisioned.get("LoggingInfo", {}))
    check_open_monitoring(provisioned.get("OpenMonitoring"))


def check_broker_count(count: int, zones: int, version: str) -> None:
    if count % zones:
        raise bad_request(
            f"numberOfBrokerNodes is {count}; it must be a multiple of the {zones} subnets.", "numberOfBrokerNodes"
        )
    kind = "kraft" if is_kraft(version) else "zookeeper"
    if count > MOST_BROKERS[kind]:
        raise bad_request(
            f"numberOfBrokerNodes is {count}; a {kind} cluster has at most {MOST_BROKERS[kind]}.", "numberOfBrokerNodes"
        )


def check_authentication(client: Params, encryption: Params) -> None:
    """SASL and TLS need encryption, and somebody must be able to connect."""
    transit = encryption.get("EncryptionInTransit", {})
    broker = transit.get("ClientBroker", "TLS")
    sasl = client.get("Sasl", {})
    tls = enabled(client, "Tls")
    mechanisms = [name for name in ("Iam", "Scram") if enabled(sasl, name)] + (["Tls"] if tls else [])
    unauthenticated = enabled(client, "Unauthenticated")
    if mechanisms and broker == "PLAINTEXT":
        raise bad_request(f"clientBroker is PLAINTEXT; {', '.join(mechanisms)} needs TLS.", "clientBroker")
    if mechanisms and not transit.get("InCluster", True):
        raise bad_request(f"inCluster is false; {', '.join(mechanisms)} needs encryption in the cluster.", "inCluster")
    if mechanisms and broker == "TLS_PLAINTEXT" and not unauthenticated:
        raise bad_request("clientBroker is TLS_PLAINTEXT; that needs unauthenticated access.", "clientBroker")
    if tls and not client["Tls"].get("CertificateAuthorityArnList"):
        raise bad_request("certificateAuthorityArnList is empty; mutual TLS needs one.", "certificateAuthorityArnList")
    if not mechanisms and "Enabled" in client.get("Unauthenticated", {}) and not unauthenticated:
        raise bad_request("Every way to connect is off; turn on at least one in clientAuthentication.")


def check_logging(logging: Params) -> None:
    """Each destination that is on needs its name."""
    for kind in ("BrokerLogs", "AuthorizerLogs"):
        logs = logging.get(kind)
        if logs is None:
            continue
        wire = kind[0].lower() + kind[1:]
        if not logs:
            raise bad_request(f"{wire} is empty; it needs cloudWatchLogs, firehose or s3.", wire)
        for destination, name in (("CloudWatchLogs", "LogGroup"), ("Firehose", "DeliveryStream"), ("S3", "Bucket")):
            if enabled(logs, destination) and not logs[destination].get(name):
                member = name[0].lower() + name[1:]
                raise bad_request(f"{member} is missing; {destination} is enabled in {wire}.", member)


def check_open_monitoring(monitoring: Params | None) -> None:
    if monitoring is None:
        return
    exporters = monitoring["Prometheus"]
    if not any(exporters.get(name, {}).get("EnabledInBroker") for name in ("JmxExporter", "NodeExporter")):
        raise bad_request("openMonitoring has no exporter; enable the JMX or the node exporter.", "openMonitoring")


def check_connectivity_update(requested: Params, zookeeper: Params | None, cluster: Params) -> None:
    """Judges `UpdateConnectivity`. `cluster` is the `Provisioned` part of what is there."""
    settings = [*requested, *(["ZookeeperAccess"] if zookeeper is not None else [])]
    if not settings:
        raise bad_request(NO_CHANGE.format(what="connectivity setting"))
    if len(settings) > 1:
        # [I] the first sentence; the rest is not known.
        raise bad_request("You can't update multiple connectivity settings in the same request.")
    client = cluster["ClientAuthentication"]
    current = cluster["BrokerNodeGroupInfo"]["ConnectivityInfo"]
    if zookeeper is not None and is_kraft(cluster["CurrentBrokerSoftwareInfo"]["KafkaVersion"]):
        raise bad_request("A cluster in KRaft mode has no ZooKeeper.", "zookeeperAccess")
    if "VpcConnectivity" in requested:
        _check_multi_vpc(requested["VpcConnectivity"], client, cluster["BrokerNodeGroupInfo"]["InstanceType"])
    if "PublicAccess" in requested:
        kind = requested["PublicAccess"].get("Type")
        if kind not in {"DISABLED", "SERVICE_PROVIDED_EIPS"}:
            raise bad_request(f"type is {kind}; it must be DISABLED or SERVICE_PROVIDED_EIPS.", "type")
        if kind != "DISABLED" and enabled(client, "Unauthenticated"):
            raise bad_request("Public access needs unauthenticated access to be off.", "publicAccess")
    if requested.get("NetworkType") == "IPV4" and current["NetworkType"] == "DUAL":
        raise bad_request("networkType is DUAL; it cannot go back to IPV4.", "networkType")


def check_broker_type_update(target: str, current: str) -> None:
    if target == current:
        raise bad_request(NO_CHANGE.format(what="broker type"), "targetInstanceType")
    if is_express_type(target) != is_express_type(current):
        raise bad_request(
            f"targetInstanceType is {target}; a cluster of {current} stays Express or Standard.",
            "targetInstanceType",
        )
    if is_express_type(target) and target not in EXPRESS_TYPES:
        raise bad_request(
            f"targetInstanceType is {target}; Express brokers are {', '.join(EXPRESS_TYPES)}.", "targetInstanceType"
        )


def check_version_update(target: str, current: str, instance_type: str) -> None:
    valid = upgrades(current, instance_type)
    if target not in valid:
        listed = ", ".join(valid) or "none"
        raise bad_request(
            f"targetKafkaVersion is {target}; from {current} the cluster can go to: {listed}.", "targetKafkaVersion"
        )


def upgrades(current: str, instance_type: str) -> list[str]:
    """Later versions of the same kind: ZooKeeper and KRaft do not change into one another in place."""
    return [
        version
        for version in versions_for(instance_type)
        if _number(version) > _number(current) and is_kraft(version) == is_kraft(current)
    ]


def enabled(settings: Mapping[str, Any], name: str) -> bool:
    return bool(settings.get(name, {}).get("Enabled", False))


def multi_vpc_for_iam(nodes: Params) -> bool:
    """Whether multi-VPC connectivity is on for IAM."""
    return enabled(_multi_vpc_sasl(nodes.get("ConnectivityInfo", {}).get("VpcConnectivity", {})), "Iam")


def _check_express(provisioned: Params, subnets: Sequence[Subnet]) -> None:
    nodes = provisioned["BrokerNodeGroupInfo"]
    if nodes["InstanceType"] not in EXPRESS_TYPES:
        valid = ", ".join(EXPRESS_TYPES)
        raise bad_request(f"instanceType is {nodes['InstanceType']}; Express brokers are {valid}.", "instanceType")
    if len(subnets) != EXPRESS_ZONES:
        raise bad_request("Clusters with Express instance types require 3 subnets", "clientSubnets")  # [M]
    if "StorageInfo" in nodes:
        raise bad_request("The storageInfo parameter is not supported for Express instance types", "storageInfo")  # [M]
    if "StorageMode" in provisioned:
        raise bad_request("The storageMode parameter is not supported for Express instance types", "storageMode")
    if refused := [subnet.id for subnet in subnets if subnet.zone_id in EXPRESS_REFUSED_ZONES]:
        raise bad_request(
            f"{', '.join(refused)} is in use1-az3; Express brokers are not offered there.", "clientSubnets"
        )


def _check_connectivity_at_creation(connectivity: Params) -> None:
    multi_vpc = connectivity.get("VpcConnectivity", {})
    if any(_mechanisms(multi_vpc)):
        raise bad_request(  # [S]
            "When creating a cluster, all vpcConnectivity auth schemes must be disabled. You can enable auth schemes "
            "after the cluster is created.",
            "vpcConnectivity",
        )
    if connectivity.get("PublicAccess", {}).get("Type", "DISABLED") != "DISABLED":
        raise bad_request(
            "publicAccess must be DISABLED when a cluster is created. You can turn it on after that.", "publicAccess"
        )
    if connectivity.get("NetworkType", "IPV4") != "IPV4":
        raise bad_request(
            "networkType must be IPV4 when a cluster is created. You can change it after that.", "networkType"
        )


def _check_multi_vpc(requested: Params, client: Params, instance_type: str) -> None:
    if not any(_mechanisms(requested)):
        return
    if instance_type.endswith("t3.small"):
        raise bad_request(f"instanceType is {instance_type}; it has no multi-VPC connectivity.", "vpcConnectivity")
    if enabled(client, "Unauthenticated"):
        raise bad_request("Multi-VPC connectivity needs unauthenticated access to be off.", "vpcConnectivity")
    sasl, own = _multi_vpc_sasl(requested), client.get("Sasl", {})
    wanted = {name: enabled(sasl, name) for name in ("Iam", "Scram")}
    wanted["Tls"] = enabled(requested.get("ClientAuthentication", {}), "Tls")
    there = {"Iam": enabled(own, "Iam"), "Scram": enabled(own, "Scram"), "Tls": enabled(client, "Tls")}
    for name, on in wanted.items():
        if on and not there[name]:
            raise bad_request(
                f"vpcConnectivity asks for {name}; turn {name} authentication on for the cluster first.",
                "vpcConnectivity",
            )


def _mechanisms(multi_vpc: Params) -> list[bool]:
    sasl = _multi_vpc_sasl(multi_vpc)
    return [
        enabled(sasl, "Iam"),
        enabled(sasl, "Scram"),
        enabled(multi_vpc.get("ClientAuthentication", {}), "Tls"),
    ]


def _multi_vpc_sasl(multi_vpc: Params) -> Params:
    sasl: Params = multi_vpc.get("ClientAuthentication", {}).get("Sasl", {})
    return sasl


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
