"""One MSK Replicator: what it may do, what it copies, and where it logs."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Final

import pulumi
from pulumi_aws import cloudwatch, iam, msk

from components.replicator_role import execution_policy, trust_policy
from config import ReplicatorSettings, as_inputs

TIMEOUTS: Final = pulumi.CustomTimeouts(create="90m", update="180m", delete="90m")
"""The provider's own are 30 minutes, which AWS says a creation may take (developer guide, troubleshooting, 2026-09)."""

REPLACED_BY: Final = ["replicator_name", "description", "service_execution_role_arn", "kafka_clusters"]
"""Inputs that the provider takes for updatable although the service cannot update them."""


class Replicator(pulumi.ComponentResource):
    """Copies topics and consumer offsets from a source cluster to a target cluster, in the target's Region.

    Source and target are inputs alike, so that the same component serves either direction. Its role may do what the
    developer guide lists for the patterns that are replicated, on these two clusters, and nothing else.
    """

    arn: pulumi.Output[str]
    source_alias: pulumi.Output[str]
    target_alias: pulumi.Output[str]
    """The clusters' names in the Replicator's metrics, which the service assigns."""

    def __init__(
        self,
        name: str,
        settings: ReplicatorSettings,
        *,
        account_id: pulumi.Input[str],
        source_arn: pulumi.Input[str],
        source_subnet_ids: pulumi.Input[Sequence[str]],
        target_arn: pulumi.Input[str],
        target_subnet_ids: Sequence[pulumi.Input[str]],
        security_group_id: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`after` is what the service looks at when a Replicator is created: security group rules, topics."""
        super().__init__("msk-dr:index:Replicator", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)

        # One role for each Replicator: the role is what Kafka's quotas are counted by.
        role = iam.Role(
            name,
            description=f"Service execution role of the MSK Replicator {settings.replicator_name}",
            assume_role_policy=pulumi.Output.from_input(account_id).apply(_trust_document),
            tags=settings.tags,
            opts=child,
        )
        policy = iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(source_arn, target_arn).apply(_execution_document(settings)),
            opts=child,
        )
        logs = cloudwatch.LogGroup(
            name,
            name=f"/aws/vendedlogs/msk-replicator/{settings.replicator_name}",
            retention_in_days=settings.log_retention_days,
            tags=settings.tags,
            opts=child,
        )
        replicator = msk.Replicator(
            name,
            msk.ReplicatorArgs(
                replicator_name=settings.replicator_name,
                description=f"Copies topics from {settings.source_role} to {settings.target_role}",
                service_execution_role_arn=role.arn,
                # Compared by position: the source comes first. The source takes no security group.
                kafka_clusters=[
                    _kafka_cluster(source_arn, subnet_ids=source_subnet_ids),
                    _kafka_cluster(target_arn, subnet_ids=target_subnet_ids, security_groups_ids=[security_group_id]),
                ],
                replication_info_list=_replication_info(settings, source_arn, target_arn),
                log_delivery=msk.ReplicatorLogDeliveryArgs(
                    replicator_log_delivery=msk.ReplicatorLogDeliveryReplicatorLogDeliveryArgs(
                        cloudwatch_logs=msk.ReplicatorLogDeliveryReplicatorLogDeliveryCloudwatchLogsArgs(
                            enabled=True, log_group=logs.name
                        )
                    )
                ),
                tags=settings.tags,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[policy, *after],
                replace_on_changes=REPLACED_BY,
                # Its name is taken until it is gone, and there is one Replicator for a pair of clusters.
                delete_before_replace=True,
                custom_timeouts=TIMEOUTS,
                hooks=pulumi.ResourceHookBinding(before_create=[_wait_for_iam(name, settings.iam_wait_seconds)])
                if settings.iam_wait_seconds
                else None,
            ),
        )
        self.arn = replicator.arn
        self.source_alias = replicator.replication_info_list.source_kafka_cluster_alias.apply(_known)
        self.target_alias = replicator.replication_info_list.target_kafka_cluster_alias.apply(_known)
        self.register_outputs({"arn": self.arn, "sourceAlias": self.source_alias, "targetAlias": self.target_alias})


def _trust_document(account_id: str) -> str:
    return json.dumps(trust_policy(account_id))


def _execution_document(settings: ReplicatorSettings) -> Callable[[Sequence[str]], str]:
    """The role's policy as a function of the source's and the target's ARN."""

    def document(arns: Sequence[str]) -> str:
        source_arn, target_arn = arns
        return json.dumps(execution_policy(settings, source_arn, target_arn))

    return document


def _kafka_cluster(
    arn: pulumi.Input[str],
    *,
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    security_groups_ids: Sequence[pulumi.Input[str]] | None = None,
) -> msk.ReplicatorKafkaClusterArgs:
    return msk.ReplicatorKafkaClusterArgs(
        amazon_msk_cluster=msk.ReplicatorKafkaClusterAmazonMskClusterArgs(msk_cluster_arn=arn),
        vpc_config=msk.ReplicatorKafkaClusterVpcConfigArgs(
            subnet_ids=subnet_ids, security_groups_ids=security_groups_ids
        ),
    )


def _replication_info(
    settings: ReplicatorSettings, source_arn: pulumi.Input[str], target_arn: pulumi.Input[str]
) -> msk.ReplicatorReplicationInfoListArgs:
    return msk.ReplicatorReplicationInfoListArgs(
        source_kafka_cluster_arn=source_arn,
        target_kafka_cluster_arn=target_arn,
        target_compression_type=settings.compression,
        topic_replications=[
            msk.ReplicatorReplicationInfoListTopicReplicationArgs(
                topics_to_replicates=list(settings.topics_to_replicate),
                # The service takes no empty list of exclusions (CloudFormation reference: at least one item).
                topics_to_excludes=list(settings.topics_to_exclude) or None,
                topic_name_configuration=msk.ReplicatorReplicationInfoListTopicReplicationTopicNameConfigurationArgs(
                    type=settings.topic_names
                ),
                starting_position=msk.ReplicatorReplicationInfoListTopicReplicationStartingPositionArgs(
                    type=settings.starting_position
                ),
                copy_topic_configurations=settings.copy_topic_configurations,
                copy_access_control_lists_for_topics=settings.copy_topic_acls,
                detect_and_copy_new_topics=True,
            )
        ],
        consumer_group_replications=[
            msk.ReplicatorReplicationInfoListConsumerGroupReplicationArgs(
                consumer_groups_to_replicates=list(settings.consumer_groups_to_replicate),
                consumer_groups_to_excludes=list(settings.consumer_groups_to_exclude) or None,
                consumer_group_offset_sync_mode=settings.offset_sync_mode,
                synchronise_consumer_group_offsets=True,
                detect_and_copy_new_consumer_groups=True,
            )
        ],
    )


def _wait_for_iam(name: str, seconds: int) -> pulumi.ResourceHook:
    """A pause before the creation: the service checks the role at once, and a new role takes seconds to be known.

    The provider does not retry this. Source: IAM user guide, troubleshooting (changes are not always visible at once).
    """

    def wait(_: pulumi.ResourceHookArgs) -> None:
        time.sleep(seconds)

    return pulumi.ResourceHook(f"{name}-wait-for-iam", wait)


def _known(alias: str | None) -> str:
    """An alias that the service has not told yet is empty, never missing."""
    return alias or ""
