"""Updates of a cluster: each is an operation of its own, one at a time, that takes a while and can be asked about."""

import copy
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from sandbox.api import cluster_rules as rules
from sandbox.api.clusters import check_version, full_authentication
from sandbox.api.context import (
    Handler,
    Msk,
    find_cluster,
    fresh_version,
    is_express,
    kafka_version,
    moment,
    now,
    page,
    put_cluster,
    region_of,
)
from sandbox.api.errors import bad_request, not_found
from sandbox.api.model import Params
from sandbox.api.store import Record

Change = Callable[[Params, Params, Record], Params]
"""From the `Provisioned` part, the request and the cluster to what differs in the operation's description. It changes
the first in place, and raises what the service would refuse."""


def connectivity(settings: Params, params: Params, cluster: Record) -> Params:
    asked = params.get("ConnectivityInfo", {})
    rules.check_connectivity_update(asked, params.get("ZookeeperAccess"), settings)
    current = settings["BrokerNodeGroupInfo"]["ConnectivityInfo"]
    before = copy.deepcopy(current)
    if "VpcConnectivity" in asked:
        client = asked["VpcConnectivity"].get("ClientAuthentication", {})
        full = full_authentication(client)
        current["VpcConnectivity"] = {
            "ClientAuthentication": {"Sasl": full["Sasl"], "Tls": {"Enabled": full["Tls"]["Enabled"]}}
        }
    current |= {key: asked[key] for key in ("PublicAccess", "NetworkType") if key in asked}
    if "ZookeeperAccess" in params:
        return {"ZookeeperAccess": params["ZookeeperAccess"]}
    if current == before:
        raise bad_request(rules.NO_CHANGE.format(what="connectivity setting"))
    return {"ConnectivityInfo": copy.deepcopy(current)}


def broker_count(settings: Params, params: Params, cluster: Record) -> Params:
    target = params["TargetNumberOfBrokerNodes"]
    zones = len(settings["BrokerNodeGroupInfo"]["ClientSubnets"])
    if target == settings["NumberOfBrokerNodes"]:
        raise bad_request(rules.NO_CHANGE.format(what="number of brokers"), "targetNumberOfBrokerNodes")
    rules.check_broker_count(target, zones, kafka_version(cluster))
    settings["NumberOfBrokerNodes"] = target
    return {"NumberOfBrokerNodes": target}


def broker_type(settings: Params, params: Params, cluster: Record) -> Params:
    nodes = settings["BrokerNodeGroupInfo"]
    rules.check_broker_type_update(params["TargetInstanceType"], nodes["InstanceType"])
    nodes["InstanceType"] = params["TargetInstanceType"]
    return {"InstanceType": params["TargetInstanceType"]}


def monitoring(settings: Params, params: Params, cluster: Record) -> Params:
    asked: Params = {
        key: params[key] for key in ("EnhancedMonitoring", "OpenMonitoring", "LoggingInfo") if key in params
    }
    rules.check_logging(asked.get("LoggingInfo", {}))
    if all(settings.get(key) == value for key, value in asked.items()):
        raise bad_request(rules.NO_CHANGE.format(what="monitoring setting"))
    settings |= asked
    return asked


def security(settings: Params, params: Params, cluster: Record) -> Params:
    client, encryption = params.get("ClientAuthentication", {}), params.get("EncryptionInfo", {})
    if "EncryptionAtRest" in encryption:
        raise bad_request("The key of encryption at rest cannot be changed.", "encryptionAtRest")
    transit = encryption.get("EncryptionInTransit", {})
    current = settings["EncryptionInfo"]["EncryptionInTransit"]
    if transit.get("InCluster", current["InCluster"]) != current["InCluster"]:
        raise bad_request("Encryption in the cluster cannot be changed.", "inCluster")
    new_client = full_authentication(client) if client else settings["ClientAuthentication"]
    new_encryption = {**settings["EncryptionInfo"], "EncryptionInTransit": {**current, **transit}}
    if (new_client, new_encryption) == (settings["ClientAuthentication"], settings["EncryptionInfo"]):
        raise bad_request(rules.NO_CHANGE.format(what="security setting"))
    rules.check_authentication(new_client, new_encryption)
    if rules.multi_vpc_for_iam(settings["BrokerNodeGroupInfo"]) and not rules.enabled(new_client["Sasl"], "Iam"):
        raise bad_request("IAM cannot be turned off while multi-VPC connectivity is on for it.", "iam")
    settings |= {"ClientAuthentication": new_client, "EncryptionInfo": new_encryption}
    return {"ClientAuthentication": new_client, "EncryptionInfo": new_encryption}


