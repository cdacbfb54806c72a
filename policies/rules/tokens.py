"""Types of resources that rules are about. Plain text, so that the pack starts without loading a cloud's SDK."""

from typing import Final

STACK: Final = "pulumi:pulumi:Stack"

CLUSTER: Final = "aws:msk/cluster:Cluster"
SERVERLESS: Final = "aws:msk/serverlessCluster:ServerlessCluster"
CLUSTER_POLICY: Final = "aws:msk/clusterPolicy:ClusterPolicy"
REPLICATOR: Final = "aws:msk/replicator:Replicator"
TOPIC: Final = "aws:msk/topic:Topic"
CONFIGURATION: Final = "aws:msk/configuration:Configuration"
VPC_CONNECTION: Final = "aws:msk/vpcConnection:VpcConnection"
CHANNEL: Final = "aws:msk/channel:Channel"
SCRAM: Final = "aws:msk/scramSecretAssociation:ScramSecretAssociation"
SINGLE_SCRAM: Final = "aws:msk/singleScramSecretAssociation:SingleScramSecretAssociation"
CONNECTOR: Final = "aws:mskconnect/connector:Connector"

ROLE: Final = "aws:iam/role:Role"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
ROLE_POLICY_ATTACHMENT: Final = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
POLICY: Final = "aws:iam/policy:Policy"
USER_POLICY: Final = "aws:iam/userPolicy:UserPolicy"
GROUP_POLICY: Final = "aws:iam/groupPolicy:GroupPolicy"

SECURITY_GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_SECURITY_GROUP: Final = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
SECURITY_GROUP_RULE: Final = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
INSTANCE: Final = "aws:ec2/instance:Instance"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
