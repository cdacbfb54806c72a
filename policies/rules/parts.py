"""Checks of what belongs to clusters: topics, configurations, SCRAM secrets, connectors, and of tags on all of it."""

import re
from collections.abc import Iterator
from typing import Final

from .cluster import NAME, refused
from .iam import arn
from .reader import Resource
from .rule import Findings

DAY_MS: Final = 86_400_000
"""Express brokers refuse older records unless told otherwise (developer guide, Express configurations, 2026-09)."""

NO_LIMIT: Final = 2**63 - 1
"""Kafka's own default of `message.timestamp.before.max.ms`: no record is too old."""

BEFORE_MAX: Final = "message.timestamp.before.max.ms"

REPLICATION_FACTOR: Final = 3
"""Fixed for Express brokers (developer guide, 2026-09)."""

CONFIGURATION_KEYS: Final = frozenset(
    [
        "allow.everyone.if.no.acl.found",
        "auto.create.topics.enable",
        "compression.type",
        "connections.max.idle.ms",
        "custom.advertised.listeners",
        "default.replication.factor",
        "delete.topic.enable",
        "group.initial.rebalance.delay.ms",
        "group.max.session.timeout.ms",
        "group.min.session.timeout.ms",
        "leader.imbalance.per.broker.percentage",
        "log.cleaner.delete.retention.ms",
        "log.cleaner.min.cleanable.ratio",
        "log.cleanup.policy",
        "log.flush.interval.messages",
        "log.flush.interval.ms",
        "log.message.timestamp.difference.max.ms",
        "log.message.timestamp.type",
        "log.retention.bytes",
        "log.retention.hours",
        "log.retention.minutes",
        "log.retention.ms",
        "log.roll.ms",
        "log.segment.bytes",
        "max.incremental.fetch.session.cache.slots",
        "message.max.bytes",
        "min.insync.replicas",
        "num.io.threads",
        "num.network.threads",
        "num.partitions",
        "num.recovery.threads.per.data.dir",
        "num.replica.fetchers",
        "offsets.retention.minutes",
        "offsets.topic.replication.factor",
        "replica.fetch.max.bytes",
        "replica.fetch.response.max.bytes",
        "replica.lag.time.max.ms",
        "replica.selector.class",
        "replica.socket.receive.buffer.bytes",
        "socket.receive.buffer.bytes",
        "socket.request.max.bytes",
        "socket.send.buffer.bytes",
        "transaction.max.timeout.ms",
        "transaction.state.log.min.isr",
        "transaction.state.log.replication.factor",
        "transactional.id.expiration.ms",
        "unclean.leader.election.enable",
        "zookeeper.connection.timeout.ms",
        "zookeeper.session.timeout.ms",
    ]
)
"""Settings that a custom configuration may hold: as measured by cdk-preflight against the service on 2026-09-13."""

CONFIGURATION_VERSIONS: Final = [
    "1.1.1",
    "2.1.0",
    "2.2.1",
    "2.3.1",
    "2.4.1",
    "2.4.1.1",
    "2.5.1",
    "2.6.0",
    "2.6.1",
    "2.6.2",
    "2.6.3",
    "2.7.0",
    "2.7.1",
    "2.7.2",
    "2.8.0",
    "2.8.1",
    "2.8.2.tiered",
    "3.1.1",
    "3.2.0",
    "3.3.1",
    "3.3.2",
    "3.4.0",
    "3.5.1",
    "3.6.0",
    "3.6.0.1",
    "3.7.x",
    "3.7.x.kraft",
    "3.8.x",
    "3.8.x.kraft",
    "3.8.link",
    "3.9.x",
    "3.9.x.kraft",
    "4.0.x.kraft",
    "4.1.x.kraft",
    "4.2.x.kraft",
]
"""Versions that `aws kafka list-kafka-versions` knew on 2026-09-13, in use and deprecated."""

LISTENERS: Final = "custom.advertised.listeners"
LISTENER: Final = re.compile(r"[A-Za-z0-9_]+://[^,]+:[0-9]+\+\{broker_id\}")


def is_protected(resource: Resource) -> Findings:
    if not resource.protect:
        yield (
            "the option protect is false; it must be true, because a change of a fixed property deletes the resource "
            "and its data before making the new one. Set protect=True; take it off in an update of its own before a "
            "planned removal."
        )


def name_is_explicit(resource: Resource) -> Findings:
    # Left out, the provider makes a name up: the resource's own and seven digits. Policies see that name.
    name = resource.text("name")
    if not name or re.fullmatch(re.escape(resource.name) + r"-[0-9a-f]{7}", name):
        yield (
            f"name is {name or 'not set'!r}; it must be given, because a made-up one differs on each cluster. Set name."
        )


def replicas_are_three(topic: Resource) -> Findings:
    found = topic.number("replicationFactor")
    if found != REPLICATION_FACTOR:
        yield (
            f"replicationFactor is {'not set' if found is None else f'{found:g}'}; it must be {REPLICATION_FACTOR}, "
            f"one copy in each zone, as Express brokers keep anyway. Set it to {REPLICATION_FACTOR}."
        )


