"""Clusters: creating, describing, listing and deleting them, their nodes, bootstrap brokers and versions."""

import copy
import logging
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_network
from typing import Any, Final

from sandbox.api import cluster_rules as rules
from sandbox.api.account import ACCOUNT, Subnet
from sandbox.api.context import (
    Handler,
    Msk,
    find_cluster,
    fresh_arn,
    fresh_version,
    kafka_version,
    moment,
    now,
    page,
    put_cluster,
    region_of,
)
from sandbox.api.errors import bad_request, conflict
from sandbox.api.model import Params
from sandbox.api.store import Record

log = logging.getLogger("sandbox.api")

_OFF: Final = {"Enabled": False}
_NO_MULTI_VPC: Final = {"ClientAuthentication": {"Sasl": {"Scram": _OFF, "Iam": _OFF}, "Tls": _OFF}}
_NO_OPEN_MONITORING: Final = {
    "Prometheus": {"JmxExporter": {"EnabledInBroker": False}, "NodeExporter": {"EnabledInBroker": False}}
}
_PORTS: Final = {"BootstrapBrokerString": 9092, "Tls": 9094, "SaslScram": 9096, "SaslIam": 9098}


def create_cluster(msk: Msk, region: str, params: Params) -> Params:
    parts = dict(params)
    name, tags = parts.pop("ClusterName"), parts.pop("Tags", {})
    cluster = _create(msk, region, name, tags, parts)
    return {key: cluster[key] for key in ("ClusterArn", "ClusterName", "State")}


def create_cluster_v2(msk: Msk, region: str, params: Params) -> Params:
    if "Provisioned" not in params:
        raise bad_request("The sandbox has provisioned clusters only; provisioned is missing.", "provisioned")
    if "Serverless" in params:
        raise bad_request("A cluster is either provisioned or serverless.", "serverless")
    cluster = _create(msk, region, params["ClusterName"], params.get("Tags", {}), params["Provisioned"])
    return {key: cluster[key] for key in ("ClusterArn", "ClusterName", "State", "ClusterType")}


def describe_cluster(msk: Msk, region: str, params: Params) -> Params:
    return {"ClusterInfo": _as_v1(find_cluster(msk, region, params["ClusterArn"]))}


def describe_cluster_v2(msk: Msk, region: str, params: Params) -> Params:
    return {"ClusterInfo": _as_v2(find_cluster(msk, region, params["ClusterArn"]))}


def list_clusters(msk: Msk, region: str, params: Params) -> Params:
    return _list(msk, region, params, _as_v1)


def list_clusters_v2(msk: Msk, region: str, params: Params) -> Params:
    if params.get("ClusterTypeFilter", "PROVISIONED").upper() != "PROVISIONED":
        return {"ClusterInfoList": []}
    return _list(msk, region, params, _as_v2)


def delete_cluster(msk: Msk, region: str, params: Params) -> Params:
    cluster = find_cluster(msk, region, params["ClusterArn"])
    if cluster["State"] not in {"ACTIVE", "FAILED"}:
        raise bad_request(f"You can't delete a cluster in {cluster['State']} state.")
    check_version(cluster, params.get("CurrentVersion", cluster["CurrentVersion"]))
    cluster["State"] = "DELETING"
    put_cluster(msk, cluster)
    resume(msk, cluster)
    return {"ClusterArn": cluster["ClusterArn"], "State": cluster["State"]}


