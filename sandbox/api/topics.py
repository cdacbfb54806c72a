"""Topics through the MSK API: of the real cluster if there is one, else remembered."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sandbox.api.cluster_rules import is_kraft
from sandbox.api.context import Handler, Msk, find_cluster, is_express, kafka_version, page, region_of
from sandbox.api.data_plane import ClusterUnavailable, Topic, TopicError
from sandbox.api.errors import ServiceError, bad_request, conflict, not_found
from sandbox.api.model import Params
from sandbox.api.store import Record

EXPRESS_REPLICATION: Final = 3
EXPRESS_CONFIGS: Final = frozenset(
    {
        "cleanup.policy",
        "compression.type",
        "delete.retention.ms",
        "max.message.bytes",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "message.timestamp.type",
        "max.compaction.lag.ms",
        "min.compaction.lag.ms",
        "retention.bytes",
        "retention.ms",
    }
)
"""What may be set on a topic of Express brokers (developer guide, msk-broker-types-express, 2026-09)."""

_KAFKA_ERRORS: Final = {
    "TOPIC_ALREADY_EXISTS": "TopicExistsException",
    "UNKNOWN_TOPIC_OR_PART": "UnknownTopicOrPartitionException",
    "UNKNOWN_TOPIC_OR_PARTITION": "UnknownTopicOrPartitionException",
    "NOT_CONTROLLER": "NotControllerException",
    "REASSIGNMENT_IN_PROGRESS": "ReassignmentInProgressException",
    "GROUP_SUBSCRIBED_TO_TOPIC": "GroupSubscribedToTopicException",
}
"""MSK's names for Kafka's errors; all others are a KafkaRequestException."""


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """A topic without Kafka behind it."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str]


def create(msk: Msk, region: str, params: Params) -> Params:
    cluster = _usable(msk, region, params["ClusterArn"])
    name, partitions, factor = params["TopicName"], params["PartitionCount"], params["ReplicationFactor"]
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in {".", ".."}:
        raise bad_request(f"topicName is {name}; it takes 1 to 249 of A-Z a-z 0-9 . _ -", "topicName")
    brokers = cluster["Provisioned"]["NumberOfBrokerNodes"]
    if is_express(cluster) and factor != EXPRESS_REPLICATION:
        raise bad_request(f"replicationFactor is {factor}; Express brokers have 3.", "replicationFactor")
    if factor > brokers:
        raise bad_request(
            f"replicationFactor is {factor}; it cannot be more than the {brokers} brokers.", "replicationFactor"
        )
    configs = _configs(cluster, params.get("Configs"))
    if _find(msk, cluster, name) is not None:
        raise ServiceError("TopicExistsException", f"Topic '{name}' already exists.", "topicName")
    if msk.data_plane is not None:
        with _kafka():
            msk.data_plane.create_topic(
                cluster["ClusterArn"], name, partitions=partitions, replication_factor=factor, configs=configs
            )
    record = {"PartitionCount": partitions, "ReplicationFactor": factor, "Configs": configs}
    return _change(msk, cluster, name, record, "CREATING")


def update(msk: Msk, region: str, params: Params) -> Params:
    cluster = _usable(msk, region, params["ClusterArn"])
    name = params["TopicName"]
    topic = _topic(msk, cluster, name)
    if "PartitionCount" not in params and "Configs" not in params:
        raise bad_request("The request does not include any updates to the topic.")
    partitions = params.get("PartitionCount")
    if partitions is not None and partitions <= topic.partitions:
        raise bad_request(
            f"partitionCount is {partitions}; the topic has {topic.partitions} and the number can only grow.",
            "partitionCount",
        )
    configs = _configs(cluster, params["Configs"]) if "Configs" in params else None
    if msk.data_plane is not None:
        with _kafka():
            msk.data_plane.alter_topic(cluster["ClusterArn"], name, partitions=partitions, configs=configs)
    record = {
        "PartitionCount": partitions or topic.partitions,
        "ReplicationFactor": topic.replication_factor,
        "Configs": dict(topic.configs) if configs is None else configs,
    }
    return _change(msk, cluster, name, record, "UPDATING")


