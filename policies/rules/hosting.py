"""Checks of what a stack needs around a Replicator: its execution role and its alarms."""

import re
from collections.abc import Iterator
from typing import Final

from .iam import KAFKA_SERVICE, arn, grants
from .reader import UNKNOWN, Props, Resource
from .replicator import ARN, ROLE_ARN
from .rule import Findings, Stack
from .tokens import ALARM, POLICY, ROLE, ROLE_POLICY, ROLE_POLICY_ATTACHMENT

METRICS: Final = ["ReplicationLatency", "MessageLag", "KafkaClusterPingSuccessCount", "AuthError", "ReplicatorFailure"]
"""What tells whether a standby is fit to take over (developer guide, msk-replicator-monitor, 2026-09)."""


def role_is_there(replicator: Resource, stack: Stack) -> Findings:
    if not roles(replicator, stack) and replicator.raw(ROLE_ARN) is not UNKNOWN:
        yield (
            f"{ROLE_ARN} is no role of this stack; its trust and its permissions must be judged with the Replicator. "
            "Declare the role here, or exempt the Replicator with the place where it is reviewed."
        )


def role_is_assumed_by_kafka(replicator: Resource, stack: Stack) -> Findings:
    for role in roles(replicator, stack):
        if not any(KAFKA_SERVICE in grant.services for grant in grants(role.document("assumeRolePolicy"))):
            yield (
                f"assumeRolePolicy of {role.name} does not name {KAFKA_SERVICE}; the Replicator could not work. Let "
                "the service assume it."
            )


def role_may_do_something(replicator: Resource, stack: Stack) -> Findings:
    for role in roles(replicator, stack):
        if not list(_documents(role, stack)) and not list(_foreign_policies(role, stack)):
            yield (
                f"the role {role.name} has no policy; the Replicator could neither read nor write. Add an "
                "iam.RolePolicy for its clusters."
            )


def role_takes_single_actions_of_kafka(replicator: Resource, stack: Stack) -> Findings:
    for role in roles(replicator, stack):
        for name, document in _documents(role, stack):
            for grant in grants(document):
                for path in grant.excludes:
                    yield (
                        f"the policy {name} has {path}; it must list what is allowed, not what is left out. Write it "
                        "the other way round."
                    )
                for action in grant.actions:
                    if not re.fullmatch(r"kafka(-cluster)?:[a-z0-9]+", action.lower()):
                        yield (
                            f"the policy {name} allows {action!r}; a Replicator needs single actions of Kafka. Remove "
                            "it, or name the actions."
                        )


def role_keeps_to_its_clusters(replicator: Resource, stack: Stack) -> Findings:
    for role in roles(replicator, stack):
        for name, document in _documents(role, stack):
            granted = [resource for grant in grants(document) for resource in grant.resources]
            own = [parts.cluster for entry in replicator.items("kafkaClusters") if (parts := arn(entry.text(ARN)))]
            for resource in granted:
                found = arn(resource)
                if found is None or found.cluster not in own:
                    yield (
                        f"the policy {name} reaches {resource!r}; it must end at the Replicator's own clusters. Name "
                        "their ARNs."
                    )


def role_has_no_foreign_policy(replicator: Resource, stack: Stack) -> Findings:
    for role in roles(replicator, stack):
        for policy in _foreign_policies(role, stack):
            yield (
                f"the role {role.name} has the policy {policy}; its permissions must be in this stack and end at the "
                "Replicator's clusters (AWSMSKReplicatorExecutionRole reaches every cluster of the account). Write an "
                "iam.RolePolicy instead."
            )


def roles(replicator: Resource, stack: Stack) -> list[Resource]:
    """Its execution role, when the stack has it."""
    return stack.targets(replicator, replicator, ROLE_ARN, ["arn"], ROLE)


def _documents(role: Resource, stack: Stack) -> Iterator[tuple[str, Props]]:
    """The policies of a role that the stack declares, by name."""
    for policy in stack.of(ROLE_POLICY):
        if _is(role, stack, policy):
            yield policy.name, policy.document("policy")
    for inline in role.items("inlinePolicies"):
        yield inline.text("name", role.name), inline.document("policy")
    for holder, path in _attached(role, stack):
        for policy in stack.targets(holder, holder, path, ["arn"], POLICY):
            yield policy.name, policy.document("policy")


def _foreign_policies(role: Resource, stack: Stack) -> Iterator[str]:
    """The ARNs of a role's policies that the stack does not declare."""
    for holder, path in _attached(role, stack):
        declared = [policy.raw("arn") for policy in stack.targets(holder, holder, path, ["arn"], POLICY)]
        yield from (policy for policy in holder.texts(path) if policy not in declared)


def _attached(role: Resource, stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Where policies are attached to a role by ARN: resources and the paths in them."""
    yield role, "managedPolicyArns"
    for attachment in stack.of(ROLE_POLICY_ATTACHMENT):
        if _is(role, stack, attachment):
            yield attachment, "policyArn"


def _is(role: Resource, stack: Stack, holder: Resource) -> bool:
    return role.urn in [found.urn for found in stack.targets(holder, holder, "role", ["name", "id"], ROLE)]


def alarms_watch(replicator: Resource, stack: Stack) -> Findings:
    name = replicator.text("replicatorName")
    watched = {metric for _, metric in _watched(name, stack)}
    if lacking := [metric for metric in replicator.options["metrics"] if metric not in watched]:
        yield (
            f"no alarm watches {', '.join(lacking)} of the Replicator {name!r}; a standby that falls behind must be "
            "noticed before it is needed. Add a cloudwatch.MetricAlarm in AWS/Kafka with the dimension ReplicatorName."
        )


def silence_is_alarming(replicator: Resource, stack: Stack) -> Findings:
    # A Replicator that cannot reach a cluster stops publishing the ping, and missing data alarms nobody by default.
    for alarm, metric in _watched(replicator.text("replicatorName"), stack):
        found = alarm.text("treatMissingData", "missing")
        if metric == "KafkaClusterPingSuccessCount" and found != "breaching":
            yield (
                f"treatMissingData of {alarm.name} is {found!r}; it must be 'breaching', because a broken ping is no "
                "data at all. Set it to 'breaching'."
            )


def _watched(name: str, stack: Stack) -> Iterator[tuple[Resource, str]]:
    """Each alarm on a Replicator with the metric that it watches, directly or in an expression."""
    for alarm in stack.of(ALARM):
        for metric in [alarm, *(inner for query in alarm.items("metricQueries") for inner in query.items("metric"))]:
            if metric.known("namespace") == "AWS/Kafka" and metric.known("dimensions.ReplicatorName") == name:
                yield alarm, metric.known("metricName")