def get_bootstrap_brokers(msk: Msk, region: str, params: Params) -> Params:
    """The addresses of at most three brokers; a real broker's if there is one, whatever mechanism is asked for."""
    cluster = find_cluster(msk, region, params["ClusterArn"])
    if cluster["State"] in {"CREATING", "DELETING", "FAILED"}:
        raise bad_request(f"You can't get bootstrap broker nodes for a cluster in {cluster['State']} state.")
    nodes = cluster["Provisioned"]["BrokerNodeGroupInfo"]
    client = cluster["Provisioned"]["ClientAuthentication"]
    transit = cluster["Provisioned"]["EncryptionInfo"]["EncryptionInTransit"]["ClientBroker"]
    on = {
        "SaslIam": rules.enabled(client["Sasl"], "Iam"),
        "SaslScram": rules.enabled(client["Sasl"], "Scram"),
        "Tls": rules.enabled(client, "Tls") or (rules.enabled(client, "Unauthenticated") and transit != "PLAINTEXT"),
    }
    answer = {f"BootstrapBrokerString{name}": _addresses(cluster, _PORTS[name]) for name, is_on in on.items() if is_on}
    if rules.enabled(client, "Unauthenticated") and transit != "TLS":
        answer["BootstrapBrokerString"] = _addresses(cluster, _PORTS["BootstrapBrokerString"])
    connectivity = nodes["ConnectivityInfo"]
    if connectivity["PublicAccess"]["Type"] != "DISABLED":
        for name in (name for name, is_on in on.items() if is_on):
            answer[f"BootstrapBrokerStringPublic{name}"] = _addresses(cluster, _PORTS[name] + 100, "-public")
    multi_vpc = connectivity["VpcConnectivity"]["ClientAuthentication"]
    for position, (name, is_on) in enumerate(
        {
            "SaslIam": rules.enabled(multi_vpc["Sasl"], "Iam"),
            "SaslScram": rules.enabled(multi_vpc["Sasl"], "Scram"),
            "Tls": rules.enabled(multi_vpc, "Tls"),
        }.items()
    ):
        if is_on:
            # Ports of a private link are counted up from 14001 (developer guide, multi-VPC, 2026-09).
            port = 14001 + 3 * position
            answer[f"BootstrapBrokerStringVpcConnectivity{name}"] = _addresses(cluster, port, f"-{name.lower()}", 1)
    return answer


def list_nodes(msk: Msk, region: str, params: Params) -> Params:
    cluster = find_cluster(msk, region, params["ClusterArn"])
    brokers = range(1, cluster["Provisioned"]["NumberOfBrokerNodes"] + 1)
    chosen, more = page(brokers, lambda broker: f"{broker:04}", params)
    return {"NodeInfoList": [_node(msk, cluster, broker) for broker in chosen], **more}


def list_kafka_versions(msk: Msk, region: str, params: Params) -> Params:
    versions = {version: "ACTIVE" for version in rules.STANDARD_VERSIONS}
    versions |= {version: "DEPRECATED" for version in rules.DEPRECATED_VERSIONS}
    chosen, more = page(versions, lambda version: version, params)
    return {"KafkaVersions": [{"Version": version, "Status": versions[version]} for version in chosen], **more}


def get_compatible_kafka_versions(msk: Msk, region: str, params: Params) -> Params:
    if "ClusterArn" in params:
        cluster = find_cluster(msk, region, params["ClusterArn"])
        instance_type = cluster["Provisioned"]["BrokerNodeGroupInfo"]["InstanceType"]
        sources = [kafka_version(cluster)]
    else:
        instance_type, sources = "kafka.m7g.large", list(rules.STANDARD_VERSIONS)
    found = [
        {"SourceVersion": source, "TargetVersions": targets}
        for source in sources
        if (targets := rules.upgrades(source, instance_type))
    ]
    return {"CompatibleKafkaVersions": found}


OPERATIONS: Final[Mapping[str, Handler]] = {
    "CreateCluster": create_cluster,
    "CreateClusterV2": create_cluster_v2,
    "DescribeCluster": describe_cluster,
    "DescribeClusterV2": describe_cluster_v2,
    "ListClusters": list_clusters,
    "ListClustersV2": list_clusters_v2,
    "DeleteCluster": delete_cluster,
    "GetBootstrapBrokers": get_bootstrap_brokers,
    "ListNodes": list_nodes,
    "ListKafkaVersions": list_kafka_versions,
    "GetCompatibleKafkaVersions": get_compatible_kafka_versions,
}


