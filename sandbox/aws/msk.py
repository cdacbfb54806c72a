"""MSK: clusters, their policies, topics, configurations and VPC connections. Replicators are in `replicator.py`.

Rules of the service are marked with where they were seen: [D] AWS's documentation or service model, [M] measured
against the live API by cdk-preflight (us-east-1, 2026-09-14), [P] read in terraform-provider-aws. Where the service's
own text is known it is used; otherwise the message is the sandbox's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pulumi_aws import msk

from sandbox.aws.base import (
    Handler,
    RecordHandler,
    admit_tags,
    arn,
    dig,
    having_made,
    json_failures,
    kind_of,
    listed,
    one_of,
    statements,
    uuid_of,
)
from sandbox.aws.ec2 import SECURITY_GROUP, SUBNET, VPC, find
from sandbox.aws.kms import usable_key
from sandbox.aws.logs import admit_log_group
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.diff import merged
from sandbox.rules import AutoName, Rules
from sandbox.wire import UNKNOWN, Props

CLUSTER = kind_of(msk.Cluster)
CLUSTER_POLICY = kind_of(msk.ClusterPolicy)
CONFIGURATION = kind_of(msk.Configuration)
TOPIC = kind_of(msk.Topic)
REPLICATOR = kind_of(msk.Replicator)
VPC_CONNECTION = kind_of(msk.VpcConnection)

EXPRESS_VERSIONS = ("3.8.x", "3.9.x.kraft", "4.2.x.kraft")  # [M]
STANDARD_VERSIONS = (
    *("3.6.0", "3.7.x", "3.7.x.kraft", "3.8.x", "3.8.x.kraft"),
    *("3.9.x", "3.9.x.kraft", "4.0.x.kraft", "4.1.x.kraft", "4.2.x.kraft"),
)
EXPRESS_SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")  # [D]
ZONES_WITHOUT_EXPRESS = ("use1-az3",)  # [D]
MONITORING_LEVELS = ("DEFAULT", "PER_BROKER", "PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION")

# What may be set on a topic of an Express cluster [D].
EXPRESS_TOPIC_CONFIGS: dict[str, str] = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "delete.retention.ms": "86400000",
    "max.compaction.lag.ms": "9223372036854775807",
    "max.message.bytes": "8388608",
    "message.timestamp.after.max.ms": "86400000",
    "message.timestamp.before.max.ms": "86400000",
    "message.timestamp.type": "CreateTime",
    "min.compaction.lag.ms": "0",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
}


def bad_request(message: str) -> AwsError:
    return AwsError("BadRequestException", message)


def cluster_at(aws: Aws, cluster_arn: str) -> Props | None:
    """A cluster by its ARN, in the Region that the ARN names."""
    parts = cluster_arn.split(":")
    return aws.elsewhere(parts[3]).get(CLUSTER, cluster_arn) if len(parts) > 5 else None


def existing_cluster(aws: Aws, cluster_arn: str) -> Props:
    """A cluster of the caller's own Region, or MSK's error."""
    cluster = aws.get(CLUSTER, cluster_arn)
    if cluster is None:
        raise AwsError("NotFoundException", f"The cluster {cluster_arn} does not exist.", status=404)
    return cluster


def version_token(digest: str) -> str:
    """A `currentVersion` as MSK writes them, such as K3P5ROKL5A1OLE."""
    return "K" + format(int(digest[:20], 16), "x").upper()[:13].rjust(13, "0")


def _is_express(inputs: Props) -> bool:
    return str(inputs["brokerNodeGroupInfo"]["instanceType"]).startswith("express.")


def auth_schemes(cluster: Props) -> dict[str, bool]:
    """What clients may authenticate with."""
    return {
        "iam": bool(dig(cluster, "clientAuthentication.sasl.iam")),
        "scram": bool(dig(cluster, "clientAuthentication.sasl.scram")),
        "tls": bool(dig(cluster, "clientAuthentication.tls.certificateAuthorityArns")),
    }


_VPC_CONNECTIVITY = "brokerNodeGroupInfo.connectivityInfo.vpcConnectivity.clientAuthentication"


def vpc_schemes(cluster: Props) -> dict[str, bool]:
    """What clients in other VPCs, Replicators of other Regions among them, may authenticate with."""
    return {
        "iam": bool(dig(cluster, f"{_VPC_CONNECTIVITY}.sasl.iam")),
        "scram": bool(dig(cluster, f"{_VPC_CONNECTIVITY}.sasl.scram")),
        "tls": bool(dig(cluster, f"{_VPC_CONNECTIVITY}.tls")),
    }


@dataclass(frozen=True)
class Step:
    """One kind of cluster update: the operation, and the properties that it carries."""

    operation: str
    paths: tuple[str, ...]


# The order of the real provider: connectivity goes before security, so IAM and multi-VPC for IAM cannot be turned on in
# the same update [P].
UPDATES: tuple[Step, ...] = (
    Step("kafka:UpdateConnectivity", ("brokerNodeGroupInfo.connectivityInfo",)),
    Step("kafka:UpdateBrokerType", ("brokerNodeGroupInfo.instanceType",)),
    Step("kafka:UpdateBrokerStorage", ("brokerNodeGroupInfo.storageInfo",)),
    Step("kafka:UpdateBrokerCount", ("numberOfBrokerNodes",)),
    Step("kafka:UpdateMonitoring", ("enhancedMonitoring", "loggingInfo", "openMonitoring")),
    Step("kafka:UpdateClusterConfiguration", ("configurationInfo",)),
    Step("kafka:UpdateClusterKafkaVersion", ("kafkaVersion",)),
    Step("kafka:UpdateSecurity", ("clientAuthentication", "encryptionInfo")),
    Step("kafka:UpdateStorage", ("storageMode",)),
    Step("kafka:UpdateRebalancing", ("rebalancing",)),
    Step("kafka:TagResource", ("tags", "tagsAll")),
)


class Cluster(Handler):
    resource = msk.Cluster
    label = "MSK Cluster"
    rules = Rules(
        autoname=AutoName("clusterName", 255),
        defaults={
            "brokerNodeGroupInfo.azDistribution": "DEFAULT",
            "encryptionInfo.encryptionInTransit.clientBroker": "TLS",
            "encryptionInfo.encryptionInTransit.inCluster": True,
            "enhancedMonitoring": "DEFAULT",
        },
        replace=frozenset(
            {
                "brokerNodeGroupInfo",
                "brokerNodeGroupInfo.azDistribution",
                "brokerNodeGroupInfo.clientSubnets",
                "brokerNodeGroupInfo.securityGroups",
                "clusterName",
                "encryptionInfo",
                "encryptionInfo.encryptionAtRestKmsKeyArn",
                "encryptionInfo.encryptionInTransit.inCluster",
            }
        ),
        computed=frozenset(
            {
                "brokerNodeGroupInfo.connectivityInfo",
                "brokerNodeGroupInfo.storageInfo",
                "encryptionInfo.encryptionAtRestKmsKeyArn",
                "rebalancing",
                "storageMode",
            }
        ),
        kept=frozenset({"encryptionInfo", "loggingInfo", "openMonitoring"}),
        sets=frozenset(
            {
                "brokerNodeGroupInfo.clientSubnets",
                "brokerNodeGroupInfo.securityGroups",
                "clientAuthentication.tls.certificateAuthorityArns",
            }
        ),
        recomputed={"currentVersion": frozenset()},
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        name = inputs["clusterName"]
        if name != UNKNOWN and not 1 <= len(name) <= 64:
            yield Failure("clusterName", f"expected length of cluster_name to be in the range (1 - 64), got {name}")
        transit = "encryptionInfo.encryptionInTransit.clientBroker"
        yield from one_of(inputs, "enhancedMonitoring", MONITORING_LEVELS)
        yield from one_of(inputs, "storageMode", ("LOCAL", "TIERED"))
        yield from one_of(inputs, "rebalancing.status", ("ACTIVE", "PAUSED"))
        yield from one_of(inputs, transit, ("PLAINTEXT", "TLS_PLAINTEXT", "TLS"))
        yield from one_of(inputs, "brokerNodeGroupInfo.azDistribution", ("DEFAULT",))

    def replacing(self, state: Props, inputs: Props) -> Iterable[str]:
        if _version_number(inputs["kafkaVersion"]) < _version_number(state.get("kafkaVersion", "0")):
            yield "kafkaVersion"
        if state.get("storageMode") == "TIERED" and inputs.get("storageMode") == "LOCAL":
            yield "storageMode"

    def create(self, aws: Aws, inputs: Props) -> str:
        """CreateCluster without multi-VPC connectivity, which it does not take, then UpdateConnectivity [P]."""
        with aws.call("kafka:CreateCluster"):
            admit_tags(inputs)
            for rule in _CREATE_RULES:
                rule(aws, inputs)
            digest = aws.digest("cluster")
            id_ = arn("kafka", aws.region, f"cluster/{inputs['clusterName']}/{uuid_of(digest)}-2")
            aws.put(CLUSTER, id_, _settled({**inputs, **_first_outputs(aws, id_, digest, inputs)}))
        with having_made(id_, f"creating {self.title(inputs)}"):
            aws.touch("kafka:DescribeClusterV2")
            for setting in later_connectivity(inputs):
                self._connect(aws, id_, setting)
        return id_

    def _connect(self, aws: Aws, id_: str, setting: Props) -> None:
        with aws.call("kafka:UpdateConnectivity"):
            cluster = existing_cluster(aws, id_)
            brokers = cluster["brokerNodeGroupInfo"]
            connectivity = {**brokers["connectivityInfo"], **setting}
            changed = {**cluster, "brokerNodeGroupInfo": {**brokers, "connectivityInfo": connectivity}}
            _admit_connectivity(cluster, changed)
            aws.put(CLUSTER, id_, _settled(_next_version(aws, changed)))
        aws.touch("kafka:DescribeClusterOperation")

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        aws.touch("kafka:DescribeCluster")
        cluster = aws.get(CLUSTER, id_)
        if cluster is None:
            return None
        aws.touch("kafka:GetBootstrapBrokers")
        return cluster

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """One call for each kind of change; what was done before an error stays done [P]."""
        wanted = merged(self.schema, self.rules, existing_cluster(aws, id_), inputs)
        for step in UPDATES:
            cluster = existing_cluster(aws, id_)
            if all(dig(cluster, path) == dig(wanted, path) for path in step.paths):
                continue
            with having_made(id_, f"updating {self.label} ({id_})"):
                with aws.call(step.operation):
                    changed = cluster
                    for path in step.paths:
                        changed = _with(changed, path, dig(wanted, path))
                    admit_tags(changed)
                    _admit_update(aws, step.operation, cluster, changed)
                    aws.put(CLUSTER, id_, _settled(_next_version(aws, changed)))
                aws.touch("kafka:DescribeClusterOperation")

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        """What is inside a cluster goes with it; a Replicator that uses it stays, and fails."""
        with aws.call("kafka:DeleteCluster"):
            for kind in (TOPIC, CLUSTER_POLICY):
                for other, held in list(aws.table(kind).items()):
                    if held["clusterArn"] == id_:
                        aws.remove(kind, other)
            aws.remove(CLUSTER, id_)
            for region in map(aws.elsewhere, aws.cloud.regions()):
                _fail_replicators_of(region, id_)
        aws.touch("kafka:DescribeClusterV2")


def _fail_replicators_of(aws: Aws, cluster_arn: str) -> None:
    for id_, replicator in list(aws.table(REPLICATOR).items()):
        info = replicator["replicationInfoList"]
        if cluster_arn in (info["sourceKafkaClusterArn"], info["targetKafkaClusterArn"]):
            aws.put(REPLICATOR, id_, {**replicator, "_state": "FAILED", "_stateInfo": f"{cluster_arn} was deleted"})


def _version_number(version: str) -> tuple[int, ...]:
    """Comparable form: `3.9.x.kraft` is 3.9, as the provider strips the suffixes."""
    if version == UNKNOWN:
        return (999,)
    return tuple(int(part) for part in re.findall(r"\d+", version))


def later_connectivity(inputs: Props) -> list[Props]:
    """What a new cluster gets once it is there, one setting for each update, because CreateCluster takes none [P]."""
    asked = dig(inputs, "brokerNodeGroupInfo.connectivityInfo") or {}
    settings = ((name, asked.get(name)) for name in ("vpcConnectivity", "networkType"))
    return [{name: value} for name, value in settings if value and value != "IPV4" and not _all_off(value)]


def _all_off(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_all_off(inner) for inner in value.values())
    return not value


def _with(props: Props, path: str, value: Any) -> Props:
    head, _, rest = path.partition(".")
    if rest:
        return {**props, head: _with(props.get(head, {}), rest, value)}
    if value is None:
        return {key: held for key, held in props.items() if key != head}
    return {**props, head: value}


def _next_version(aws: Aws, cluster: Props) -> Props:
    return {**cluster, "currentVersion": version_token(aws.digest("cluster-version"))}


def _first_outputs(aws: Aws, id_: str, digest: str, inputs: Props) -> Props:
    """What the service adds to a new cluster; bootstrap strings follow from the rest, see `_settled`."""
    brokers = inputs["brokerNodeGroupInfo"]
    express = _is_express(inputs)
    key = dig(inputs, "encryptionInfo.encryptionAtRestKmsKeyArn")
    transit = dig(inputs, "encryptionInfo.encryptionInTransit") or {"clientBroker": "TLS", "inCluster": True}
    public = dig(inputs, "brokerNodeGroupInfo.connectivityInfo.publicAccess") or {"type": "DISABLED"}
    storage = {} if express else {"storageInfo": brokers.get("storageInfo", {"ebsStorageInfo": {"volumeSize": 100}})}
    return {
        "arn": id_,
        "brokerNodeGroupInfo": {
            **brokers,
            **storage,
            "connectivityInfo": {
                "networkType": "IPV4",
                "publicAccess": public,
                "vpcConnectivity": {"clientAuthentication": {"sasl": {"iam": False, "scram": False}, "tls": False}},
            },
        },
        "clusterUuid": id_.rpartition("/")[2],
        "currentVersion": version_token(aws.digest("cluster-version")),
        "customerActionStatus": "NONE",
        "encryptionInfo": {
            "encryptionAtRestKmsKeyArn": key or arn("kms", aws.region, f"key/{uuid_of(digest[32:])}"),
            "encryptionInTransit": transit,
        },
        "rebalancing": inputs.get("rebalancing", {"status": "ACTIVE" if express else "PAUSED"}),
        "storageMode": inputs.get("storageMode", "" if express else "LOCAL"),
    }


def _settled(cluster: Props) -> Props:
    """A cluster with the bootstrap strings that its settings give it."""
    region, name = cluster["arn"].split(":")[3], cluster["clusterName"]
    label = f"{name}.{cluster['clusterUuid'].replace('-', '')[:6]}.c2.kafka.{region}.amazonaws.com".lower()
    client, private = auth_schemes(cluster), vpc_schemes(cluster)
    transit = cluster["encryptionInfo"]["encryptionInTransit"]["clientBroker"]
    plaintext = transit != "TLS"
    # Brokers tell their TLS port to clients that use certificates or nothing at all [P].
    tls = transit != "PLAINTEXT" and (client["tls"] or not any(client.values()))
    public = dig(cluster, "brokerNodeGroupInfo.connectivityInfo.publicAccess.type") == "SERVICE_PROVIDED_EIPS"
    dual = dig(cluster, "brokerNodeGroupInfo.connectivityInfo.networkType") == "DUAL"
    kraft = cluster["kafkaVersion"].endswith(".kraft")

    def brokers(wanted: bool, port: int, prefix: str = "b", step: int = 0) -> str:
        if not wanted:
            return ""
        return ",".join(f"{prefix}-{number}.{label}:{port + step * (number - 1)}" for number in (1, 2, 3))

    return {
        **cluster,
        "bootstrapBrokers": brokers(plaintext, 9092),
        "bootstrapBrokersIpv6": brokers(plaintext and dual, 9092, "b-ipv6"),
        "bootstrapBrokersPublicSaslIam": brokers(public and client["iam"], 9198, "b-public"),
        "bootstrapBrokersPublicSaslScram": brokers(public and client["scram"], 9196, "b-public"),
        "bootstrapBrokersPublicTls": brokers(public and client["tls"], 9194, "b-public"),
        "bootstrapBrokersSaslIam": brokers(client["iam"], 9098),
        "bootstrapBrokersSaslIamIpv6": brokers(client["iam"] and dual, 20098, "b-ipv6"),
        "bootstrapBrokersSaslScram": brokers(client["scram"], 9096),
        "bootstrapBrokersSaslScramIpv6": brokers(client["scram"] and dual, 20096, "b-ipv6"),
        "bootstrapBrokersTls": brokers(tls, 9094),
        "bootstrapBrokersTlsIpv6": brokers(tls and dual, 20094, "b-ipv6"),
        "bootstrapBrokersVpcConnectivitySaslIam": brokers(private["iam"], 14001, step=1),
        "bootstrapBrokersVpcConnectivitySaslScram": brokers(private["scram"], 14034, step=1),
        "bootstrapBrokersVpcConnectivityTls": brokers(private["tls"], 14067, step=1),
        "zookeeperConnectString": brokers(not kraft, 2181, "z"),
        "zookeeperConnectStringTls": brokers(not kraft, 2182, "z"),
    }


def _admit_name(aws: Aws, inputs: Props) -> None:
    name = inputs["clusterName"]
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]*", name):  # [D]
        pattern = "^[0-9A-Za-z][0-9A-Za-z-]*$"
        raise bad_request(f"Value '{name}' at 'clusterName' failed to satisfy constraint: must match pattern {pattern}")
    if any(other["clusterName"] == name for other in aws.table(CLUSTER).values()):
        raise AwsError("ConflictException", "A resource with this name already exists.", status=409)


def _admit_network(aws: Aws, inputs: Props) -> None:
    brokers = inputs["brokerNodeGroupInfo"]
    subnets = brokers["clientSubnets"]
    express = _is_express(inputs)
    if express and len(subnets) != 3:  # [M]
        raise bad_request("Clusters with Express instance types require 3 subnets")
    if len(subnets) not in (2, 3):  # [M]
        raise bad_request("Specify either two or three client subnets.")
    held = [find(aws, SUBNET, subnet) for subnet in subnets]
    zones = [subnet["availabilityZoneId"] for subnet in held]
    if len({*zones}) != len(zones):  # [M]
        raise bad_request("Each client subnet must be in a different Availability Zone.")
    for zone in zones:
        if express and zone in ZONES_WITHOUT_EXPRESS:
            raise bad_request(f"Express brokers are not available in Availability Zone {zone}.")
    vpcs = {subnet["vpcId"] for subnet in held}
    if len(vpcs) != 1:
        raise bad_request("All client subnets must be in the same VPC.")
    if not 1 <= len(brokers["securityGroups"]) <= 16:
        raise bad_request("Specify between 1 and 16 security groups.")
    for group in brokers["securityGroups"]:
        if find(aws, SECURITY_GROUP, group)["vpcId"] not in vpcs:
            raise bad_request(f"Security group {group} is not in the VPC of the client subnets.")
    _admit_broker_count(inputs)


def _admit_broker_count(inputs: Props) -> None:
    count, zones = inputs["numberOfBrokerNodes"], len(inputs["brokerNodeGroupInfo"]["clientSubnets"])
    if count <= 0 or count % zones:  # [M]
        raise bad_request("The number of broker nodes must be a multiple of Availability Zones in the client subnets.")
    kraft = inputs["kafkaVersion"].endswith(".kraft")
    if count > (60 if kraft else 30):  # [D]
        raise bad_request(f"The number of broker nodes is limited to {60 if kraft else 30}.")


def _admit_type(aws: Aws, inputs: Props) -> None:
    instance, version = inputs["brokerNodeGroupInfo"]["instanceType"], inputs["kafkaVersion"]
    if _is_express(inputs):
        if instance not in {f"express.m7g.{size}" for size in EXPRESS_SIZES}:
            raise bad_request(f"Unsupported InstanceType [{instance}].")
        if version not in EXPRESS_VERSIONS:  # [M]
            supported = ", ".join(EXPRESS_VERSIONS)
            message = f"Unsupported KafkaVersion [{version}] for Express instance types. Valid values: [{supported}]"
            raise bad_request(message)
        if "storageInfo" in inputs["brokerNodeGroupInfo"]:  # [M]
            raise bad_request("The storageInfo parameter is not supported for Express instance types")
        if "storageMode" in inputs:  # [M]
            raise bad_request("The storageMode parameter is not supported for Express instance types")
        return
    if not re.fullmatch(r"kafka\.(t3\.small|m5\.\w+|m7g\.\w+)", instance):
        raise bad_request(f"Unsupported InstanceType [{instance}].")
    if version not in STANDARD_VERSIONS:
        raise bad_request(f"Unsupported KafkaVersion [{version}]. Valid values: [{', '.join(STANDARD_VERSIONS)}]")
    if instance == "kafka.t3.small" and version.endswith(".kraft"):  # [M]
        raise bad_request("Instance type kafka.t3.small is not supported in KRaft mode.")
    if "rebalancing" in inputs:
        raise bad_request("Intelligent rebalancing is supported for Express instance types only.")


def _admit_new_security(aws: Aws, inputs: Props) -> None:
    _admit_security(inputs)


def _admit_security(inputs: Props) -> None:
    """The combinations that the service refuses [M]."""
    schemes = auth_schemes(inputs)
    transit = dig(inputs, "encryptionInfo.encryptionInTransit") or {"clientBroker": "TLS", "inCluster": True}
    unauthenticated = dig(inputs, "clientAuthentication.unauthenticated")
    if any(schemes.values()):
        if transit["clientBroker"] == "PLAINTEXT":
            raise bad_request("Client authentication requires TLS encryption between clients and brokers.")
        if not transit["inCluster"]:
            raise bad_request("Client authentication requires encryption in transit within the cluster.")
        if transit["clientBroker"] == "TLS_PLAINTEXT" and not unauthenticated:
            message = (
                "TLS_PLAINTEXT requires unauthenticated access to be enabled when client authentication is enabled."
            )
            raise bad_request(message)
    elif unauthenticated is False:
        raise bad_request(
            "Unauthenticated access cannot be disabled unless another authentication mechanism is enabled."
        )
    for authority in dig(inputs, "clientAuthentication.tls.certificateAuthorityArns") or []:
        if not re.fullmatch(r"arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority/[\w-]+", authority):
            raise bad_request(f"Invalid certificate authority ARN: {authority}")


def admit_key(aws: Aws, inputs: Props) -> None:
    key = dig(inputs, "encryptionInfo.encryptionAtRestKmsKeyArn")
    if key is not None and (not key.startswith("arn:") or usable_key(aws, key) is None):
        raise bad_request(f"The KMS key {key} does not exist, is disabled, or is not in Region {aws.region}.")


def _admit_new_connectivity(aws: Aws, inputs: Props) -> None:
    if dig(inputs, "brokerNodeGroupInfo.connectivityInfo.publicAccess.type") not in (None, "DISABLED"):  # [M]
        message = (
            "Public access cannot be enabled during cluster creation. You can enable it after the cluster is created."
        )
        raise bad_request(message)


def _admit_connectivity(cluster: Props, changed: Props) -> None:
    settings = [dig(props, "brokerNodeGroupInfo.connectivityInfo") or {} for props in (cluster, changed)]
    for scheme, wanted in vpc_schemes(changed).items():
        if wanted and not auth_schemes(cluster)[scheme]:
            message = (
                f"Multi-VPC private connectivity for {scheme.upper()} requires {scheme.upper()} client authentication"
            )
            raise bad_request(f"{message} to be enabled on the cluster.")
    if any(vpc_schemes(changed).values()):
        if dig(cluster, "clientAuthentication.unauthenticated"):  # [D]
            raise bad_request("Multi-VPC private connectivity does not support unauthenticated access.")
        if cluster["brokerNodeGroupInfo"]["instanceType"] == "kafka.t3.small":  # [D]
            raise bad_request("Multi-VPC private connectivity is not supported for kafka.t3.small.")
    before, after = (setting.get("networkType", "IPV4") for setting in settings)
    if before == "DUAL" and after == "IPV4":
        raise bad_request("The network type can only be changed from IPV4 to DUAL.")
    public = dig(changed, "brokerNodeGroupInfo.connectivityInfo.publicAccess.type") == "SERVICE_PROVIDED_EIPS"
    if public and (dig(cluster, "clientAuthentication.unauthenticated") or not any(auth_schemes(cluster).values())):
        raise bad_request("Public access requires unauthenticated access to be off and an authentication mechanism on.")


def admit_monitoring(aws: Aws, inputs: Props) -> None:
    logs = dig(inputs, "loggingInfo.brokerLogs")
    if logs is not None:
        if not logs:  # [M]
            raise bad_request("brokerLogs must have at least one log destination.")
        for destination, name in (("cloudwatchLogs", "logGroup"), ("firehose", "deliveryStream"), ("s3", "bucket")):
            setting = logs.get(destination, {})
            if setting.get("enabled") and not setting.get(name):  # [M]
                raise bad_request(f"{name} is required when {destination} is enabled.")
        if dig(logs, "cloudwatchLogs.enabled") and not admit_log_group(aws, logs["cloudwatchLogs"]["logGroup"]):
            raise bad_request(f"The log group {logs['cloudwatchLogs']['logGroup']} does not exist in {aws.region}.")
    prometheus = dig(inputs, "openMonitoring.prometheus")
    if prometheus is not None and not any(
        dig(prometheus, f"{exporter}.enabledInBroker") for exporter in ("jmxExporter", "nodeExporter")
    ):  # [M]
        raise bad_request("Open monitoring requires at least one exporter to be enabled.")


def _admit_configuration(aws: Aws, inputs: Props) -> None:
    wanted = inputs.get("configurationInfo")
    if wanted is None:
        return
    configuration = aws.get(CONFIGURATION, wanted["arn"])
    if configuration is None:
        raise bad_request(f"The configuration {wanted['arn']} does not exist.")
    if not 1 <= wanted["revision"] <= configuration["latestRevision"]:
        raise bad_request(f"The configuration {wanted['arn']} has no revision {wanted['revision']}.")


def _admit_update(aws: Aws, operation: str, cluster: Props, changed: Props) -> None:
    match operation:
        case "kafka:UpdateConnectivity":
            _admit_connectivity(cluster, changed)
        case "kafka:UpdateBrokerType":
            if _is_express(cluster) != _is_express(changed):
                raise bad_request("A cluster cannot change between Standard and Express instance types.")
            _admit_type(
                aws, {name: value for name, value in changed.items() if name not in ("storageMode", "rebalancing")}
            )
        case "kafka:UpdateBrokerStorage":
            if _is_express(cluster):
                raise bad_request("The storageInfo parameter is not supported for Express instance types")
        case "kafka:UpdateBrokerCount":
            _admit_broker_count(changed)
        case "kafka:UpdateMonitoring":
            admit_monitoring(aws, changed)
        case "kafka:UpdateClusterConfiguration":
            if "configurationInfo" not in changed:  # [P]
                raise bad_request("configurationInfo is required.")
            _admit_configuration(aws, changed)
        case "kafka:UpdateClusterKafkaVersion":
            versions = EXPRESS_VERSIONS if _is_express(cluster) else STANDARD_VERSIONS
            if changed["kafkaVersion"] not in versions:
                raise bad_request(f"Unsupported KafkaVersion [{changed['kafkaVersion']}].")
        case "kafka:UpdateSecurity":
            for scheme, wanted in vpc_schemes(cluster).items():
                if wanted and not auth_schemes(changed)[scheme]:
                    raise bad_request(f"Turn off multi-VPC private connectivity for {scheme.upper()} first.")
            _admit_security(changed)
        case "kafka:UpdateStorage":
            if _is_express(cluster):
                raise bad_request("The storageMode parameter is not supported for Express instance types")
        case "kafka:UpdateRebalancing":
            if not _is_express(cluster):
                raise bad_request("Intelligent rebalancing is supported for Express instance types only.")


_CREATE_RULES = (
    _admit_name,
    _admit_type,
    _admit_network,
    _admit_new_security,
    admit_key,
    _admit_new_connectivity,
    admit_monitoring,
    _admit_configuration,
)


class ClusterPolicy(Handler):
    resource = msk.ClusterPolicy
    label = "MSK Cluster Policy"
    # Changing `clusterArn` replaces nothing [P]: see `update`.
    rules = Rules(documents=frozenset({"policy"}), recomputed={"currentVersion": frozenset()})

    def title(self, inputs: Props) -> str:
        return f"setting MSK Cluster Policy ({inputs['clusterArn']})"

    def check(self, inputs: Props) -> Iterable[Failure]:
        return json_failures(inputs, "policy")

    def create(self, aws: Aws, inputs: Props) -> str:
        with aws.call("kafka:PutClusterPolicy"):
            _admit_cluster_policy(aws, inputs)
            if aws.get(CLUSTER_POLICY, inputs["clusterArn"]) is not None:
                # terraform-provider-aws#35538: the provider sends no version when it creates.
                raise bad_request("Current cluster policy version needed for Update")
            self._put(aws, inputs)
        return str(inputs["clusterArn"])

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        aws.touch("kafka:GetClusterPolicy")
        return aws.get(CLUSTER_POLICY, id_)

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """PutClusterPolicy on the cluster that the inputs name, whatever the resource's id says [P]."""
        with aws.call("kafka:PutClusterPolicy"):
            _admit_cluster_policy(aws, inputs)
            self._put(aws, inputs)

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        with aws.call("kafka:DeleteClusterPolicy"):
            aws.remove(CLUSTER_POLICY, id_)

    def _put(self, aws: Aws, inputs: Props) -> None:
        version = version_token(aws.digest("policy-version"))
        aws.put(CLUSTER_POLICY, inputs["clusterArn"], {**inputs, "currentVersion": version})


