"""One MSK Provisioned cluster with Express brokers."""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_aws import cloudwatch, msk
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key

from config import ClusterSettings, as_inputs

TIMEOUTS: Final = pulumi.CustomTimeouts(create="150m", update="180m", delete="120m")
"""Creation takes about 31 minutes (measured 2026-09-14) and turning multi-VPC connectivity on 30 more; the provider
waits as long as `create` for each of the two."""


class ExpressCluster(pulumi.ComponentResource):
    """A cluster that speaks TLS only, always authenticates with IAM, is never public, and is ready to be a source.

    Ready to be a source means that multi-VPC connectivity for IAM is on from the first day: the provider creates the
    cluster without it and turns it on in the same update. Its security group has no rules of its own.
    """

    arn: pulumi.Output[str]
    name: str
    security_group_id: pulumi.Output[str]
    bootstrap_brokers: pulumi.Output[str]
    """Addresses for IAM clients; not stable above three brokers, of which the service names a random three."""
    bootstrap_brokers_vpc_connectivity: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: ClusterSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("msk-dr:index:ExpressCluster", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)

        # Names under /aws/vendedlogs/ keep the account's resource policy for log delivery small.
        logs = cloudwatch.LogGroup(
            name,
            name=f"/aws/vendedlogs/msk/{settings.cluster_name}",
            retention_in_days=settings.log_retention_days,
            tags=settings.tags,
            opts=child,
        )
        # The cluster is replaced when its security group is: change rules, never the group.
        group = SecurityGroup(
            name,
            description="Kafka brokers",
            vpc_id=vpc_id,
            tags={**settings.tags, "Name": name},
            opts=child,
        )
        cluster = msk.Cluster(
            name,
            msk.ClusterArgs(
                cluster_name=settings.cluster_name,
                kafka_version=settings.kafka_version,
                number_of_broker_nodes=settings.broker_count,
                enhanced_monitoring=settings.enhanced_monitoring,
                broker_node_group_info=msk.ClusterBrokerNodeGroupInfoArgs(
                    instance_type=settings.instance_type,
                    client_subnets=list(subnet_ids),
                    security_groups=[group.id],
                    connectivity_info=_multi_vpc_for_iam(),
                ),
                client_authentication=_authentication(settings),
                encryption_info=msk.ClusterEncryptionInfoArgs(
                    encryption_at_rest_kms_key_arn=self._key_arn(name, settings),
                    encryption_in_transit=msk.ClusterEncryptionInfoEncryptionInTransitArgs(
                        client_broker="TLS", in_cluster=True
                    ),
                ),
                logging_info=msk.ClusterLoggingInfoArgs(
                    broker_logs=msk.ClusterLoggingInfoBrokerLogsArgs(
                        cloudwatch_logs=msk.ClusterLoggingInfoBrokerLogsCloudwatchLogsArgs(
                            enabled=True, log_group=logs.name
                        )
                    )
                ),
                rebalancing=msk.ClusterRebalancingArgs(status="ACTIVE"),
                tags=settings.tags,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=settings.protect,
                custom_timeouts=TIMEOUTS,
                # The provider keeps a cluster whose key is no longer given, and the key would be deleted under it.
                replacement_trigger=settings.kms_key,
                delete_before_replace=True,
            ),
        )
        self.arn = cluster.arn
        self.name = settings.cluster_name
        self.security_group_id = group.id
        self.bootstrap_brokers = cluster.bootstrap_brokers_sasl_iam
        self.bootstrap_brokers_vpc_connectivity = cluster.bootstrap_brokers_vpc_connectivity_sasl_iam
        self.register_outputs(
            {
                "arn": self.arn,
                "securityGroupId": self.security_group_id,
                "bootstrapBrokers": self.bootstrap_brokers,
                "bootstrapBrokersVpcConnectivity": self.bootstrap_brokers_vpc_connectivity,
            }
        )

    def _key_arn(self, name: str, settings: ClusterSettings) -> pulumi.Input[str] | None:
        """The key for encryption at rest; None leaves it to AWS's own key."""
        if settings.kms_key == "aws-managed":
            return None
        if settings.kms_key != "create":
            return settings.kms_key
        key = Key(
            name,
            description=f"Encryption at rest of the MSK cluster {settings.cluster_name}",
            enable_key_rotation=True,
            tags=settings.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=settings.protect),
        )
        Alias(
            name,
            name=f"alias/{settings.cluster_name}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key.arn


def _multi_vpc_for_iam() -> msk.ClusterBrokerNodeGroupInfoConnectivityInfoArgs:
    """What a cross-Region Replicator needs of its source (developer guide, msk-replicator-prepare-cluster)."""
    sasl = msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityClientAuthenticationSaslArgs(iam=True)
    return msk.ClusterBrokerNodeGroupInfoConnectivityInfoArgs(
        vpc_connectivity=msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityArgs(
            client_authentication=msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityClientAuthenticationArgs(
                sasl=sasl
            )
        )
    )


def _authentication(settings: ClusterSettings) -> msk.ClusterClientAuthenticationArgs:
    cas = list(settings.mtls_certificate_authority_arns)
    return msk.ClusterClientAuthenticationArgs(
        sasl=msk.ClusterClientAuthenticationSaslArgs(iam=True, scram=settings.scram),
        tls=msk.ClusterClientAuthenticationTlsArgs(certificate_authority_arns=cas) if cas else None,
        unauthenticated=False,
    )