def check_version(cluster: Record, version: str | None) -> None:
    if version != cluster["CurrentVersion"]:
        raise bad_request(
            "The version of the cluster isn't current. Check the current version and try again.", "currentVersion"
        )


def resume(msk: Msk, cluster: Record) -> None:
    """Does what is still to be done to a cluster that is being created or deleted."""
    arn, region = cluster["ClusterArn"], region_of(cluster["ClusterArn"])
    if cluster["State"] == "CREATING":
        msk.work.after(msk.timing.create, region, partial(_finish_creation, msk, arn))
    elif cluster["State"] == "DELETING":
        msk.work.after(msk.timing.delete, region, partial(_finish_deletion, msk, arn))


def start_brokers(msk: Msk, arn: str) -> None:
    """Brings up the real cluster behind one that exists, after a restart."""
    if msk.data_plane is None:
        return
    bootstrap = msk.data_plane.start_cluster(arn, region=region_of(arn))
    with msk.store.transaction():
        cluster = find_cluster(msk, region_of(arn), arn)
        put_cluster(msk, {**cluster, "Bootstrap": bootstrap})


def _create(msk: Msk, region: str, name: str, tags: Mapping[str, str], asked: Params) -> Record:
    if any(cluster["ClusterName"] == name for cluster in msk.store.all("cluster", region)):
        raise conflict("A resource with this name already exists.", "clusterName")
    if not name.replace("-", "").isalnum() or not name.isascii() or name.startswith("-"):
        raise bad_request(f"clusterName is {name}; it must match ^[0-9A-Za-z][0-9A-Za-z-]*$.", "clusterName")
    nodes = asked["BrokerNodeGroupInfo"]
    subnets = _subnets(msk, region, nodes["ClientSubnets"])
    rules.check_creation(asked, subnets)
    groups = nodes.get("SecurityGroups") or _default_groups(msk, region, subnets)
    for group in groups:
        if msk.account.security_group(region, group) is None:
            raise bad_request(f"securityGroups has {group}; it does not exist in {region}.", "securityGroups")
    arn = fresh_arn(region, "cluster", name)
    cluster = {
        "ClusterArn": arn,
        "ClusterName": name,
        "ClusterType": "PROVISIONED",
        "CreationTime": now(),
        "CurrentVersion": fresh_version(),
        "State": "CREATING",
        "Tags": dict(tags),
        "Provisioned": _with_defaults(asked, region, subnets, groups),
    }
    put_cluster(msk, cluster)
    resume(msk, cluster)
    return cluster