def version(settings: Params, params: Params, cluster: Record) -> Params:
    if "ConfigurationInfo" in params:
        raise bad_request("The sandbox has no MSK configurations.", "configurationInfo")
    target = params["TargetKafkaVersion"]
    instance_type = settings["BrokerNodeGroupInfo"]["InstanceType"]
    rules.check_version_update(target, kafka_version(cluster), instance_type)
    settings["CurrentBrokerSoftwareInfo"]["KafkaVersion"] = target
    return {"KafkaVersion": target}


def rebalancing(settings: Params, params: Params, cluster: Record) -> Params:
    if not is_express(cluster):
        raise bad_request("Only clusters with Express brokers have intelligent rebalancing.", "rebalancing")
    if settings["Rebalancing"] == params["Rebalancing"]:
        raise bad_request(rules.NO_CHANGE.format(what="rebalancing setting"), "rebalancing")
    settings["Rebalancing"] = params["Rebalancing"]
    return {"Rebalancing": params["Rebalancing"]}


_BEFORE: Final[Mapping[str, Callable[[Params], Any]]] = {
    "ConnectivityInfo": lambda settings: settings["BrokerNodeGroupInfo"]["ConnectivityInfo"],
    "InstanceType": lambda settings: settings["BrokerNodeGroupInfo"]["InstanceType"],
    "KafkaVersion": lambda settings: settings["CurrentBrokerSoftwareInfo"]["KafkaVersion"],
}
"""Where the cluster's description has what an operation's description names differently."""

_UPDATES: Final[Mapping[str, tuple[str, Change]]] = {
    "UpdateConnectivity": ("UPDATE_CONNECTIVITY", connectivity),
    "UpdateBrokerCount": ("UPDATE_BROKER_COUNT", broker_count),
    "UpdateBrokerType": ("UPDATE_BROKER_TYPE", broker_type),
    "UpdateMonitoring": ("UPDATE_MONITORING", monitoring),
    "UpdateSecurity": ("UPDATE_SECURITY", security),
    "UpdateClusterKafkaVersion": ("UPDATE_CLUSTER_KAFKA_VERSION", version),
    "UpdateRebalancing": ("UPDATE_REBALANCING", rebalancing),
}


def describe_operation(msk: Msk, region: str, params: Params) -> Params:
    return {"ClusterOperationInfo": _as_v1(_find(msk, region, params))}


def describe_operation_v2(msk: Msk, region: str, params: Params) -> Params:
    operation = _find(msk, region, params)
    details = {key: operation[key] for key in ("SourceClusterInfo", "TargetClusterInfo")}
    return {"ClusterOperationInfo": {**_summary(operation), "Provisioned": details}}


def list_operations(msk: Msk, region: str, params: Params) -> Params:
    return _list(msk, region, params, _as_v1)


def list_operations_v2(msk: Msk, region: str, params: Params) -> Params:
    return _list(msk, region, params, _summary)


def resume(msk: Msk, cluster: Record) -> None:
    """Brings the update that a cluster is in to its end."""
    if cluster["State"] == "UPDATING":
        region = region_of(cluster["ClusterArn"])
        task = partial(_finish, msk, region, cluster["ActiveOperationArn"])
        msk.work.after(msk.timing.update, region, task)