def delete(msk: Msk, region: str, params: Params) -> Params:
    cluster = _usable(msk, region, params["ClusterArn"])
    name = params["TopicName"]
    topic = _topic(msk, cluster, name)
    if msk.data_plane is not None:
        with _kafka():
            msk.data_plane.delete_topic(cluster["ClusterArn"], name)
    record = {
        "PartitionCount": topic.partitions,
        "ReplicationFactor": topic.replication_factor,
        "Configs": dict(topic.configs),
    }
    return _change(msk, cluster, name, record, "DELETING")


def describe(msk: Msk, region: str, params: Params) -> Params:
    cluster = _usable(msk, region, params["ClusterArn"])
    topic = _topic(msk, cluster, params["TopicName"])
    known = _known(msk, cluster, topic.name)
    return {
        "TopicArn": _arn(cluster, topic.name),
        "TopicName": topic.name,
        "ReplicationFactor": topic.replication_factor,
        "PartitionCount": topic.partitions,
        "Configs": base64.b64encode(json.dumps(dict(topic.configs)).encode()).decode(),
        "Status": known["Status"] if known else "ACTIVE",
    }


def list_all(msk: Msk, region: str, params: Params) -> Params:
    cluster = _usable(msk, region, params["ClusterArn"])
    prefix = params.get("TopicNameFilter", "")
    topics = [topic for topic in _all(msk, cluster) if topic.name.startswith(prefix)]
    chosen, more = page(topics, lambda topic: topic.name, params)
    described = [
        {
            "TopicArn": _arn(cluster, topic.name),
            "TopicName": topic.name,
            "ReplicationFactor": topic.replication_factor,
            "PartitionCount": topic.partitions,
            "OutOfSyncReplicaCount": 0,
        }
        for topic in chosen
    ]
    return {"Topics": described, **more}


def describe_partitions(msk: Msk, region: str, params: Params) -> Params:
    cluster = _usable(msk, region, params["ClusterArn"])
    topic = _topic(msk, cluster, params["TopicName"])
    brokers = cluster["Provisioned"]["NumberOfBrokerNodes"]
    chosen, more = page(range(topic.partitions), lambda partition: f"{partition:08}", params)
    described = []
    for partition in chosen:
        # Spread over the brokers in turn: the real broker is alone, MSK's are several.
        replicas = [(partition + step) % brokers + 1 for step in range(topic.replication_factor)]
        described.append({"Partition": partition, "Leader": replicas[0], "Replicas": replicas, "Isr": replicas})
    return {"Partitions": described, **more}


OPERATIONS: Final[Mapping[str, Handler]] = {
    "CreateTopic": create,
    "UpdateTopic": update,
    "DeleteTopic": delete,
    "DescribeTopic": describe,
    "ListTopics": list_all,
    "DescribeTopicPartitions": describe_partitions,
}
"""These talk to real Kafka, which takes its time: the server runs them beside other calls."""


def topic_names(msk: Msk, cluster: Record) -> list[str]:
    if msk.data_plane is not None:
        return list(msk.data_plane.list_topics(cluster["ClusterArn"]))
    return [topic.name for topic in _all(msk, cluster)]


def resume(msk: Msk, topic: Record) -> None:
    """Brings what is being done to a topic to its end."""
    seconds = {"CREATING": msk.timing.create, "UPDATING": msk.timing.update, "DELETING": msk.timing.delete}
    if topic["Status"] in seconds:
        region = region_of(topic["ClusterArn"])
        msk.work.after(seconds[topic["Status"]], region, partial(_finish, msk, region, topic["Id"]))


def _change(msk: Msk, cluster: Record, name: str, record: Record, status: str) -> Params:
    arn = _arn(cluster, name)
    topic = {"Id": arn, "ClusterArn": cluster["ClusterArn"], "TopicName": name, "Status": status, **record}
    msk.store.put("topic", region_of(arn), arn, topic)
    resume(msk, topic)
    return {"TopicArn": arn, "TopicName": name, "Status": status}


