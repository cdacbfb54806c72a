"""One Region of the pair: load the configuration, wire the components, export what others need."""

import gc

import pulumi
from pulumi_aws.get_caller_identity import get_caller_identity_output

import config
from components.client import KafkaClient, client_properties
from components.cluster import ExpressCluster
from components.connectivity import Connectivity
from components.monitoring import Monitoring
from components.network import Network
from components.peer import Peer
from components.replicator import Replicator
from components.replicator_alarms import ReplicatorAlarms
from components.topics import Topics

# The imported SDK is 150,000 objects that live as long as the program: looking through them for garbage, again and
# again and once more at the end, would take a third of its time.
gc.freeze()

settings = config.load()
pair = settings.pair
peer = Peer(pair) if pair.reads_peer else None

network = Network(pair.prefix, settings.network)
cluster = ExpressCluster(pair.prefix, settings.cluster, vpc_id=network.vpc_id, subnet_ids=network.private_subnet_ids)
connectivity = Connectivity(
    pair.prefix,
    settings.connectivity,
    vpc_id=network.vpc_id,
    cluster_arn=cluster.arn,
    cluster_security_group_id=cluster.security_group_id,
)
topics = Topics(pair.prefix, settings.topics, cluster_arn=cluster.arn)
monitoring = Monitoring(pair.prefix, settings.monitoring, after=[cluster])

replicator = None
if peer and pair.hosts_replicator:
    replicator = Replicator(
        pair.replicator_name,
        settings.replicator,
        account_id=get_caller_identity_output().account_id,
        source_arn=peer.output("clusterArn"),
        source_subnet_ids=peer.output("subnetIds"),
        target_arn=cluster.arn,
        target_subnet_ids=network.private_subnet_ids,
        security_group_id=connectivity.replicator_security_group_id,
        after=[*connectivity.rules, *topics.topics],
    )
    ReplicatorAlarms(
        pair.replicator_name,
        settings.monitoring,
        source_alias=replicator.source_alias,
        target_alias=replicator.target_alias,
        actions=monitoring.actions,
    )

client = None
if settings.client and network.public_subnet_id:
    client = KafkaClient(
        f"{pair.prefix}-client",
        settings.client,
        vpc_id=network.vpc_id,
        subnet_id=network.public_subnet_id,
        client_security_group_id=connectivity.client_security_group_id,
        cluster_arn=cluster.arn,
    )

pulumi.export("role", pair.role)
pulumi.export("direction", pair.direction)
pulumi.export("region", pair.region)
pulumi.export("clusterArn", cluster.arn)
pulumi.export("clusterName", cluster.name)
pulumi.export("kafkaVersion", settings.cluster.kafka_version)
pulumi.export("bootstrapBrokers", cluster.bootstrap_brokers)
pulumi.export("bootstrapBrokersVpcConnectivity", cluster.bootstrap_brokers_vpc_connectivity)
pulumi.export(
    "clientProperties",
    pulumi.Output.concat("bootstrap.servers=", cluster.bootstrap_brokers, "\n", client_properties(pair.region)),
)
pulumi.export("vpcId", network.vpc_id)
pulumi.export("routeTableId", network.route_table_id)
pulumi.export("subnetIds", network.private_subnet_ids)
pulumi.export("clusterSecurityGroupId", cluster.security_group_id)
pulumi.export("clientSecurityGroupId", connectivity.client_security_group_id)
pulumi.export("clientInstanceId", client.instance_id if client else None)
pulumi.export("replicatorArn", replicator.arn if replicator else None)
pulumi.export("replicatorName", pair.replicator_name if replicator else None)
pulumi.export("dashboardName", monitoring.dashboard_name)
