"""What MSK demands of a Replicator. `check_creation` is what it refuses at once, `why_not` what a creation fails of.

Texts marked [M] are the service's own, measured in us-east-1 on 2026-09-14 (cdk-preflight); the others are worded here
and only the rule is AWS's (developer guide, msk-replicator-requirements and -troubleshooting, 2026-09).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.api import cluster_rules
from sandbox.api.account import Policy, Role, SecurityGroup
from sandbox.api.context import account_of, kafka_version, region_of
from sandbox.api.errors import bad_request
from sandbox.api.model import Params
from sandbox.api.permissions import Flow, missing, service_allowed, trusts
from sandbox.api.store import Record

IAM_PORT: Final = 9098
SERVICE: Final = "kafka.amazonaws.com"
SOURCE_ACTIONS: Final = ("kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2")
LOWEST_VERSION: Final = (2, 7, 0)
LOWEST_IDENTICAL: Final = (2, 8, 1)
FEWEST_BROKERS: Final = 3
MOST_REPLICATORS: Final = 15
"""Replicators of an account (quotas page, 2026-09)."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a Replicator ends FAILED, as its `stateInfo`. The codes are worded here: AWS does not list its own."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """One cluster as a Replicator meets it."""

    cluster: Record
    policy: Policy | None
    groups: Sequence[SecurityGroup]
    """The cluster's own security groups."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """From where a Replicator comes to its target."""

    groups: Sequence[SecurityGroup]
    cidrs: tuple[str, ...]


def check_shape(params: Params, region: str, account: str) -> None:
    """What can be told from the request alone."""
    clusters = params["KafkaClusters"]
    if len(clusters) != 2:
        raise bad_request(f"kafkaClusters has {len(clusters)} clusters; it needs two.", "kafkaClusters")
    if len(params["ReplicationInfoList"]) != 1:
        raise bad_request("replicationInfoList must have exactly one entry.", "replicationInfoList")
    for entry in clusters:
        if "ApacheKafkaCluster" in entry or "AmazonMskCluster" not in entry:
            raise bad_request("The sandbox replicates between MSK clusters only.", "kafkaClusters")
        if "VpcConfig" not in entry:
            raise bad_request("vpcConfig is missing; an MSK cluster needs one.", "vpcConfig")
        subnets, groups = entry["VpcConfig"]["SubnetIds"], entry["VpcConfig"].get("SecurityGroupIds", [])
        if len(subnets) not in {2, 3}:
            raise bad_request(f"subnetIds has {len(subnets)} subnets; it needs 2 or 3.", "subnetIds")
        if len(groups) > 16:
            raise bad_request(f"securityGroupIds has {len(groups)} groups; the most is 16.", "securityGroupIds")
    arns = [entry["AmazonMskCluster"]["MskClusterArn"] for entry in clusters]
    if len(set(arns)) < len(arns):
        raise bad_request("Kafka cluster list contains duplicate cluster ARNs", "kafkaClusters")  # [M]
    info = params["ReplicationInfoList"][0]
    source, target = info.get("SourceKafkaClusterArn"), info.get("TargetKafkaClusterArn")
    if source is None or target is None or source not in arns or target not in arns:
        raise bad_request("Source and target Kafka cluster ARNs must be present in kafkaClusters")  # [M]
    if source == target:
        raise bad_request("The source and the target cluster must differ.", "targetKafkaClusterArn")
    if region_of(target) != region:
        raise bad_request(f"The target cluster must be from region {region}", "targetKafkaClusterArn")  # [M]
    if account_of(params["ServiceExecutionRoleArn"]) != account:
        raise bad_request("Cross-account pass role is not allowed.", "serviceExecutionRoleArn")  # [M]
    topics, groups = info["TopicReplication"], info["ConsumerGroupReplication"]
    check_patterns(topics, groups)
    naming = topics.get("TopicNameConfiguration", {}).get("Type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS")
    if groups.get("ConsumerGroupOffsetSyncMode") == "ENHANCED" and naming != "IDENTICAL":
        raise bad_request(  # [M]
            "The consumerGroupOffsetSyncMode value ENHANCED is only supported when topicNameConfiguration type is "
            "IDENTICAL",
            "consumerGroupOffsetSyncMode",
        )


def check_patterns(topics: Params, groups: Params) -> None:
    """The lists of patterns, at creation and in an update (CloudFormation reference, 2026-09: at most 100 each)."""
    for name, patterns, fewest in (
        ("topicsToReplicate", topics.get("TopicsToReplicate"), 1),
        ("topicsToExclude", topics.get("TopicsToExclude"), 0),
        ("consumerGroupsToReplicate", groups.get("ConsumerGroupsToReplicate"), 0),
        ("consumerGroupsToExclude", groups.get("ConsumerGroupsToExclude"), 0),
    ):
        if patterns is not None and not fewest <= len(patterns) <= 100:
            raise bad_request(f"{name} has {len(patterns)} patterns; it takes {fewest} to 100.", name)


def check_clusters(source: Record, target: Record, naming: str) -> None:
    """What the clusters themselves must be."""
    for side, cluster in (("source", source), ("target", target)):
        name, settings = cluster["ClusterName"], cluster["Provisioned"]
        if cluster["State"] != "ACTIVE":
            raise bad_request(f"The {side} cluster {name} is in {cluster['State']} state; it must be ACTIVE.")
        if not cluster_rules.enabled(settings["ClientAuthentication"]["Sasl"], "Iam"):
            raise bad_request(f"The {side} cluster {name} must have IAM access control turned on.")
        if settings["BrokerNodeGroupInfo"]["InstanceType"].endswith("t3.small"):
            raise bad_request(f"The {side} cluster {name} has t3.small brokers; m5.large is the smallest.")
        if settings["NumberOfBrokerNodes"] < FEWEST_BROKERS:
            raise bad_request(f"The {side} cluster {name} must have at least {FEWEST_BROKERS} brokers.")
        lowest = LOWEST_IDENTICAL if naming == "IDENTICAL" else LOWEST_VERSION
        if _number(kafka_version(cluster)) < lowest:
            least = ".".join(map(str, lowest))
            raise bad_request(f"The {side} cluster {name} has Kafka {kafka_version(cluster)}; it needs {least}.")


def check_role(role: Role | None, arn: str, account: str) -> None:
    if role is None:
        raise bad_request(f"The role {arn} does not exist.", "serviceExecutionRoleArn")
    if not trusts(role.trust, SERVICE, account):
        raise bad_request(f"The role {arn} cannot be assumed by {SERVICE}.", "serviceExecutionRoleArn")


def why_not(source: Side, target: Side, door: Door, role: Role, flow: Flow) -> Failure | None:
    """Why the Replicator cannot work; None when it can."""
    arn = flow.source_arn
    if region_of(arn) != region_of(flow.target_arn):
        nodes = source.cluster["Provisioned"]["BrokerNodeGroupInfo"]
        if not cluster_rules.multi_vpc_for_iam(nodes):
            return Failure(
                code="SOURCE_NOT_REACHABLE",
                message=f"Multi-VPC private connectivity for IAM is not turned on for the source cluster {arn}.",
            )
        refused = [
            action for action in SOURCE_ACTIONS if not service_allowed(source.policy or {}, SERVICE, action, arn)
        ]
        if refused:
            return Failure(
                code="SOURCE_ACCESS_DENIED",
                message=f"The cluster policy of the source cluster {arn} does not allow {SERVICE} to do: "
                f"{', '.join(refused)}.",
            )
    if not _reaches(door, target.groups):
        groups = ", ".join(group.id for group in door.groups)
        return Failure(
            code="TARGET_NOT_REACHABLE",
            message=f"The security groups ({groups}) do not let the Replicator reach port {IAM_PORT} of the target "
            f"cluster {flow.target_arn}.",
        )
    if denied := missing(role.policies, flow):
        more = f" and {len(denied) - 3} more" if len(denied) > 3 else ""
        return Failure(
            code="ROLE_ACCESS_DENIED",
            message=f"The service execution role {role.arn} lacks permissions: {'; '.join(denied[:3])}{more}.",
        )
    return None


def _reaches(door: Door, brokers: Sequence[SecurityGroup]) -> bool:
    """Whether a group of the Replicator lets it out to the brokers, and a group of theirs lets it in."""
    return any(
        any(rule.lets(IAM_PORT, group_id=there.id, cidrs=door.cidrs) for rule in here.egress)
        and any(rule.lets(IAM_PORT, group_id=here.id, cidrs=door.cidrs) for rule in there.ingress)
        for here in door.groups
        for there in brokers
    )


def _number(version: str) -> tuple[int, ...]:
    """`3.9.x.kraft` as (3, 9, 0): the newest patch is at least that."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:3])
