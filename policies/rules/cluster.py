"""Checks of clusters. Each writes down what the service does when a property is left out."""

import fnmatch
import re
from collections.abc import Iterator
from typing import Final

from .reader import Resource
from .rule import Findings
from .tokens import SERVERLESS

EXPRESS_VERSIONS: Final = ["3.8.x", "3.9.x.kraft", "4.2.x.kraft"]
"""Kafka versions that the service offers for Express brokers, measured in us-east-1 on 2026-09-14.

They change: the rule that reads this list takes another one from the configuration."""

EXPRESS_SUBNETS: Final = 3
"""`Clusters with Express instance types require 3 subnets`, 2026-09-14. Standard brokers take two or three."""

NAME_LENGTH: Final = 64
"""Longest name of a cluster (service model of botocore 1.44.5)."""

NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")
"""Names of clusters and configurations (service model of botocore 1.44.5)."""

REGION_ID: Final = re.compile(
    r"(?:af|ap|ca|cn|eu|il|me|mx|sa|us)-(?:gov-|iso[a-z]?-)?"
    r"(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-\d"
)
"""A Region's id inside a longer name."""

MONITORING_LEVELS: Final = ["DEFAULT", "PER_BROKER", "PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION"]
"""From least to most."""

LOG_DESTINATIONS: Final = {"cloudwatchLogs": "logGroup", "firehose": "deliveryStream", "s3": "bucket"}
"""Destinations of logs and the property that names each."""

IN_THE_SERVICES_WORDS: Final = {
    "cloudwatchLogs": ("CloudWatch Logs", "a CloudWatch log group"),
    "firehose": ("Kinesis Data Firehose", "a delivery stream"),
    "s3": ("Amazon S3", "an S3 bucket"),
}
"""How the service calls each destination and its property."""

TRANSIT: Final = "encryptionInfo.encryptionInTransit"
BROKERS: Final = "brokerNodeGroupInfo"


def refused(words: str, date: str = "2026-09-14") -> str:
    """The service's own error, quoted, with the day it was seen."""
    return f"(the service: '{words}', {date})"


def brokers_are_express(cluster: Resource) -> Findings:
    allowed = cluster.options["allowedInstanceTypes"]
    if cluster.type == SERVERLESS:
        yield (
            f"the cluster is a Serverless one; brokers must be of {', '.join(allowed)}. Declare a msk.Cluster with "
            "brokers of such a type."
        )
        return
    path = f"{BROKERS}.instanceType"
    found = cluster.text(path)
    if not any(fnmatch.fnmatchcase(found, pattern) for pattern in allowed):
        yield (
            f"{path} is {found!r}; it must be one of {', '.join(allowed)}. Take for example 'express.m7g.large'; other "
            "types belong into allowedInstanceTypes of this rule's configuration."
        )


def subnets_are_enough(cluster: Resource) -> Findings:
    path = f"{BROKERS}.clientSubnets"
    count = cluster.count(path)
    if is_express(cluster) and count != EXPRESS_SUBNETS:
        yield (
            f"{path} has {count} entries; Express brokers need exactly {EXPRESS_SUBNETS}, one in each zone "
            f"{refused('Clusters with Express instance types require 3 subnets')}. Name one subnet in each of three "
            "zones."
        )
    elif count not in (2, 3):
        yield f"{path} has {count} entries; brokers stand in two or three zones. Name one subnet in each of them."


def subnets_differ(cluster: Resource) -> Findings:
    path = f"{BROKERS}.clientSubnets"
    known = cluster.texts(path)
    for subnet in sorted({s for s in known if known.count(s) > 1}):
        yield (
            f"{path} has {subnet} {known.count(subnet)} times; every zone needs a subnet of its own "
            f"{refused('The list provided contains duplicate items')}. Replace the repetition."
        )


def brokers_fill_zones(cluster: Resource) -> Findings:
    brokers = cluster.number("numberOfBrokerNodes")
    zones = cluster.count(f"{BROKERS}.clientSubnets") or EXPRESS_SUBNETS
    if brokers is None or brokers < 1 or brokers % zones:
        words = "The target number of broker nodes must be a multiple of the number of Availability Zones"
        yield (
            f"numberOfBrokerNodes is {'not set' if brokers is None else f'{brokers:g}'}; it must be a multiple of the "
            f"{zones} zones {refused(words)}. Take for example {zones}."
        )


def storage_is_left_out(cluster: Resource) -> Findings:
    # Express brokers grow their storage by themselves; Standard ones need these settings.
    for path, name in ((f"{BROKERS}.storageInfo", "storageInfo"), ("storageMode", "storageMode")):
        if is_express(cluster) and cluster.has(path):
            yield (
                f"{path} is set; Express brokers take no storage settings "
                f"{refused(f'The {name} parameter is not supported for Express instance types')}. Remove it."
            )


def version_is_offered(cluster: Resource) -> Findings:
    allowed = cluster.options["allowedVersions"]
    found = cluster.text("kafkaVersion")
    if found not in allowed:
        words = f"Express instance types are not supported for Kafka version {found}"
        quoted = "" if found in EXPRESS_VERSIONS else f" {refused(words)}"
        yield (
            f"kafkaVersion is {found!r}; it must be one of {', '.join(allowed)}{quoted}. Take one of them; a version "
            "that the service has added since belongs into allowedVersions of this rule's configuration."
        )