def old_records_are_accepted(topic: Resource) -> Findings:
    configs = topic.document("configs").values
    settings = configs if isinstance(configs, dict) else {}
    accepted, kept = _milliseconds(settings.get(BEFORE_MAX)), _milliseconds(settings.get("retention.ms"))
    # A retention below 0 keeps records for ever.
    oldest = NO_LIMIT if kept is not None and kept < 0 else max(kept or 0, DAY_MS + 1)
    if accepted is None or accepted < oldest:
        yield (
            f"configs has {BEFORE_MAX} {'not set' if accepted is None else accepted}; it must be more than a day and "
            "at least retention.ms, because a Replicator keeps timestamps and Express brokers refuse records older "
            f"than a day (the service: 'Timestamp … is out of range', 2026-09). Set {BEFORE_MAX} to "
            f"'{NO_LIMIT}'."
        )


def _milliseconds(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def configuration_name_is_accepted(configuration: Resource) -> Findings:
    name = configuration.text("name")
    if name and not NAME.fullmatch(name):
        words = "The parameter value contains one or more characters that are not valid"
        yield (
            f"name is {name!r}; it takes letters, digits and hyphens, none first {refused(words, '2026-09-13')}. "
            "Rename it."
        )


def configuration_keys_are_accepted(configuration: Resource) -> Findings:
    for key, _ in _settings(configuration):
        if key not in CONFIGURATION_KEYS:
            words = f"Key '{key}' is not supported by at least one Apache Kafka version"
            yield (
                f"serverProperties has {key!r}, which a configuration may not hold {refused(words, '2026-09-13')}. "
                "Remove it."
            )


def configuration_versions_are_known(configuration: Resource) -> Findings:
    for version in configuration.texts("kafkaVersions"):
        if version not in CONFIGURATION_VERSIONS:
            words = f"Unsupported KafkaVersion [{version}]"
            yield (
                f"kafkaVersions has {version!r}; it must be a version of the service {refused(words, '2026-09-13')}. "
                "Take '3.9.x.kraft'."
            )


def listeners_vary_by_broker(configuration: Resource) -> Findings:
    for key, value in _settings(configuration):
        for listener in value.split(",") if key == LISTENERS else ():
            if not LISTENER.fullmatch(listener.strip()):
                words = "Invalid custom.advertised.listeners format. Expected: LISTENER_NAME://host:port+{broker_id}"
                yield (
                    f"{LISTENERS} has {listener.strip()!r}; every broker needs its own {refused(words, '2026-09-13')}. "
                    "Add '+{broker_id}'."
                )


def _settings(configuration: Resource) -> Iterator[tuple[str, str]]:
    """The keys and values of `serverProperties`, a text of one `key=value` a line."""
    for line in configuration.text("serverProperties").splitlines():
        if line.strip() and line.strip()[0] not in "#!":
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def secrets_are_listed_once(association: Resource) -> Findings:
    known = association.texts("secretArnLists")
    for secret in sorted({s for s in known if known.count(s) > 1}):
        words = "The list provided contains duplicate items"
        yield (
            f"secretArnLists has {secret} {known.count(secret)} times; once is enough {refused(words)}. Remove the "
            "repetition."
        )


def secrets_are_of_the_account(association: Resource) -> Findings:
    cluster = arn(association.text("clusterArn"))
    for secret in [*association.texts("secretArnLists"), *association.texts("secretArn")]:
        parts = arn(secret)
        if parts and cluster and parts.account != cluster.account:
            words = "The provided secret ARN is invalid"
            yield (
                f"secret {secret} is of account {parts.account}; it must be of the cluster's, {cluster.account} "
                f"{refused(words)}. Make it there."
            )


def connector_is_encrypted(connector: Resource) -> Findings:
    # Plain text when left out.
    path = "kafkaClusterEncryptionInTransit.encryptionType"
    if (found := connector.text(path, "PLAINTEXT")) != "TLS":
        yield f"{path} is {found!r}; it must be 'TLS', so that records do not travel in the clear. Set it to 'TLS'."


def connector_logs_go_somewhere(connector: Resource) -> Findings:
    path = "logDelivery.workerLogDelivery"
    if not any(connector.flag(f"{path}.{destination}.enabled") for destination in ("cloudwatchLogs", "firehose", "s3")):
        yield (
            f"{path} has no destination that is enabled; a connector that fails must say why. Enable cloudwatchLogs, "
            "firehose or s3."
        )


def tags_are_there(resource: Resource) -> Findings:
    # `tagsAll` has the provider's default tags too; where the provider does not tell it, the resource's own count.
    path = "tagsAll" if resource.has("tagsAll") else "tags"
    tags, required = resource.get(path, {}), resource.options["requiredTags"]
    given = list(tags) if isinstance(tags, dict) else []
    if lacking := [key for key in required if key not in given]:
        yield (
            f"{path} has no {', '.join(lacking)}; every resource must say whose it is. Add the tags, or set them on "
            "the provider."
        )
    elif not given:
        yield (
            f"{path} is empty; every resource must have a tag that says whose it is. Add one, or set default tags on "
            "the provider."
        )
