"""What a Replicator's service execution role may do, as plain documents."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from components.patterns import iam_globs

if TYPE_CHECKING:  # config measures these documents, so that it is imported by nothing here
    from config import ReplicatorSettings

INTERNAL_TOPICS: Final = ("*__amazon_msk_replicator_*", "mskr-offset-syncs.*", "*.checkpoints.internal")
INTERNAL_GROUPS: Final = ("*__amazon_msk_replicator_*",)
"""What a Replicator keeps on both clusters for itself (developer guide, msk-replicator-permissions, 2026-09)."""


def trust_policy(account_id: str) -> dict[str, Any]:
    """Lets the Kafka service take the role on behalf of this account only (developer guide, msk-replicator-ser)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "kafka.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
            }
        ],
    }


def execution_policy(settings: "ReplicatorSettings", source_arn: str, target_arn: str) -> dict[str, Any]:
    """What the Replicator may do, by cluster and by kind (developer guide, msk-replicator-permissions, 2026-09).

    The service checks it when the Replicator is created. It holds no `kafka-cluster:*` and no resource `*`; the globs
    cover the regular expressions of the topic and group lists.
    """
    topics = _globs(settings.topics_to_replicate)
    groups = _globs(settings.consumer_groups_to_replicate)
    both = (source_arn, target_arn)
    describe = ["DescribeTopic", "DescribeTopicDynamicConfiguration"]
    alter = ["AlterTopic", "AlterTopicDynamicConfiguration"]
    statements = [
        _allow("Clusters", ["Connect", "DescribeCluster", "WriteDataIdempotently"], both),
        _allow(
            "InternalTopics",
            ["CreateTopic", "ReadData", "WriteData", *describe, *alter],
            [resource for arn in both for resource in _within(arn, "topic", INTERNAL_TOPICS)],
        ),
        _allow("SourceTopics", ["ReadData", *describe], _within(source_arn, "topic", topics)),
        _allow(
            "TargetTopics",
            ["CreateTopic", "WriteData", *describe, *(alter if settings.copy_topic_configurations else [])],
            _within(target_arn, "topic", topics),
        ),
        _allow(
            "TargetGroups", ["AlterGroup", "DescribeGroup"], _within(target_arn, "group", [*INTERNAL_GROUPS, *groups])
        ),
    ]
    if groups:
        statements.append(_allow("SourceGroups", ["DescribeGroup"], _within(source_arn, "group", groups)))
    if settings.copy_topic_acls:
        statements.append(_allow("TargetAcls", ["AlterCluster"], [target_arn]))
    return {"Version": "2012-10-17", "Statement": statements}


def _globs(patterns: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(glob for pattern in patterns for glob in iam_globs(pattern)))


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"kafka-cluster:{action}" for action in actions],
        "Resource": list(resources),
    }


def _within(cluster_arn: str, kind: str, globs: Iterable[str]) -> list[str]:
    """ARNs of a cluster's topics or groups: `…:cluster/<name>/<uuid>` becomes `…:<kind>/<name>/<uuid>/<glob>`."""
    return [f"{cluster_arn.replace(':cluster/', f':{kind}/')}/{glob}" for glob in globs]