def clients_use_tls(cluster: Resource) -> Findings:
    path = f"{TRANSIT}.clientBroker"
    if (found := cluster.text(path, "TLS")) != "TLS":
        yield (
            f"{path} is {found!r}; it must be 'TLS', so that no client can speak in the clear. Set it to 'TLS', or "
            "leave it out."
        )


def brokers_use_tls(cluster: Resource) -> Findings:
    path = f"{TRANSIT}.inCluster"
    if not cluster.flag(path, default=True):
        yield (
            f"{path} is false; it must be true, so that brokers copy records encrypted. Set it to true, or leave it "
            "out."
        )


def key_is_the_customers(cluster: Resource) -> Findings:
    path = "encryptionInfo.encryptionAtRestKmsKeyArn"
    if not cluster.has(path) or cluster.text(path).endswith(":alias/aws/kafka"):
        yield (
            f"{path} is {shown(cluster, path)}; then the service's own key encrypts the disks, whose policy and "
            "rotation are not yours. Name a key of your own; a cluster's key is fixed at creation."
        )


def nothing_is_public(cluster: Resource) -> Findings:
    path = f"{BROKERS}.connectivityInfo.publicAccess.type"
    if (found := cluster.text(path, "DISABLED")) != "DISABLED":
        words = "When creating a cluster, the only valid value for the Type parameter in PublicAccess is DISABLED"
        yield (
            f"{path} is {found!r}; it must be 'DISABLED', so that brokers have no public address {refused(words)}. Set "
            "it to 'DISABLED', or leave it out."
        )


def broker_logs_go_somewhere(cluster: Resource) -> Findings:
    # Express brokers deliver logs since February 2026; without a destination the service keeps none.
    path = "loggingInfo.brokerLogs"
    if not any(cluster.flag(f"{path}.{destination}.enabled") for destination in LOG_DESTINATIONS):
        yield (
            f"{path} has no destination that is enabled; brokers must log somewhere. Enable "
            f"{' or '.join(LOG_DESTINATIONS)}."
        )


def broker_log_destinations_are_named(cluster: Resource) -> Findings:
    path = "loggingInfo.brokerLogs"
    for destination, key in unnamed_destinations(cluster, path):
        called, needed = IN_THE_SERVICES_WORDS[destination]
        words = f"To use {called} as a destination for broker logs, you must specify {needed}"
        yield f"{path}.{destination} is enabled without {key}; it must say where to {refused(words)}. Set {key}."


def unnamed_destinations(resource: Resource, path: str) -> Iterator[tuple[str, str]]:
    """The destinations of logs that are enabled without the property that says where to, each with that property."""
    for destination, key in LOG_DESTINATIONS.items():
        if resource.flag(f"{path}.{destination}.enabled") and not resource.has(f"{path}.{destination}.{key}"):
            yield destination, key


def monitoring_is_fine_enough(cluster: Resource) -> Findings:
    found, least = cluster.text("enhancedMonitoring", "DEFAULT"), cluster.options["minimumLevel"]
    if found not in MONITORING_LEVELS[MONITORING_LEVELS.index(least) :]:
        yield (
            f"enhancedMonitoring is {found!r}; it must be {least!r} or finer: throttling and CPU of single brokers are "
            f"published from PER_BROKER on. Set it to {least!r}."
        )


def name_is_accepted(cluster: Resource) -> Findings:
    # A name that is left out is made up by Pulumi from the resource's own.
    name = cluster.text("clusterName")
    if name and not NAME.fullmatch(name):
        words = "The parameter value contains one or more characters that are not valid"
        yield f"clusterName is {name!r}; it takes letters, digits and hyphens, none first {refused(words)}. Rename it."
    if len(name) > NAME_LENGTH:
        yield f"clusterName has {len(name)} characters; at most {NAME_LENGTH} are allowed. Shorten it."


def name_has_no_other_region(cluster: Resource) -> Findings:
    name = cluster.text("clusterName")
    for found in REGION_ID.findall(name):
        if found != cluster.region:
            yield (
                f"clusterName is {name!r}; it must not contain the id of another Region than {cluster.region}, because "
                "clients sign for the Region that they find in the brokers' names. Rename it; a cluster's name is "
                "fixed at creation."
            )


def exporters_export(cluster: Resource) -> Findings:
    path = "openMonitoring.prometheus"
    if cluster.has(path) and not any(
        cluster.flag(f"{path}.{e}.enabledInBroker") for e in ("jmxExporter", "nodeExporter")
    ):
        words = "You must specify at least one type of exporter, either nodeExporter or jmxExporter"
        yield (
            f"{path} has no exporter that is enabled; it needs one {refused(words)}. Enable jmxExporter, or remove "
            "openMonitoring."
        )


def serverless_networks_are_accepted(cluster: Resource) -> Findings:
    if (count := cluster.count("vpcConfigs")) > 5:
        yield (
            f"vpcConfigs has {count} entries; at most 5 are allowed "
            f"{refused('The size of list should be between 1 and 5')}. Remove some."
        )
    for network in cluster.items("vpcConfigs"):
        if not 2 <= (count := network.count("subnetIds")) <= 6:
            words = "The size of list should be between 2 and 6"
            yield (
                f"{network.where}.subnetIds has {count} entries; 2 to 6 are allowed {refused(words)}. Name one in each "
                "zone."
            )


def is_express(cluster: Resource) -> bool:
    return cluster.text(f"{BROKERS}.instanceType").startswith("express.")


def shown(resource: Resource, path: str) -> str:
    """A value for a message, in JSON's words."""
    value = resource.get(path)
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else repr(value)
