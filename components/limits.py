"""What Amazon MSK accepts: limits of the service that the program encodes, each with its source and date.

Limits change, and an old one becomes a bug: check the source before trusting a number here.
"""

import re
from dataclasses import dataclass
from typing import Final

EXPRESS_KAFKA_VERSIONS: Final = {"3.8.x": "3.8.1", "3.9.x.kraft": "3.9.2", "4.2.x.kraft": "4.2.0"}
"""Kafka versions that the service accepts for Express brokers, each with the release whose command line tools fit.

Measured in us-east-1 on 2026-09-14: 3.7.x, 4.0.x.kraft and 4.1.x.kraft are refused.
"""


@dataclass(frozen=True)
class ExpressInstance:
    """Quotas of one Express broker; throughput in MB/s.

    Source: https://docs.aws.amazon.com/msk/latest/developerguide/msk-broker-types-express.html (2026-09).
    """

    ingress: float
    egress: float
    max_partitions: int


EXPRESS_INSTANCES: Final = {
    "express.m7g.large": ExpressInstance(15.6, 31.2, 1500),
    "express.m7g.xlarge": ExpressInstance(31.2, 62.5, 2000),
    "express.m7g.2xlarge": ExpressInstance(62.5, 125.0, 4000),
    "express.m7g.4xlarge": ExpressInstance(124.9, 249.8, 8000),
    "express.m7g.8xlarge": ExpressInstance(250.0, 500.0, 16000),
    "express.m7g.12xlarge": ExpressInstance(375.0, 750.0, 24000),
    "express.m7g.16xlarge": ExpressInstance(500.0, 1000.0, 32000),
}
"""Express broker types with their sustained throughput and the partitions (replicas counted) they hold at most."""

EXPRESS_ZONES: Final = 3
"""Express brokers stand in exactly three Availability Zones (`Clusters with Express instance types require 3 subnets`,
measured 2026-09-14), so that brokers come in multiples of three."""

EXPRESS_REFUSED_ZONE_IDS: Final = ("use1-az3",)
"""Zones without Express brokers. Source: the developer guide's page on Express brokers (2026-09)."""

EXPRESS_TOPIC_CONFIGS: Final = (
    "cleanup.policy",
    "compression.type",
    "delete.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.compaction.lag.ms",
    "retention.bytes",
    "retention.ms",
)
"""Topic settings that Express brokers let one change (developer guide, Express broker configurations, 2026-09)."""

RETENTION_MS: Final = 7 * 24 * 60 * 60 * 1000
"""Kafka's own retention of a topic that sets none (Apache Kafka documentation, log.retention.hours)."""

EXPRESS_REPLICATION_FACTOR: Final = 3
"""Fixed for Express brokers; a Replicator creates its topics with the same (developer guide, 2026-09)."""

CLUSTER_NAME_LENGTH: Final = 64
"""Longest cluster name (service model of botocore 1.44.5)."""

ROLE_NAME_LENGTH: Final = 64
"""Longest name of an IAM role (service model of botocore 1.44.5)."""

ROLE_POLICY_LENGTH: Final = 10_240
"""Most characters in the inline policies of a role, white space not counted (IAM user guide, quotas, 2026-09)."""

DASHBOARD_ALARMS: Final = 100
"""Most alarms in one widget (CloudWatch user guide, dashboard body structure, 2026-09)."""

NAME_SUFFIX_LENGTH: Final = len("-1a2b3c4")
"""What Pulumi puts behind the logical name of a resource that is given no name (pulumi-aws 7.51)."""

REPLICATOR_TOPICS: Final = 750
"""Topics that one Replicator copies at most, the first in sorted order (developer guide, quotas, 2026-09)."""

REPLICATOR_LISTS: Final = {"topics": (1, 100, 249), "groups": (0, 100, 256)}
"""For the topic and group lists of a Replicator: fewest and most patterns, and characters in each.

Sources: service model of botocore 1.44.5 (characters), CloudFormation reference of AWS::MSK::Replicator (counts)."""

MONITORING_LEVELS: Final = ("DEFAULT", "PER_BROKER", "PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION")
COMPRESSION_TYPES: Final = ("NONE", "GZIP", "SNAPPY", "LZ4", "ZSTD")
STARTING_POSITIONS: Final = ("EARLIEST", "LATEST")
TOPIC_NAMES: Final = ("IDENTICAL", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS")
OFFSET_SYNC_MODES: Final = ("ENHANCED", "LEGACY")

LOG_RETENTION_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731,
    1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
"""Retentions that CloudWatch Logs offers (PutRetentionPolicy in the service model of botocore 1.44.5)."""

PORTS: Final = {"iam": 9098, "scram": 9096, "mtls": 9094}
"""Broker port of each authentication mechanism (developer guide, port information, 2026-09)."""

REGION_ID: Final = re.compile(
    r"(?:af|ap|ca|cn|eu|il|me|mx|sa|us)-(?:gov-|iso[a-z]?-)?"
    r"(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-\d"
)
"""A Region's id inside a longer name."""


def partition(region: str) -> str:
    """First part of a Region's ARNs (AWS general reference, partitions, 2026-09)."""
    for start, name in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return name
    return "aws"


def zone_id_prefix(region: str) -> str:
    """First part of a Region's zone ids: `use2` for us-east-2, `apse1` for ap-southeast-1."""
    words = re.findall("gov|north|south|east|west|central", region)
    return region.partition("-")[0] + "".join(word[0] for word in words) + region[-1:]


def max_brokers(kafka_version: str) -> int:
    """The most brokers one cluster may have: 60 in KRaft mode, else 30 (developer guide, quotas, 2026-09)."""
    return 60 if kafka_version.endswith(".kraft") else 30