def _admit_cluster_policy(aws: Aws, inputs: Props) -> None:
    existing_cluster(aws, inputs["clusterArn"])
    if len(inputs["policy"].encode()) > 20 * 1024:  # [D]
        raise bad_request("The cluster policy is not valid. The maximum size is 20 KB")
    try:
        found = statements(inputs["policy"])
    except ValueError as error:
        raise bad_request(f"The cluster policy is not valid. {error}") from error
    for statement in found:
        if listed(statement.get("Resource")) != [inputs["clusterArn"]]:  # [M]
            raise bad_request("The cluster policy is not valid. Invalid cluster arn")
        principal = statement.get("Principal")
        if not isinstance(principal, dict) or not any(listed(value) for value in principal.values()):
            raise bad_request("The cluster policy is not valid. Principal is required")
        for action in listed(statement.get("Action")):
            if not action.startswith(("kafka:", "kafka-cluster:")):
                raise bad_request(f"The cluster policy is not valid. Invalid action {action}")


class Topic(Handler):
    resource = msk.Topic
    label = "Kafka Topic"
    rules = Rules(
        autoname=AutoName("name", 255),
        replace=frozenset({"clusterArn", "name", "replicationFactor"}),
        documents=frozenset({"configs"}),
        recomputed={"configsActual": frozenset()},
        plugin_framework=True,
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        return json_failures(inputs, "configs")

    def create(self, aws: Aws, inputs: Props) -> str:
        id_ = f"{inputs['clusterArn']},{inputs['name']}"
        with aws.call("kafka:CreateTopic"):
            cluster = existing_cluster(aws, inputs["clusterArn"])
            name = inputs["name"]
            if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", name) or name in (".", ".."):
                raise bad_request(
                    f"Topic name '{name}' is illegal, it contains a character other than ASCII alphanumerics,"
                    " '.', '_' and '-', or is longer than 249 characters"
                )
            if aws.get(TOPIC, id_) is not None:
                raise AwsError("TopicExistsException", f"Topic '{name}' already exists.", status=409)
            if inputs["partitionCount"] < 1:
                raise bad_request("partitionCount must be at least 1.")
            if _is_express(cluster) and inputs["replicationFactor"] != 3:  # [D]
                raise bad_request("The replication factor of topics on Express brokers must be 3.")
            if not 1 <= inputs["replicationFactor"] <= cluster["numberOfBrokerNodes"]:
                message = f"Replication factor: {inputs['replicationFactor']} larger than available brokers: "
                raise bad_request(f"{message}{cluster['numberOfBrokerNodes']}.")
            digits = uuid_of(aws.digest("topic"))
            path = inputs["clusterArn"].rpartition(":cluster/")[2]
            topic_arn = arn("kafka", aws.region, f"topic/{path}/{name}")
            outputs = {"arn": topic_arn, "configsActual": _actual_configs(cluster, inputs), "_topicId": digits}
            aws.put(TOPIC, id_, {**inputs, **outputs})
        # The provider wants to see ACTIVE twice [P].
        with having_made(id_, f"creating {self.title(inputs)}"):
            aws.touch("kafka:DescribeTopic", "kafka:DescribeTopic")
        return id_

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        aws.touch("kafka:DescribeTopic")
        record = aws.get(TOPIC, id_)
        if record is None:
            return None
        outputs = {name: value for name, value in record.items() if not name.startswith("_")}
        return {**outputs, "timeouts": known["timeouts"]} if "timeouts" in known else outputs

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """Configuration and partitions travel in a call each [P]."""
        for name in ("configs", "partitionCount"):
            topic = aws.get(TOPIC, id_)
            if topic is None:
                raise AwsError("NotFoundException", "This server does not host this topic-partition.", status=404)
            if topic.get(name) == inputs.get(name):
                continue
            with aws.call("kafka:UpdateTopic"):
                changed = _with(topic, name, inputs.get(name))
                if name == "partitionCount" and changed[name] < topic[name]:
                    message = f"Topic currently has {topic[name]} partitions, which is higher than the requested "
                    raise bad_request(f"{message}{changed[name]}.")
                cluster = existing_cluster(aws, topic["clusterArn"])
                aws.put(TOPIC, id_, {**changed, "configsActual": _actual_configs(cluster, changed)})
            aws.touch("kafka:DescribeTopic")

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        with aws.call("kafka:DeleteTopic"):
            aws.remove(TOPIC, id_)
        aws.touch("kafka:DescribeTopic")


def _actual_configs(cluster: Props, inputs: Props) -> str:
    """The topic's whole configuration as JSON; refuses what the cluster does not take."""
    declared = json.loads(inputs.get("configs", "{}"))
    if not isinstance(declared, dict) or not all(isinstance(value, str) for value in declared.values()):
        raise bad_request("configs must be a JSON object whose values are strings.")
    for key, value in declared.items():
        if _is_express(cluster) and key not in EXPRESS_TOPIC_CONFIGS:  # [D]
            raise bad_request(f"The topic configuration {key} cannot be changed on Express brokers.")
        if key.endswith((".ms", ".bytes")) and not re.fullmatch(r"-?\d+", value):
            raise bad_request(f"Invalid value {value} for configuration {key}: Not a number of type LONG")
        if key == "cleanup.policy" and not {*value.split(",")} <= {"compact", "delete"}:
            message = f"Invalid value {value} for configuration {key}: String must be one of: compact, delete"
            raise bad_request(message)
        if key == "message.timestamp.type" and value not in ("CreateTime", "LogAppendTime"):
            message = f"Invalid value {value} for configuration {key}: String must be one of: CreateTime, LogAppendTime"
            raise bad_request(message)
    return json.dumps({**EXPRESS_TOPIC_CONFIGS, **declared}, sort_keys=True, separators=(",", ":"))


class Configuration(RecordHandler):
    resource = msk.Configuration
    label = "MSK Configuration"
    creates, reads = "kafka:CreateConfiguration", "kafka:DescribeConfiguration"
    updates, deletes = "kafka:UpdateConfiguration", "kafka:DeleteConfiguration"
    rules = Rules(
        autoname=AutoName("name", 255),
        replace=frozenset({"kafkaVersions", "name"}),
        sets=frozenset({"kafkaVersions"}),
        recomputed={"latestRevision": frozenset({"serverProperties"})},
    )

    def admit(self, aws: Aws, inputs: Props) -> None:
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]*", inputs["name"]):
            raise bad_request(f"Value '{inputs['name']}' at 'name' failed to satisfy constraint.")
        if any(other["name"] == inputs["name"] for other in aws.table(CONFIGURATION).values()):
            raise AwsError("ConflictException", "A resource with this name already exists.", status=409)
        for version in inputs.get("kafkaVersions", []):
            if version not in {*STANDARD_VERSIONS, *EXPRESS_VERSIONS}:
                raise bad_request(f"Unsupported KafkaVersion [{version}].")

    def identify(self, aws: Aws, inputs: Props) -> str:
        return arn("kafka", aws.region, f"configuration/{inputs['name']}/{uuid_of(aws.digest('configuration'))}-2")

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {"arn": id_, "latestRevision": 1}

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        with aws.call("kafka:UpdateConfiguration"):
            record = self.existing(aws, id_)
            changed = merged(self.schema, self.rules, record, inputs)
            aws.put(CONFIGURATION, id_, {**changed, "latestRevision": record["latestRevision"] + 1})

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        if any(dig(cluster, "configurationInfo.arn") == id_ for cluster in aws.table(CLUSTER).values()):
            raise bad_request(
                "Configuration is in use by one or more clusters. Dissociate the configuration from them."
            )


