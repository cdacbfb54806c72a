"""Checks of who may do what: cluster policies, trust and permissions of roles."""

import re
from typing import Final

from .cluster import refused
from .iam import KAFKA_SERVICE, Grant, arn, grants
from .reader import Props, Resource
from .rule import Findings, Stack
from .tokens import CLUSTER, CLUSTER_POLICY

REPLICATOR_ACTIONS: Final = [
    "kafka:CreateVpcConnection",
    "kafka:GetBootstrapBrokers",
    "kafka:DescribeCluster",
    "kafka:DescribeClusterV2",
]
"""What a Replicator needs of a source's policy; DescribeCluster is in AWS's sample only.

Sources: developer guide, msk-replicator-prepare-cluster; aws-samples, sample-msk-cross-region-dr-custom-domain
(2026-09)."""

SOURCE_ACTIONS: Final = ("kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2")
"""What the Kafka service must be allowed on a source (developer guide, msk-replicator-prepare-cluster, 2026-09)."""

ACCOUNT: Final = re.compile(r"\d{12}")


def principals_are_named(policy: Resource) -> Findings:
    for grant in grants(policy.document("policy")):
        for service in grant.services:
            if service != KAFKA_SERVICE:
                yield (
                    f"policy lets {service} in; the only service with business in a cluster is {KAFKA_SERVICE}. Remove "
                    "the statement."
                )
        for principal in grant.accounts:
            account = _account(principal)
            if account is None:
                yield (
                    f"policy lets {principal!r} in; it must name {KAFKA_SERVICE} or an account. Name the account's "
                    "number or a role's ARN."
                )
            elif (allowed := policy.options["allowedAccounts"]) and account not in allowed:
                yield (
                    f"policy lets account {account} in; only {', '.join(allowed)} may be. Remove it, or add it to "
                    "allowedAccounts."
                )
        if "NotPrincipal" in grant.excludes:
            yield "policy has NotPrincipal; it lets everybody else in. Name who may enter with Principal."
        if not grant.services and not grant.accounts and "NotPrincipal" not in grant.excludes:
            yield (
                f"policy has a statement without Principal; it must say who is meant. Name {KAFKA_SERVICE}, or an "
                "account."
            )


def _account(principal: str) -> str | None:
    """The account that a principal is or belongs to, None when it is everybody."""
    if ACCOUNT.fullmatch(principal):
        return principal
    parts = arn(principal)
    return parts.account if parts and ACCOUNT.fullmatch(parts.account) else None


def actions_are_listed(policy: Resource) -> Findings:
    allowed = [action.lower() for action in policy.options["allowedActions"]]
    for grant in grants(policy.document("policy")):
        for action in grant.actions:
            if action.lower() not in allowed:
                yield (
                    f"policy allows {action!r}; only {', '.join(policy.options['allowedActions'])} may be. Remove it; "
                    "what other accounts' clients need belongs into allowedActions of this rule's configuration."
                )
        if "NotAction" in grant.excludes:
            yield "policy has NotAction; it allows everything else. List what is allowed with Action."


def resource_is_the_cluster(policy: Resource) -> Findings:
    grants_ = list(grants(policy.document("policy")))
    cluster = policy.text("clusterArn")
    inside = arn(cluster)
    for grant in grants_:
        for resource in grant.resources:
            part = arn(resource)
            if resource != cluster and not (
                part and inside and _inside(part.resource, inside.resource) and part.cluster == inside.cluster
            ):
                yield (
                    f"policy is about {resource!r}; it must be about the cluster it belongs to, {cluster} "
                    f"{refused('The cluster policy is not valid. Invalid cluster arn')}. Use that ARN."
                )
        if not grant.resources:
            yield f"policy has a statement without Resource; it must name the cluster. Set Resource to {cluster}."


def _inside(resource: str, cluster: str) -> bool:
    """Whether a topic, group or transaction is one of a cluster: `topic/name/uuid/...` of `cluster/name/uuid`."""
    kind, _, rest = resource.partition("/")
    return kind in ("topic", "group", "transactional-id") and rest.startswith(cluster.partition("/")[2] + "/")


def trust_ends_at_the_account(role: Resource) -> Findings:
    for grant in grants(role.document("assumeRolePolicy")):
        if KAFKA_SERVICE in grant.services and not _limited(grant):
            yield (
                f"assumeRolePolicy lets {KAFKA_SERVICE} in without saying for whom; somebody else's Replicator could "
                'use the role. Add the condition {"StringEquals": {"aws:SourceAccount": "<account>"}}.'
            )


def _limited(grant: Grant) -> bool:
    """Whether a statement holds for one account: by aws:SourceAccount, or by an aws:SourceArn with an account in it."""
    conditions = grant.statement.raw("Condition")
    if not isinstance(conditions, dict):
        return False
    for operator, tests in conditions.items():
        for key, value in (tests if isinstance(tests, dict) else {}).items():
            values = Props({"v": value}).texts("v")
            name, test = key.lower(), operator.lower()
            if name == "aws:sourceaccount" and test in ("stringequals", "stringlike"):
                return bool(values) and all(ACCOUNT.fullmatch(v) for v in values)
            if name == "aws:sourcearn" and test in ("arnequals", "arnlike", "stringequals", "stringlike"):
                return bool(values) and all(_account(v) for v in values)
    return False


def permissions_name_clusters(policy: Resource) -> Findings:
    for grant in grants(policy.document("policy")):
        kafka = [action for action in grant.actions if action.lower().startswith("kafka-cluster:")]
        if not kafka:
            continue
        for action in kafka:
            if re.fullmatch(r"kafka-cluster:[*?]+", action.lower()):
                yield (
                    f"policy allows {action!r}; it must list what is needed: this deletes topics and alters the "
                    "cluster. Name the actions."
                )
        for resource in grant.resources:
            part = arn(resource)
            cluster = part.cluster if part else None
            if cluster is None or any(not re.fullmatch(r"[^*?]+", field) for field in cluster):
                yield (
                    f"policy allows {', '.join(kafka[:3])}{', …' if kafka[3:] else ''} on {resource!r}; it must name "
                    "Region, account and cluster. Write arn:aws:kafka:<region>:<account>:<kind>/<cluster>/<uuid>/…."
                )
        for path in grant.excludes:
            yield (
                f"policy has {path} beside actions of Kafka; it must list what is allowed. Write it the other way "
                "round."
            )


def policy_is_there(cluster: Resource, stack: Stack) -> Findings:
    if not policies_of(cluster, stack):
        yield (
            "the cluster has no msk.ClusterPolicy in this stack; every cluster that may become a source needs one. "
            f"Add a policy that allows {KAFKA_SERVICE} {', '.join(SOURCE_ACTIONS)} on this cluster."
        )


def policy_lets_the_service_read(cluster: Resource, stack: Stack) -> Findings:
    for policy in policies_of(cluster, stack):
        allowed = {a for g in grants(policy.document("policy")) if KAFKA_SERVICE in g.services for a in _actions(g)}
        if lacking := [action for action in SOURCE_ACTIONS if action.lower() not in allowed]:
            yield (
                f"policy of {policy.name} does not allow {KAFKA_SERVICE} {', '.join(lacking)}; a Replicator cannot "
                "read the cluster without. Add a statement for the service."
            )


def _actions(grant: Grant) -> list[str]:
    return [action.lower() for action in grant.actions]


def policies_of(cluster: Resource, stack: Stack) -> list[Resource]:
    return [
        p
        for p in stack.of(CLUSTER_POLICY)
        if cluster.urn in [c.urn for c in stack.targets(p, p, "clusterArn", ["arn"], CLUSTER)]
    ]