def _finish(msk: Msk, region: str, arn: str) -> None:
    with msk.store.transaction():
        topic = msk.store.get("topic", region, arn)
        if topic is None:
            return
        if topic["Status"] == "DELETING":
            msk.store.remove("topic", region, arn)
        else:
            msk.store.put("topic", region, arn, {**topic, "Status": "ACTIVE"})


def _usable(msk: Msk, region: str, arn: str) -> Record:
    """The cluster, which must be able to answer; its brokers also answer while it is updated."""
    cluster = find_cluster(msk, region, arn)
    if cluster["State"] not in {"ACTIVE", "UPDATING"}:
        raise conflict(f"The cluster is in {cluster['State']} state; it must be ACTIVE.", "clusterArn")
    version = kafka_version(cluster)
    if tuple(int(part) for part in version.split(".")[:2]) < (3, 6) and not is_kraft(version):
        raise bad_request(f"The cluster has Kafka {version}; topics need 3.6 or later.", "clusterArn")
    return cluster


def _topic(msk: Msk, cluster: Record, name: str) -> Topic:
    found = _find(msk, cluster, name)
    if found is None:
        raise not_found(f"Topic '{name}' does not exist in the cluster.", "topicName")
    return found


def _find(msk: Msk, cluster: Record, name: str) -> Topic | None:
    if msk.data_plane is None:
        known = _known(msk, cluster, name)
        return _remembered(known) if known else None
    try:
        with _kafka():
            return msk.data_plane.describe_topic(cluster["ClusterArn"], name)
    except ServiceError as error:
        if error.code == "UnknownTopicOrPartitionException":
            return None
        raise


def _all(msk: Msk, cluster: Record) -> Sequence[Topic]:
    if msk.data_plane is not None:
        with _kafka():
            names = msk.data_plane.list_topics(cluster["ClusterArn"])
        found = [_find(msk, cluster, name) for name in names]
        return [topic for topic in found if topic is not None]
    region = region_of(cluster["ClusterArn"])
    records = [topic for topic in msk.store.all("topic", region) if topic["ClusterArn"] == cluster["ClusterArn"]]
    return [_remembered(record) for record in records]


def _known(msk: Msk, cluster: Record, name: str) -> Record | None:
    return msk.store.get("topic", region_of(cluster["ClusterArn"]), _arn(cluster, name))


def _remembered(record: Record) -> Topic:
    return Remembered(
        name=record["TopicName"],
        partitions=record["PartitionCount"],
        replication_factor=record["ReplicationFactor"],
        configs=record["Configs"],
    )


def _configs(cluster: Record, encoded: str | None) -> dict[str, str]:
    """The topic's configs, which come as a JSON object in Base64."""
    if not encoded:
        return {}
    try:
        configs = json.loads(base64.b64decode(encoded, validate=True))
        items = {str(key): _text(value) for key, value in configs.items()}
    except (ValueError, AttributeError) as error:
        raise bad_request("configs is not a JSON object encoded as Base64.", "configs") from error
    if is_express(cluster) and (unknown := sorted(items.keys() - EXPRESS_CONFIGS)):
        allowed = ", ".join(sorted(EXPRESS_CONFIGS))
        raise ServiceError(
            "KafkaRequestException", f"configs has {', '.join(unknown)}; Express topics take {allowed}.", "configs"
        )
    return items


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _arn(cluster: Record, name: str) -> str:
    arn: str = cluster["ClusterArn"]
    return f"{arn.replace(':cluster/', ':topic/')}/{name}"


@contextmanager
def _kafka() -> Iterator[None]:
    """Kafka's refusals become the service's."""
    try:
        yield
    except TopicError as error:
        raise ServiceError(_KAFKA_ERRORS.get(error.code, "KafkaRequestException"), str(error)) from error
    except ClusterUnavailable as error:
        raise ServiceError("ClusterConnectivityException", str(error)) from error