def _with_defaults(asked: Params, region: str, subnets: list[Subnet], groups: list[str]) -> Params:
    """What was asked for, with what the service adds where nothing was said."""
    settings = copy.deepcopy(asked)
    nodes = settings["BrokerNodeGroupInfo"]
    version = settings.pop("KafkaVersion")
    express = rules.is_express_type(nodes["InstanceType"])
    nodes |= {
        "SecurityGroups": list(groups),
        "BrokerAZDistribution": "DEFAULT",
        "ZoneIds": [subnet.zone_id for subnet in subnets],
        "ConnectivityInfo": {
            "PublicAccess": {"Type": "DISABLED"},
            "VpcConnectivity": copy.deepcopy(_NO_MULTI_VPC),
            "NetworkType": "IPV4",
        },
    }
    if not express:
        nodes.setdefault("StorageInfo", {"EbsStorageInfo": {"VolumeSize": 100}})
        settings.setdefault("StorageMode", "LOCAL")
    else:
        settings.setdefault("Rebalancing", {"Status": "ACTIVE"})
    client = settings.get("ClientAuthentication", {"Unauthenticated": {"Enabled": True}})
    settings["ClientAuthentication"] = full_authentication(client)
    encryption = settings.setdefault("EncryptionInfo", {})
    transit = encryption.get("EncryptionInTransit", {})
    encryption["EncryptionInTransit"] = {
        "ClientBroker": transit.get("ClientBroker", "TLS"),
        "InCluster": transit.get("InCluster", True),
    }
    # The key that AWS manages for the account, alias/aws/kafka: the same one for every cluster of a Region.
    managed = uuid.uuid5(uuid.NAMESPACE_OID, f"aws/kafka/{region}")
    encryption.setdefault("EncryptionAtRest", {"DataVolumeKMSKeyId": f"arn:aws:kms:{region}:{ACCOUNT}:key/{managed}"})
    settings.setdefault("EnhancedMonitoring", "DEFAULT")
    settings.setdefault("OpenMonitoring", copy.deepcopy(_NO_OPEN_MONITORING))
    software = {"KafkaVersion": version}
    if configuration := settings.pop("ConfigurationInfo", None):
        raise bad_request(
            f"configurationInfo is {configuration['Arn']}; the sandbox has no MSK configurations.", "configurationInfo"
        )
    return {**settings, "CurrentBrokerSoftwareInfo": software, "CustomerActionStatus": "NONE"}


def full_authentication(client: Params) -> Params:
    """Every mechanism with on or off, as a description shows it."""
    sasl, tls = client.get("Sasl", {}), client.get("Tls", {})
    described: Params = {
        "Sasl": {
            "Scram": {"Enabled": rules.enabled(sasl, "Scram")},
            "Iam": {"Enabled": rules.enabled(sasl, "Iam")},
        },
        "Tls": {"CertificateAuthorityArnList": list(tls.get("CertificateAuthorityArnList", []))},
        "Unauthenticated": {"Enabled": rules.enabled(client, "Unauthenticated")},
    }
    described["Tls"]["Enabled"] = rules.enabled(client, "Tls")
    return described


def _finish_creation(msk: Msk, arn: str) -> None:
    region = region_of(arn)
    try:
        bootstrap = msk.data_plane.start_cluster(arn, region=region) if msk.data_plane else None
    except Exception as error:
        log.exception("cluster %s does not come up", arn)
        result = _failed(error)
    else:
        result = {"State": "ACTIVE", "Bootstrap": bootstrap}
    with msk.store.transaction():
        put_cluster(msk, {**find_cluster(msk, region, arn), **result})


def _failed(error: Exception) -> Params:
    return {"State": "FAILED", "StateInfo": {"Code": "INTERNAL_FAILURE", "Message": str(error)}}


def _finish_deletion(msk: Msk, arn: str) -> None:
    region = region_of(arn)
    try:
        if msk.data_plane:
            msk.data_plane.delete_cluster(arn)
    except Exception as error:
        log.exception("cluster %s cannot be deleted", arn)
        with msk.store.transaction():
            put_cluster(msk, find_cluster(msk, region, arn) | _failed(error))
        return
    with msk.store.transaction():
        msk.store.remove("cluster", region, arn)
        msk.store.remove("policy", region, arn)
        for kind in ("operation", "topic"):
            for record in msk.store.all(kind, region):
                if record["ClusterArn"] == arn:
                    msk.store.remove(kind, region, record["Id"])


def _subnets(msk: Msk, region: str, ids: list[str]) -> list[Subnet]:
    found = [(id_, msk.account.subnet(region, id_)) for id_ in ids]
    if unknown := [id_ for id_, subnet in found if subnet is None]:
        raise bad_request(f"clientSubnets has {', '.join(unknown)}; it does not exist in {region}.", "clientSubnets")
    subnets = [subnet for _, subnet in found if subnet is not None]
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise bad_request("clientSubnets must be in one VPC.", "clientSubnets")
    return subnets