def _update(kind: str, change: Change) -> Handler:
    def handler(msk: Msk, region: str, params: Params) -> Params:
        cluster = find_cluster(msk, region, params["ClusterArn"])
        if cluster["State"] != "ACTIVE":
            raise bad_request(f"You can't update a cluster in {cluster['State']} state.")
        check_version(cluster, params["CurrentVersion"])
        settings = copy.deepcopy(cluster["Provisioned"])
        target = change(settings, params, cluster)
        before = cluster["Provisioned"]
        arn = f"{cluster['ClusterArn'].replace(':cluster/', ':cluster-operation/')}/{uuid.uuid4()}"
        operation = {
            "Id": arn,
            "ClusterArn": cluster["ClusterArn"],
            "OperationType": kind,
            "OperationState": "UPDATE_IN_PROGRESS",
            "CreationTime": now(),
            "SourceClusterInfo": {
                key: value
                for key in target
                if (value := _BEFORE[key](before) if key in _BEFORE else before.get(key)) is not None
            },
            "TargetClusterInfo": target,
            "Settings": settings,
        }
        msk.store.put("operation", region, arn, operation)
        cluster |= {"State": "UPDATING", "ActiveOperationArn": arn}
        put_cluster(msk, cluster)
        resume(msk, cluster)
        return {"ClusterArn": cluster["ClusterArn"], "ClusterOperationArn": arn}

    return handler


def _finish(msk: Msk, region: str, arn: str) -> None:
    with msk.store.transaction():
        operation = msk.store.get("operation", region, arn)
        assert operation is not None
        cluster = find_cluster(msk, region, operation["ClusterArn"])
        cluster |= {"State": "ACTIVE", "CurrentVersion": fresh_version(), "Provisioned": operation.pop("Settings")}
        del cluster["ActiveOperationArn"]
        put_cluster(msk, cluster)
        msk.store.put("operation", region, arn, {**operation, "OperationState": "UPDATE_COMPLETE", "EndTime": now()})


def _find(msk: Msk, region: str, params: Params) -> Record:
    arn = params["ClusterOperationArn"]
    operation = msk.store.get("operation", region, arn)
    if operation is None:
        raise not_found(f"The cluster operation {arn} does not exist in {region}.", "clusterOperationArn")
    return operation


def _list(msk: Msk, region: str, params: Params, describe: Callable[[Record], Params]) -> Params:
    arn = find_cluster(msk, region, params["ClusterArn"])["ClusterArn"]
    operations = [operation for operation in msk.store.all("operation", region) if operation["ClusterArn"] == arn]
    chosen, more = page(operations, lambda operation: operation["CreationTime"] + operation["Id"], params)
    return {"ClusterOperationInfoList": [describe(operation) for operation in chosen], **more}


def _summary(operation: Record) -> Params:
    described = {
        "ClusterArn": operation["ClusterArn"],
        "ClusterType": "PROVISIONED",
        "OperationArn": operation["Id"],
        "OperationType": operation["OperationType"],
        "OperationState": operation["OperationState"],
        "StartTime": moment(operation["CreationTime"]),
    }
    if "EndTime" in operation:
        described["EndTime"] = moment(operation["EndTime"])
    return described


def _as_v1(operation: Record) -> Params:
    described = _summary(operation)
    described.pop("ClusterType")
    described["CreationTime"] = described.pop("StartTime")
    keys = ("SourceClusterInfo", "TargetClusterInfo")
    client_request = str(uuid.uuid5(uuid.NAMESPACE_OID, operation["Id"]))
    return {
        **described,
        **{key: operation[key] for key in keys},
        "ClientRequestId": client_request,
    }


OPERATIONS: Final[Mapping[str, Handler]] = {
    **{name: _update(kind, change) for name, (kind, change) in _UPDATES.items()},
    "DescribeClusterOperation": describe_operation,
    "DescribeClusterOperationV2": describe_operation_v2,
    "ListClusterOperations": list_operations,
    "ListClusterOperationsV2": list_operations_v2,
}