class VpcConnection(RecordHandler):
    resource = msk.VpcConnection
    label = "MSK VPC Connection"
    creates, reads, deletes = "kafka:CreateVpcConnection", "kafka:DescribeVpcConnection", "kafka:DeleteVpcConnection"
    updates = "kafka:TagResource"
    rules = Rules(
        replace=frozenset({"authentication", "clientSubnets", "securityGroups", "targetClusterArn", "vpcId"}),
        sets=frozenset({"clientSubnets", "securityGroups"}),
    )

    def admit(self, aws: Aws, inputs: Props) -> None:
        cluster = existing_cluster(aws, inputs["targetClusterArn"])
        scheme = {"SASL_IAM": "iam", "SASL_SCRAM": "scram", "TLS": "tls"}.get(inputs["authentication"])
        if scheme is None or not vpc_schemes(cluster)[scheme]:
            raise bad_request(f"The cluster has no multi-VPC private connectivity for {inputs['authentication']}.")
        find(aws, VPC, inputs["vpcId"])
        zones = {find(aws, SUBNET, subnet)["availabilityZoneId"] for subnet in inputs["clientSubnets"]}
        own = {
            find(aws, SUBNET, subnet)["availabilityZoneId"]
            for subnet in cluster["brokerNodeGroupInfo"]["clientSubnets"]
        }
        if zones != own or len(inputs["clientSubnets"]) != len(own):  # [D]
            raise bad_request("The client subnets must be in the cluster's Availability Zones, one in each.")
        for group in inputs["securityGroups"]:
            if find(aws, SECURITY_GROUP, group)["vpcId"] != inputs["vpcId"]:
                raise bad_request(f"Security group {group} is not in VPC {inputs['vpcId']}.")

    def identify(self, aws: Aws, inputs: Props) -> str:
        path = inputs["targetClusterArn"].rpartition(":cluster/")[2].split("/")[0]
        return arn("kafka", aws.region, f"vpc-connection/{path}/{uuid_of(aws.digest('vpc-connection'))}-2")

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {"arn": id_}


HANDLERS = (Cluster(), ClusterPolicy(), Topic(), Configuration(), VpcConnection())