def _default_groups(msk: Msk, region: str, subnets: list[Subnet]) -> list[str]:
    group = msk.account.default_security_group(region, subnets[0].vpc_id)
    return [group.id] if group else []


def _list(msk: Msk, region: str, params: Params, describe: Callable[[Record], Params]) -> Params:
    prefix = params.get("ClusterNameFilter", "")
    clusters = [cluster for cluster in msk.store.all("cluster", region) if cluster["ClusterName"].startswith(prefix)]
    chosen, more = page(clusters, lambda cluster: cluster["ClusterName"], params)
    return {"ClusterInfoList": [describe(cluster) for cluster in chosen], **more}


def _as_v2(cluster: Record) -> Params:
    described = {key: value for key, value in cluster.items() if key != "Bootstrap"}
    described["CreationTime"] = moment(cluster["CreationTime"])
    if not rules.is_kraft(kafka_version(cluster)):
        described["Provisioned"] = {**described["Provisioned"], **_zookeeper(cluster)}
    return described


def _as_v1(cluster: Record) -> Params:
    described = _as_v2(cluster)
    described.pop("ClusterType")
    settings = described.pop("Provisioned")
    return {**described, **settings}


def _zookeeper(cluster: Record) -> Params:
    def addresses(port: int) -> str:
        return ",".join(f"z-{node}.{_domain(cluster)}:{port}" for node in range(1, 4))

    return {"ZookeeperConnectString": addresses(2181), "ZookeeperConnectStringTls": addresses(2182)}


def _domain(cluster: Record) -> str:
    """The cluster's part of its hosts' names, with letters that follow from its UUID."""
    digest = cluster["ClusterArn"].rpartition("/")[2].replace("-", "")
    region = region_of(cluster["ClusterArn"])
    return f"{cluster['ClusterName'].lower()}.{digest[:6]}.c{digest[-1]}.kafka.{region}.amazonaws.com"


def _addresses(cluster: Record, port: int, suffix: str = "", step: int = 0) -> str:
    """`suffix` tells public and private-link names from plain ones; by `step` the port differs between brokers."""
    if bootstrap := cluster.get("Bootstrap"):
        return str(bootstrap)
    brokers = range(1, min(cluster["Provisioned"]["NumberOfBrokerNodes"], 3) + 1)
    return ",".join(f"b-{broker}{suffix}.{_domain(cluster)}:{port + step * (broker - 1)}" for broker in brokers)


def _node(msk: Msk, cluster: Record, broker: int) -> Params:
    group = cluster["Provisioned"]["BrokerNodeGroupInfo"]
    subnet_id = group["ClientSubnets"][(broker - 1) % len(group["ClientSubnets"])]
    region = region_of(cluster["ClusterArn"])
    subnet = msk.account.subnet(region, subnet_id)
    # AWS keeps the first four addresses of a subnet for itself.
    address = str(ip_network(subnet.cidr)[3 + broker]) if subnet else ""
    node = uuid.uuid5(uuid.NAMESPACE_OID, f"{cluster['ClusterArn']}/{broker}")
    info: dict[str, Any] = {
        "BrokerId": float(broker),
        "AttachedENIId": f"eni-{node.hex[:17]}",
        "ClientSubnet": subnet_id,
        "ClientVpcIpAddress": address,
        "CurrentBrokerSoftwareInfo": cluster["Provisioned"]["CurrentBrokerSoftwareInfo"],
        "Endpoints": [(cluster.get("Bootstrap") or "").partition(":")[0] or f"b-{broker}.{_domain(cluster)}"],
    }
    return {
        "NodeType": "BROKER",
        "NodeARN": f"arn:aws:kafka:{region}:{ACCOUNT}:broker/{cluster['ClusterName']}/{node}",
        "InstanceType": group["InstanceType"].removeprefix("kafka."),
        "AddedToClusterTime": cluster["CreationTime"],
        "BrokerNodeInfo": info,
    }
