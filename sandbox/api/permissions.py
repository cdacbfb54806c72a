"""What a Replicator's role must be allowed, and whether policies allow it: pure functions over policy documents.

Statements with a `Condition` count neither way, except in trust policies: what the conditions would see at run time is
not known here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.api.account import Policy

CLUSTER = ("Connect", "DescribeCluster", "WriteDataIdempotently")
INTERNAL_TOPIC = (
    "CreateTopic",
    "ReadData",
    "WriteData",
    "DescribeTopic",
    "DescribeTopicDynamicConfiguration",
    "AlterTopic",
    "AlterTopicDynamicConfiguration",
)
SOURCE_TOPIC = ("ReadData", "DescribeTopic", "DescribeTopicDynamicConfiguration")
TARGET_TOPIC = ("CreateTopic", "WriteData", "DescribeTopic", "DescribeTopicDynamicConfiguration")
COPIED_CONFIGURATION = ("AlterTopic", "AlterTopicDynamicConfiguration")
TARGET_GROUP = ("AlterGroup", "DescribeGroup")
"""Actions of `kafka-cluster` by what they are needed on (developer guide, msk-replicator-permissions, 2026-09)."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What decides which permissions a Replicator needs. `topics` and `groups` are names, not patterns."""

    name: str
    source_arn: str
    target_arn: str
    topics: Sequence[str]
    groups: Sequence[str]
    copy_topic_configurations: bool
    copy_acls: bool


def missing(policies: Sequence[Policy], flow: Flow) -> list[str]:
    """What the role may not do although the flow needs it, as `action on resource`, in the order of the guide."""
    return [f"{action} on {resource}" for action, resource in needed(flow) if not allowed(policies, action, resource)]


def needed(flow: Flow) -> Iterator[tuple[str, str]]:
    """Actions and the resources they are needed on."""
    both = (flow.source_arn, flow.target_arn)
    status = f"__amazon_msk_replicator_status_{flow.name}"
    for arn in both:
        yield from _each(CLUSTER, arn)
    if flow.copy_acls:
        yield "kafka-cluster:AlterCluster", flow.target_arn
    for arn in both:
        yield from _each(INTERNAL_TOPIC, _within(arn, "topic", status))
    alter = COPIED_CONFIGURATION if flow.copy_topic_configurations else ()
    for topic in flow.topics:
        yield from _each(SOURCE_TOPIC, _within(flow.source_arn, "topic", topic))
        yield from _each((*TARGET_TOPIC, *alter), _within(flow.target_arn, "topic", topic))
    yield from _each(TARGET_GROUP, _within(flow.target_arn, "group", status))
    for group in flow.groups:
        yield from _each(("DescribeGroup",), _within(flow.source_arn, "group", group))
        yield from _each(TARGET_GROUP, _within(flow.target_arn, "group", group))


def allowed(policies: Sequence[Policy], action: str, resource: str) -> bool:
    """Whether one statement allows it and none denies it."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _as_list(policy.get("Statement"))
        if not statement.get("Condition") and _covers(statement, "Action", action, ignore_case=True)
        if _covers(statement, "Resource", resource)
    }
    return "Allow" in effects and "Deny" not in effects


def service_allowed(policy: Policy, service: str, action: str, resource: str) -> bool:
    """Whether a resource's policy lets an AWS service do it."""
    return any(
        statement["Effect"] == "Allow"
        and service in _as_list((statement.get("Principal") or {}).get("Service"))
        and _covers(statement, "Action", action, ignore_case=True)
        and _covers(statement, "Resource", resource)
        for statement in _as_list(policy.get("Statement"))
        if isinstance(statement.get("Principal"), dict)
    )


def trusts(policy: Policy, service: str, account: str) -> bool:
    """Whether the service may take the role on behalf of the account."""
    for statement in _as_list(policy.get("Statement")):
        principal = statement.get("Principal")
        if not isinstance(principal, dict) or service not in _as_list(principal.get("Service")):
            continue
        if statement.get("Effect") != "Allow" or not _covers(statement, "Action", "sts:AssumeRole", ignore_case=True):
            continue
        wanted = [
            value
            for operator in (statement.get("Condition") or {}).values()
            for key, values in operator.items()
            if key.lower() == "aws:sourceaccount"
            for value in _as_list(values)
        ]
        if not wanted or account in wanted:
            return True
    return False


def _each(actions: Sequence[str], resource: str) -> Iterator[tuple[str, str]]:
    return ((f"kafka-cluster:{action}", resource) for action in actions)


def _within(cluster_arn: str, kind: str, name: str) -> str:
    return f"{cluster_arn.replace(':cluster/', f':{kind}/')}/{name}"


def _covers(statement: Policy, key: str, value: str, *, ignore_case: bool = False) -> bool:
    """Whether a statement's Action or Resource, or its opposite, speaks of the value."""
    if f"Not{key}" in statement:
        return not _matches(_as_list(statement[f"Not{key}"]), value, ignore_case)
    return _matches(_as_list(statement.get(key)), value, ignore_case)


def _matches(globs: Sequence[str], value: str, ignore_case: bool) -> bool:
    flags = re.IGNORECASE if ignore_case else 0
    return any(re.fullmatch(_regex(glob), value, flags | re.DOTALL) for glob in globs)


def _regex(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in glob)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
