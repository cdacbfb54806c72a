"""What breaks each rule, and what looks as if it did and does not.

A spoil is one change of a stack that obeys every rule, with the exact violations that it must lead to: the rule that it
is for, others that the same change breaks, and words of the message. An allowance is a change that must break nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policies.rules.tokens import (
    ALARM,
    CHANNEL,
    CLUSTER,
    CLUSTER_POLICY,
    CONFIGURATION,
    CONNECTOR,
    DEFAULT_SECURITY_GROUP,
    EGRESS_RULE,
    GROUP_POLICY,
    INGRESS_RULE,
    INSTANCE,
    POLICY,
    REPLICATOR,
    ROLE,
    ROLE_POLICY,
    ROLE_POLICY_ATTACHMENT,
    SCRAM,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SERVERLESS,
    SINGLE_SCRAM,
    STACK,
    TOPIC,
    USER_POLICY,
    VPC_CONNECTION,
)
from tests.policies.kit import World, world
from tests.recording import ACCOUNT

FORWARD: Final = "msk-dr-primary-to-secondary"
"""Logical name of the Replicator, its role and its role's policy."""
CLIENT: Final = "msk-dr-secondary-client"
OWN: Final = "msk-dr-secondary"
OTHER_ACCOUNT: Final = "210987654321"

Change = Callable[[World], object]


@dataclass(frozen=True, kw_only=True)
class Spoil:
    id: str
    rule: str
    """The rule that the spoil is for."""
    change: Change
    says: str
    """Words of the rule's message."""
    also: Sequence[str] = ()
    """Other rules that the change breaks, once for each violation."""
    times: int = 1
    """Violations of the rule itself."""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    id: str
    change: Change
    config: Mapping[str, Any] = field(default_factory=dict)


def baseline() -> World:
    """The secondary stack of the standing pair with a topic, and beside it what the program does not declare."""
    stack = world("secondary", "bidirectional", topics=[{"name": "customer", "partitions": 3}])
    cluster = stack.one(CLUSTER)
    arn = cluster.computed["arn"]
    tags = {"team": "data"}
    stack.add(SECURITY_GROUP, "inline", {"ingress": [opening(9098, 9098, cidrBlocks=["10.0.0.0/8"])], "egress": []})
    stack.one(SECURITY_GROUP, "inline").computed["id"] = "sg-inline"
    stack.add(DEFAULT_SECURITY_GROUP, "default", {"ingress": [opening(443, 443, cidrBlocks=["0.0.0.0/0"])]})
    rule = {"type": "ingress", "securityGroupId": "sg-inline", "cidrBlocks": ["172.16.0.0/12"]}
    stack.add(SECURITY_GROUP_RULE, "old", {**rule, "protocol": "tcp", "fromPort": 9098, "toPort": 9098})
    stack.add(
        CONFIGURATION,
        "settings",
        {
            "name": "orders",
            "kafkaVersions": ["3.9.x.kraft"],
            "serverProperties": "# kept short\nlog.retention.hours = 168\n!old\n"
            "custom.advertised.listeners=CLIENT://b-{broker_id}.example.com:9092+{broker_id}\n",
        },
    )
    secret = f"arn:aws:secretsmanager:us-east-2:{ACCOUNT}:secret:AmazonMSK_orders-AbCdEf"
    stack.add(SCRAM, "users", {"clusterArn": arn, "secretArnLists": [secret, f"{secret}2"]})
    stack.add(SINGLE_SCRAM, "user", {"clusterArn": arn, "secretArn": secret})
    logs = {"workerLogDelivery": {"cloudwatchLogs": {"enabled": True, "logGroup": "connect"}}}
    stack.add(CONNECTOR, "sink", {"kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"}, "logDelivery": logs})
    stack.add(VPC_CONNECTION, "elsewhere", {"tags": tags, "tagsAll": tags, "targetClusterArn": arn})
    stack.add(CHANNEL, "lake", {"tags": tags, "tagsAll": tags, "clusterArn": arn})
    produce = statement(["kafka-cluster:Connect", "kafka-cluster:WriteData"], [arn, topic_arn(arn, "customer")])
    for typ in (POLICY, USER_POLICY, GROUP_POLICY):
        stack.add(typ, "producer", {"policy": json.dumps({"Version": "2012-10-17", "Statement": [produce]})})
    stack.one(POLICY, "producer").computed["arn"] = f"arn:aws:iam::{ACCOUNT}:policy/producer"
    return stack


def opening(low: int, high: int, protocol: str = "tcp", **sources: Any) -> dict[str, Any]:
    return {"protocol": protocol, "fromPort": low, "toPort": high, **sources}


def statement(actions: Any, resources: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def topic_arn(cluster_arn: str, name: str) -> str:
    return f"{cluster_arn.replace(':cluster/', ':topic/')}/{name}"


def put(typ: str, path: str, value: Any, name: str | None = None) -> Change:
    """Sets a property of the one resource of a type."""

    def change(stack: World) -> None:
        stack.one(typ, name).set(path, value)

    return change


def drop(typ: str, *paths: str, name: str | None = None) -> Change:
    def change(stack: World) -> None:
        for path in paths:
            stack.one(typ, name).drop(path)

    return change


def gone(typ: str, name: str | None = None) -> Change:
    """Removes the one resource of a type."""

    def change(stack: World) -> None:
        stack.remove(stack.one(typ, name))

    return change


def more(typ: str, name: str, inputs: Any, **options: Any) -> Change:
    """Adds a resource."""
    return lambda stack: stack.add(typ, name, inputs(stack) if callable(inputs) else inputs, **options)


def both(*changes: Change) -> Change:
    def change(stack: World) -> None:
        for one in changes:
            one(stack)

    return change


def edit(typ: str, key: str, name: str | None, alter: Callable[[dict[str, Any]], object]) -> Change:
    """Changes a JSON document in a property."""

    def change(stack: World) -> None:
        case = stack.one(typ, name)
        document = json.loads(case.inputs[key])
        alter(document)
        case.inputs[key] = json.dumps(document)

    return change


def of_policy(**values: Any) -> Change:
    """Changes the statement of the cluster's policy; None removes a key."""
    return edit(CLUSTER_POLICY, "policy", None, lambda document: _update(document["Statement"][0], values))


def of_trust(**values: Any) -> Change:
    return edit(ROLE, "assumeRolePolicy", FORWARD, lambda document: _update(document["Statement"][0], values))


def of_role(index: int = 0, **values: Any) -> Change:
    """Changes a statement of the execution role's policy."""
    return edit(ROLE_POLICY, "policy", FORWARD, lambda document: _update(document["Statement"][index], values))


def of_producer(**values: Any) -> Change:
    return edit(POLICY, "policy", "producer", lambda document: _update(document["Statement"][0], values))


def _update(entry: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value


def protect(typ: str, protected: bool) -> Change:
    def change(stack: World) -> None:
        stack.one(typ).protect = protected

    return change


def timeouts(**seconds: float) -> Change:
    def change(stack: World) -> None:
        stack.one(REPLICATOR).timeouts = seconds

    return change


def other_cluster(stack: World) -> str:
    """The ARN of a cluster that is not the stack's own."""
    return str(stack.one(CLUSTER).computed["arn"]).replace(OWN, "another")


def replicator_arns(change: Callable[[str], str], *, entry: int, end: str) -> Change:
    """Changes one of the Replicator's clusters in both places where it is named."""

    def apply(stack: World) -> None:
        case = stack.one(REPLICATOR)
        for path in (f"kafkaClusters.{entry}.amazonMskCluster.mskClusterArn", f"{INFO}.{end}KafkaClusterArn"):
            case.set(path, change(case.get(path)))

    return apply


def apache(**values: Any) -> Change:
    """Makes the source a self-managed cluster."""

    def change(stack: World) -> None:
        case = stack.one(REPLICATOR)
        source = {
            "apacheKafkaCluster": {"apacheKafkaClusterId": "abc", "bootstrapBrokerString": "kafka:9094"},
            "clientAuthentication": {"saslScram": {"mechanism": "SHA512", "secretArn": "arn:aws:secretsmanager:x"}},
        }
        _update(source, values)
        case.set("kafkaClusters.0", source)
        case.drop(f"{INFO}.sourceKafkaClusterArn")
        case.set(f"{INFO}.sourceKafkaClusterId", "abc")
        for index in range(6):
            _own_only(stack, index)

    return change


def _own_only(stack: World, index: int) -> None:
    """Leaves what the role may do on the target alone, as a self-managed source needs it."""
    document = json.loads(stack.one(ROLE_POLICY, FORWARD).inputs["policy"])
    entry = document["Statement"][index]
    resources = entry["Resource"] if isinstance(entry["Resource"], list) else [entry["Resource"]]
    entry["Resource"] = [resource for resource in resources if ":us-east-2:" in resource]
    stack.one(ROLE_POLICY, FORWARD).inputs["policy"] = json.dumps(document)


INFO: Final = "replicationInfoList"
TOPICS: Final = f"{INFO}.topicReplications.0"
GROUPS: Final = f"{INFO}.consumerGroupReplications.0"
NODES: Final = "brokerNodeGroupInfo"
TRANSIT: Final = "encryptionInfo.encryptionInTransit"
LOGS: Final = "loggingInfo.brokerLogs"
SASL: Final = f"{NODES}.connectivityInfo.vpcConnectivity.clientAuthentication.sasl"
ACCEPTED: Final = "msk-cluster-authentication-accepted"
SERVERLESS_INPUTS: Final[dict[str, Any]] = {
    "clusterName": "small",
    "clientAuthentication": {"sasl": {"iam": {"enabled": True}}},
    "vpcConfigs": [{"subnetIds": ["subnet-1", "subnet-2"]}],
    "tags": {"team": "data"},
}


def serverless(**values: Any) -> Change:
    return more(SERVERLESS, "small", {**SERVERLESS_INPUTS, **values}, protect=True)


def serverless_spoil(id_: str, rule: str, says: str, **values: Any) -> Spoil:
    """A Serverless cluster that breaks a rule; that it has no Express brokers is allowed here."""
    config = {"msk-cluster-express-brokers": {"exemptions": [{"resource": "small", "reason": "not part of a pair"}]}}
    return Spoil(id=id_, rule=rule, change=serverless(**values), says=says, config=config)


def secret_twice(stack: World) -> None:
    secrets = stack.one(SCRAM).inputs["secretArnLists"]
    secrets[1] = secrets[0]


def secret_of(account: str, typ: str, path: str) -> Change:
    def change(stack: World) -> None:
        case = stack.one(typ)
        case.set(path, case.get(path).replace(ACCOUNT, account))

    return change


def twice_the_subnet(stack: World) -> None:
    subnets = stack.one(CLUSTER).get(f"{NODES}.clientSubnets")
    subnets[2] = subnets[0]


def fewer_subnets(count: int) -> Change:
    def change(stack: World) -> None:
        subnets = stack.one(CLUSTER).get(f"{NODES}.clientSubnets")
        subnets[:] = (subnets * 2)[:count] if count <= 3 else [*subnets, "subnet-of-another-zone"]

    return change


def same_cluster_twice(stack: World) -> None:
    case = stack.one(REPLICATOR)
    target = case.get(f"{INFO}.targetKafkaClusterArn")
    case.set("kafkaClusters.0.amazonMskCluster.mskClusterArn", target)
    case.set(f"{INFO}.sourceKafkaClusterArn", target)
    for index in range(6):
        _own_only(stack, index)


def third_entry(stack: World) -> None:
    entries = stack.one(REPLICATOR).inputs["kafkaClusters"]
    arn = entries[0]["amazonMskCluster"]["mskClusterArn"].replace("msk-dr-primary", "third")
    entries.append({**entries[0], "amazonMskCluster": {"mskClusterArn": arn}})


def unnamed_group(stack: World) -> None:
    """The Replicator uses the brokers' own group, whose members may reach each other."""
    replicator_rule("ingress", gone=True)(stack)
    stack.one(REPLICATOR).drop("kafkaClusters.1.vpcConfig.securityGroupsIds")
    group = stack.one(CLUSTER).get(f"{NODES}.securityGroups.0")
    stack.add(SECURITY_GROUP_RULE, "self", {"type": "ingress", "securityGroupId": group, "self": True, **TCP_9098})


def closed_to_themselves(stack: World) -> None:
    """Takes away the rules by which the brokers' own group reaches itself."""
    group = stack.one(CLUSTER).get(f"{NODES}.securityGroups.0")
    for rule in list(stack.of(INGRESS_RULE)):
        if rule.inputs.get("referencedSecurityGroupId") == group == rule.inputs["securityGroupId"]:
            stack.remove(rule)


TCP_9098: Final = {"protocol": "tcp", "fromPort": 9098, "toPort": 9098}


def _from_replicator(stack: World) -> str:
    group = stack.one(REPLICATOR).get("kafkaClusters.1.vpcConfig.securityGroupsIds.0")
    return next(r.name for r in stack.of(INGRESS_RULE) if r.inputs.get("referencedSecurityGroupId") == group)


def _to_brokers(stack: World) -> str:
    group = stack.one(REPLICATOR).get("kafkaClusters.1.vpcConfig.securityGroupsIds.0")
    return next(r.name for r in stack.of(EGRESS_RULE) if r.inputs.get("securityGroupId") == group)


def replicator_rule(kind: str, **values: Any) -> Change:
    """Changes the rule between Replicator and brokers; `gone=True` removes it."""

    def change(stack: World) -> None:
        typ = INGRESS_RULE if kind == "ingress" else EGRESS_RULE
        case = stack.one(typ, _from_replicator(stack) if kind == "ingress" else _to_brokers(stack))
        if values.get("gone"):
            stack.remove(case)
        else:
            _update(case.inputs, values)

    return change


def world_rule(**values: Any) -> Change:
    """A rule of its own that lets the world into the brokers' group."""

    def inputs(stack: World) -> dict[str, Any]:
        group = stack.one(CLUSTER).get(f"{NODES}.securityGroups.0")
        rule = {
            "securityGroupId": group,
            "ipProtocol": "tcp",
            "fromPort": 9098,
            "toPort": 9098,
            "cidrIpv4": "0.0.0.0/0",
        }
        _update(rule, values)
        return rule

    return more(INGRESS_RULE, "open", inputs)


def client_rule(typ: str, **values: Any) -> Change:
    """A rule for the client's own group."""

    def inputs(stack: World) -> dict[str, Any]:
        return {"securityGroupId": stack.one(INSTANCE).get("vpcSecurityGroupIds.0"), **values}

    return more(typ, "ssh", inputs)


def no_alarm(metric: str) -> Change:
    """Removes every alarm that watches a metric."""

    def change(stack: World) -> None:
        for case in list(stack.of(ALARM)):
            if f"'{metric}'" in repr(case.inputs):
                stack.remove(case)

    return change


def silent_ping(stack: World) -> None:
    case = next(a for a in stack.of(ALARM) if "KafkaClusterPingSuccessCount" in repr(a.inputs))
    case.set("treatMissingData", "notBreaching")


def unset_ping(stack: World) -> None:
    case = next(a for a in stack.of(ALARM) if "KafkaClusterPingSuccessCount" in repr(a.inputs))
    case.drop("treatMissingData")


def plain_alarm(stack: World) -> None:
    """Watches the lag with an alarm on the metric itself, not on an expression."""
    no_alarm("MessageLag")(stack)
    no_alarm("ReplicationLatency")(stack)
    for metric in ("MessageLag", "ReplicationLatency"):
        stack.add(
            ALARM,
            metric,
            {"metricName": metric, "namespace": "AWS/Kafka", "dimensions": {"ReplicatorName": FORWARD}},
        )


def foreign_role(stack: World) -> None:
    stack.one(REPLICATOR).set("serviceExecutionRoleArn", f"arn:aws:iam::{ACCOUNT}:role/made-elsewhere")


def attach(policy_arn: str) -> Change:
    return more(
        ROLE_POLICY_ATTACHMENT,
        "wide",
        lambda stack: {"role": stack.one(ROLE, FORWARD).computed["name"], "policyArn": policy_arn},
    )


def permissions_elsewhere(place: str) -> Change:
    """Moves the role's permissions into an attached policy, or into the role itself."""

    def change(stack: World) -> None:
        case = stack.one(ROLE_POLICY, FORWARD)
        stack.remove(case)
        if place == "inline":
            stack.one(ROLE, FORWARD).set("inlinePolicies", [{"name": "inside", "policy": case.inputs["policy"]}])
        else:
            arn = f"arn:aws:iam::{ACCOUNT}:policy/moved"
            stack.add(POLICY, "moved", {"policy": case.inputs["policy"]}, computed={"arn": arn})
            if place == "attached":
                attach(arn)(stack)
            else:
                stack.one(ROLE, FORWARD).set("managedPolicyArns", [arn])

    return change


def direction(value: str) -> Change:
    def change(stack: World) -> None:
        stack.one(STACK).computed["direction"] = value

    return change


def no_replicator(stack: World) -> None:
    for typ, name in ((REPLICATOR, None), (ROLE_POLICY, FORWARD), (ROLE, FORWARD)):
        stack.remove(stack.one(typ, name))
    for case in [a for a in stack.of(ALARM) if "ReplicatorName" in repr(a.inputs)]:
        stack.remove(case)


def backlog(configs: Any) -> Change:
    return put(TOPIC, "configs", json.dumps(configs) if isinstance(configs, dict) else configs)


def many(count: int) -> list[str]:
    return [f"topic-{n}" for n in range(count)]


NOTHING: Final[dict[str, Any]] = {}
BEFORE: Final = "message.timestamp.before.max.ms"
WEEK: Final = "604800000"
VPC_CA: Final = "arn:aws:acm-pca:us-east-2:123456789012:certificate-authority/1"

SPOILS: Final = (
    # The three that the product stands on.
    Spoil(
        id="iam off",
        rule="msk-cluster-iam-enabled",
        change=put(CLUSTER, "clientAuthentication.sasl.iam", False),
        says="clientAuthentication.sasl.iam is false; it must be true",
        also=[ACCEPTED, ACCEPTED],
    ),
    Spoil(
        id="no authentication at all",
        rule="msk-cluster-no-unauthenticated-access",
        change=drop(CLUSTER, "clientAuthentication"),
        says="clientAuthentication.unauthenticated is not set; it must be false",
        also=["msk-cluster-iam-enabled", ACCEPTED],
    ),
    Spoil(
        id="unauthenticated beside IAM",
        rule="msk-cluster-no-unauthenticated-access",
        change=put(CLUSTER, "clientAuthentication.unauthenticated", True),
        says="clientAuthentication.unauthenticated is true; it must be false",
    ),
    serverless_spoil(
        "serverless without IAM",
        "msk-cluster-iam-enabled",
        "clientAuthentication.sasl.iam.enabled is not set",
        clientAuthentication={},
    ),
    Spoil(
        id="prefixed names",
        rule="msk-replicator-names-identical",
        change=both(
            put(REPLICATOR, f"{TOPICS}.topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"),
            put(REPLICATOR, f"{GROUPS}.consumerGroupOffsetSyncMode", "LEGACY"),
        ),
        says=f"{INFO}.topicReplications[0].topicNameConfiguration.type is 'PREFIXED_WITH_SOURCE_CLUSTER_ALIAS'",
    ),
    Spoil(
        id="names left to the default",
        rule="msk-replicator-names-identical",
        change=both(
            drop(REPLICATOR, f"{TOPICS}.topicNameConfiguration"),
            drop(REPLICATOR, f"{GROUPS}.consumerGroupOffsetSyncMode"),
        ),
        says="must be 'IDENTICAL'",
        also=["msk-replicator-start-and-names-explicit"],
    ),
    Spoil(
        id="standard brokers",
        rule="msk-cluster-express-brokers",
        change=put(CLUSTER, f"{NODES}.instanceType", "kafka.m7g.large"),
        says="brokerNodeGroupInfo.instanceType is 'kafka.m7g.large'; it must be one of express.*",
    ),
    Spoil(
        id="an express type that is not allowed",
        rule="msk-cluster-express-brokers",
        change=lambda stack: None,
        says="is 'express.m7g.large'; it must be one of express.m7g.4xlarge",
        config={"msk-cluster-express-brokers": {"allowedInstanceTypes": ["express.m7g.4xlarge"]}},
    ),
    Spoil(
        id="serverless",
        rule="msk-cluster-express-brokers",
        change=serverless(),
        says="the cluster is a Serverless one",
    ),
    # The shape of a cluster.
    Spoil(
        id="two subnets",
        rule="msk-cluster-subnets-in-three-zones",
        change=fewer_subnets(2),
        says="clientSubnets has 2 entries; Express brokers need exactly 3",
        also=["msk-cluster-brokers-fill-zones"],
    ),
    Spoil(
        id="a subnet twice",
        rule="msk-cluster-subnets-in-three-zones",
        change=twice_the_subnet,
        says="2 times; every zone needs a subnet of its own",
    ),
    Spoil(
        id="four subnets of standard brokers",
        rule="msk-cluster-subnets-in-three-zones",
        change=both(put(CLUSTER, f"{NODES}.instanceType", "kafka.m7g.large"), fewer_subnets(4)),
        says="clientSubnets has 4 entries; brokers stand in two or three zones",
        also=["msk-cluster-brokers-fill-zones"],
        config={"msk-cluster-express-brokers": {"allowedInstanceTypes": ["kafka.m7g.large"]}},
    ),
    Spoil(
        id="one subnet of standard brokers",
        rule="msk-cluster-subnets-in-three-zones",
        change=both(put(CLUSTER, f"{NODES}.instanceType", "kafka.m7g.large"), fewer_subnets(1)),
        says="clientSubnets has 1 entries",
        config={"msk-cluster-express-brokers": {"allowedInstanceTypes": ["kafka.m7g.large"]}},
    ),
    Spoil(
        id="four brokers",
        rule="msk-cluster-brokers-fill-zones",
        change=put(CLUSTER, "numberOfBrokerNodes", 4),
        says="numberOfBrokerNodes is 4; it must be a multiple of the 3 zones",
    ),
    Spoil(
        id="no brokers",
        rule="msk-cluster-brokers-fill-zones",
        change=put(CLUSTER, "numberOfBrokerNodes", 0),
        says="numberOfBrokerNodes is 0",
    ),
    Spoil(
        id="number of brokers left out",
        rule="msk-cluster-brokers-fill-zones",
        change=drop(CLUSTER, "numberOfBrokerNodes"),
        says="numberOfBrokerNodes is not set",
    ),
    Spoil(
        id="a volume",
        rule="msk-cluster-no-storage-settings",
        change=put(CLUSTER, f"{NODES}.storageInfo", {"ebsStorageInfo": {"volumeSize": 100}}),
        says="brokerNodeGroupInfo.storageInfo is set; Express brokers take no storage settings",
    ),
    Spoil(
        id="tiered storage",
        rule="msk-cluster-no-storage-settings",
        change=put(CLUSTER, "storageMode", "TIERED"),
        says="The storageMode parameter is not supported for Express instance types",
    ),
    Spoil(
        id="a version of standard brokers",
        rule="msk-cluster-kafka-version-offered",
        change=put(CLUSTER, "kafkaVersion", "3.7.x"),
        says="Express instance types are not supported for Kafka version 3.7.x",
    ),
    Spoil(
        id="a version that the team does not allow",
        rule="msk-cluster-kafka-version-offered",
        change=lambda stack: None,
        says="kafkaVersion is '3.9.x.kraft'; it must be one of 4.2.x.kraft",
        config={"msk-cluster-kafka-version-offered": {"allowedVersions": ["4.2.x.kraft"]}},
    ),
    Spoil(
        id="an underscore in the name",
        rule="msk-cluster-name-accepted",
        change=put(CLUSTER, "clusterName", "msk_dr"),
        says="clusterName is 'msk_dr'; it takes letters, digits and hyphens",
    ),
    Spoil(
        id="a name of 65 characters",
        rule="msk-cluster-name-accepted",
        change=put(CLUSTER, "clusterName", "a" * 65),
        says="clusterName has 65 characters; at most 64",
    ),
    Spoil(
        id="another Region in the name",
        rule="msk-cluster-name-accepted",
        change=put(CLUSTER, "clusterName", "orders-us-east-1"),
        says="must not contain the id of another Region than us-east-2",
    ),
    serverless_spoil(
        "serverless with an underscore",
        "msk-cluster-name-accepted",
        "is 'sm_all'; it takes letters",
        clusterName="sm_all",
    ),
    serverless_spoil(
        "serverless in six networks",
        "msk-serverless-networks-accepted",
        "vpcConfigs has 6 entries; at most 5",
        vpcConfigs=SERVERLESS_INPUTS["vpcConfigs"] * 6,
    ),
    serverless_spoil(
        "serverless in one subnet",
        "msk-serverless-networks-accepted",
        "vpcConfigs[0].subnetIds has 1 entries; 2 to 6",
        vpcConfigs=[{"subnetIds": ["subnet-1"]}],
    ),
    serverless_spoil(
        "serverless in seven subnets",
        "msk-serverless-networks-accepted",
        "vpcConfigs[0].subnetIds has 7 entries; 2 to 6",
        vpcConfigs=[{"subnetIds": [f"subnet-{n}" for n in range(7)]}],
    ),
    # Encryption, reach and sight.
    Spoil(
        id="clients in plain text",
        rule="msk-cluster-clients-use-tls",
        change=put(CLUSTER, f"{TRANSIT}.clientBroker", "PLAINTEXT"),
        says="encryptionInfo.encryptionInTransit.clientBroker is 'PLAINTEXT'; it must be 'TLS'",
        also=[ACCEPTED],
    ),
    Spoil(
        id="brokers in plain text",
        rule="msk-cluster-brokers-use-tls",
        change=put(CLUSTER, f"{TRANSIT}.inCluster", False),
        says="inCluster is false; it must be true",
        also=[ACCEPTED],
    ),
    Spoil(
        id="no key",
        rule="msk-cluster-customer-managed-key",
        change=drop(CLUSTER, "encryptionInfo.encryptionAtRestKmsKeyArn"),
        says="encryptionAtRestKmsKeyArn is not set; then the service's own key",
    ),
    Spoil(
        id="the service's key",
        rule="msk-cluster-customer-managed-key",
        change=put(
            CLUSTER, "encryptionInfo.encryptionAtRestKmsKeyArn", f"arn:aws:kms:us-east-2:{ACCOUNT}:alias/aws/kafka"
        ),
        says="alias/aws/kafka'; then the service's own key",
    ),
    Spoil(
        id="public",
        rule="msk-cluster-not-public",
        change=put(CLUSTER, f"{NODES}.connectivityInfo.publicAccess", {"type": "SERVICE_PROVIDED_EIPS"}),
        says="publicAccess.type is 'SERVICE_PROVIDED_EIPS'; it must be 'DISABLED'",
    ),
    Spoil(
        id="both TLS and plain text",
        rule=ACCEPTED,
        change=put(CLUSTER, f"{TRANSIT}.clientBroker", "TLS_PLAINTEXT"),
        says="You must enable unauthenticated traffic explicitly",
        also=["msk-cluster-clients-use-tls"],
    ),
    Spoil(
        id="authentication over plain text",
        rule=ACCEPTED,
        change=put(CLUSTER, f"{TRANSIT}.clientBroker", "PLAINTEXT"),
        says="must be set to either TLS or TLS_PLAINTEXT to enable client authentication",
        also=["msk-cluster-clients-use-tls"],
    ),
    Spoil(
        id="authentication without encryption in the cluster",
        rule=ACCEPTED,
        change=put(CLUSTER, f"{TRANSIT}.inCluster", False),
        says="you must also turn on in-cluster encryption",
        also=["msk-cluster-brokers-use-tls"],
    ),
    Spoil(
        id="nobody gets in",
        rule=ACCEPTED,
        change=both(drop(CLUSTER, "clientAuthentication.sasl"), drop(CLUSTER, f"{NODES}.connectivityInfo")),
        says="Unauthenticated cannot be set to false without enabling any authentication mechanisms",
        also=["msk-cluster-iam-enabled", "msk-cluster-multi-vpc-iam"],
    ),
    Spoil(
        id="mutual TLS without an authority",
        rule=ACCEPTED,
        change=put(CLUSTER, "clientAuthentication.tls", {}),
        says="clientAuthentication.tls names no authority",
    ),
    Spoil(
        id="mutual TLS with a certificate for an authority",
        rule=ACCEPTED,
        change=put(
            CLUSTER,
            "clientAuthentication.tls",
            {"certificateAuthorityArns": [VPC_CA, "arn:aws:acm:us-east-2:123456789012:certificate/1"]},
        ),
        says="certificateAuthorityArns has 'arn:aws:acm:us-east-2:123456789012:certificate/1'",
    ),
    Spoil(
        id="multi-VPC for a mechanism that is off",
        rule=ACCEPTED,
        change=put(CLUSTER, f"{SASL}.scram", True),
        says="SCRAM is off for the cluster; it must be on for both",
    ),
    Spoil(
        id="no broker logs",
        rule="msk-cluster-logs-delivered",
        change=drop(CLUSTER, "loggingInfo"),
        says="loggingInfo.brokerLogs has no destination that is enabled",
    ),
    Spoil(
        id="broker logs switched off",
        rule="msk-cluster-logs-delivered",
        change=put(CLUSTER, LOGS, {"cloudwatchLogs": {"enabled": False}}),
        says="has no destination that is enabled",
    ),
    Spoil(
        id="broker logs to nowhere",
        rule="msk-cluster-logs-delivered",
        change=drop(CLUSTER, f"{LOGS}.cloudwatchLogs.logGroup"),
        says="cloudwatchLogs is enabled without logGroup; it must say where to (the service: 'To use CloudWatch Logs",
    ),
    Spoil(
        id="broker logs to no bucket",
        rule="msk-cluster-logs-delivered",
        change=put(CLUSTER, f"{LOGS}.s3", {"enabled": True}),
        says="s3 is enabled without bucket",
    ),
    Spoil(
        id="broker logs to no stream",
        rule="msk-cluster-logs-delivered",
        change=put(CLUSTER, f"{LOGS}.firehose", {"enabled": True}),
        says="firehose is enabled without deliveryStream",
    ),
    Spoil(
        id="monitoring left to the default",
        rule="msk-cluster-monitored-per-broker",
        change=drop(CLUSTER, "enhancedMonitoring"),
        says="enhancedMonitoring is 'DEFAULT'; it must be 'PER_BROKER' or finer",
    ),
    Spoil(
        id="monitoring coarser than the team wants",
        rule="msk-cluster-monitored-per-broker",
        change=lambda stack: None,
        says="enhancedMonitoring is 'PER_BROKER'; it must be 'PER_TOPIC_PER_BROKER' or finer",
        config={"msk-cluster-monitored-per-broker": {"minimumLevel": "PER_TOPIC_PER_BROKER"}},
    ),
    Spoil(
        id="open monitoring of nothing",
        rule="msk-cluster-exporters-enabled",
        change=put(CLUSTER, "openMonitoring", {"prometheus": {"jmxExporter": {"enabledInBroker": False}}}),
        says="openMonitoring.prometheus has no exporter that is enabled",
    ),
    # Ready to be a source.
    Spoil(
        id="multi-VPC off",
        rule="msk-cluster-multi-vpc-iam",
        change=put(CLUSTER, f"{SASL}.iam", False),
        says="vpcConnectivity.clientAuthentication.sasl.iam is false; it must be true on every cluster",
    ),
    Spoil(
        id="no connectivity",
        rule="msk-cluster-multi-vpc-iam",
        change=drop(CLUSTER, f"{NODES}.connectivityInfo"),
        says="sasl.iam is not set",
    ),
    Spoil(
        id="no cluster policy",
        rule="msk-cluster-source-policy",
        change=gone(CLUSTER_POLICY),
        says="the cluster has no msk.ClusterPolicy in this stack",
    ),
    Spoil(
        id="a policy of another cluster only",
        rule="msk-cluster-source-policy",
        change=lambda stack: both(
            put(CLUSTER_POLICY, "clusterArn", other_cluster(stack)), of_policy(Resource=other_cluster(stack))
        )(stack),
        says="the cluster has no msk.ClusterPolicy in this stack",
    ),
    Spoil(
        id="a policy that lacks an action",
        rule="msk-cluster-source-policy",
        change=of_policy(Action=["kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers"]),
        says="does not allow kafka.amazonaws.com kafka:DescribeClusterV2;",
    ),
    Spoil(
        id="a policy for an account only",
        rule="msk-cluster-source-policy",
        change=of_policy(Principal={"AWS": OTHER_ACCOUNT}),
        says="does not allow kafka.amazonaws.com kafka:CreateVpcConnection, kafka:GetBootstrapBrokers, "
        "kafka:DescribeClusterV2;",
    ),
    Spoil(
        id="a policy that denies",
        rule="msk-cluster-source-policy",
        change=of_policy(Effect="Deny"),
        says="does not allow kafka.amazonaws.com",
    ),
    Spoil(
        id="everybody as principal",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal="*"),
        says="policy lets '*' in; it must name kafka.amazonaws.com or an account",
        also=["msk-cluster-source-policy"],
    ),
    Spoil(
        id="every account beside the service",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal={"Service": "kafka.amazonaws.com", "AWS": ["*"]}),
        says="policy lets '*' in",
    ),
    Spoil(
        id="a role of every account",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal={"Service": "kafka.amazonaws.com", "AWS": "arn:aws:iam::*:role/reader"}),
        says="policy lets 'arn:aws:iam::*:role/reader' in",
    ),
    Spoil(
        id="another service",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal={"Service": ["kafka.amazonaws.com", "lambda.amazonaws.com"]}),
        says="policy lets lambda.amazonaws.com in",
    ),
    Spoil(
        id="everybody but one",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal=None, NotPrincipal={"AWS": OTHER_ACCOUNT}),
        says="policy has NotPrincipal; it lets everybody else in",
        also=["msk-cluster-source-policy"],
    ),
    Spoil(
        id="nobody in particular",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal=None),
        says="policy has a statement without Principal",
        also=["msk-cluster-source-policy"],
    ),
    Spoil(
        id="an account that the team does not allow",
        rule="msk-cluster-policy-principals-named",
        change=of_policy(Principal={"Service": "kafka.amazonaws.com", "AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}),
        says=f"policy lets account {OTHER_ACCOUNT} in; only {ACCOUNT} may be",
        config={"msk-cluster-policy-principals-named": {"allowedAccounts": [ACCOUNT]}},
    ),
    Spoil(
        id="an action too many",
        rule="msk-cluster-policy-actions-listed",
        change=edit(
            CLUSTER_POLICY, "policy", None, lambda d: d["Statement"][0]["Action"].append("kafka:DeleteCluster")
        ),
        says="policy allows 'kafka:DeleteCluster'; only",
    ),
    Spoil(
        id="every action",
        rule="msk-cluster-policy-actions-listed",
        change=of_policy(Action="kafka:*"),
        says="policy allows 'kafka:*'; only",
        also=["msk-cluster-source-policy"],
    ),
    Spoil(
        id="every action but one",
        rule="msk-cluster-policy-actions-listed",
        change=edit(
            CLUSTER_POLICY, "policy", None, lambda d: d["Statement"][0].update(NotAction="kafka:DeleteCluster")
        ),
        says="policy has NotAction; it allows everything else",
    ),
    Spoil(
        id="a policy about another cluster",
        rule="msk-cluster-policy-own-cluster",
        change=lambda stack: of_policy(Resource=other_cluster(stack))(stack),
        says="it must be about the cluster it belongs to",
    ),
    Spoil(
        id="a policy about everything",
        rule="msk-cluster-policy-own-cluster",
        change=of_policy(Resource="*"),
        says="policy is about '*'",
    ),
    Spoil(
        id="a policy about another cluster's topic",
        rule="msk-cluster-policy-own-cluster",
        change=lambda stack: of_policy(
            Resource=[stack.one(CLUSTER).computed["arn"], topic_arn(other_cluster(stack), "customer")]
        )(stack),
        says=":topic/another/",
    ),
    Spoil(
        id="a policy about a topic of the same name elsewhere",
        rule="msk-cluster-policy-own-cluster",
        change=lambda stack: of_policy(
            Resource=topic_arn(stack.one(CLUSTER).computed["arn"].replace("us-east-2", "us-west-2"), "customer")
        )(stack),
        says="us-west-2",
    ),
    Spoil(
        id="a policy about nothing",
        rule="msk-cluster-policy-own-cluster",
        change=of_policy(Resource=None),
        says="policy has a statement without Resource",
    ),
    # Replicators.
    Spoil(
        id="created with its source",
        rule="msk-replicator-in-target-region",
        change=put(REPLICATOR, "region", "us-east-1"),
        says="is in us-east-2, the Replicator in us-east-1; it must be created in the Region of its target",
    ),
    Spoil(
        id="source and target the same",
        rule="msk-replicator-clusters-match",
        change=same_cluster_twice,
        says="source and target must differ",
        times=2,
    ),
    Spoil(
        id="a cluster that is not reached",
        rule="msk-replicator-clusters-match",
        change=lambda stack: put(REPLICATOR, f"{INFO}.sourceKafkaClusterArn", other_cluster(stack))(stack),
        says="it must be one of kafkaClusters",
    ),
    Spoil(
        id="three clusters",
        rule="msk-replicator-entries-accepted",
        change=third_entry,
        says="kafkaClusters has 3 entries; it must have two",
    ),
    Spoil(
        id="two kinds in one entry",
        rule="msk-replicator-entries-accepted",
        change=put(REPLICATOR, "kafkaClusters.0.apacheKafkaCluster", {"apacheKafkaClusterId": "abc"}),
        says="kafkaClusters[0] has amazonMskCluster and apacheKafkaCluster; it must have one kind",
    ),
    Spoil(
        id="an entry without a subnet",
        rule="msk-replicator-entries-accepted",
        change=drop(REPLICATOR, "kafkaClusters.0.vpcConfig"),
        says="kafkaClusters[0].vpcConfig.subnetIds is not set",
    ),
    Spoil(
        id="an entry without a cluster",
        rule="msk-replicator-entries-accepted",
        change=drop(REPLICATOR, "kafkaClusters.0.amazonMskCluster"),
        says="kafkaClusters[0] has no cluster",
        also=["msk-replicator-clusters-match", *["msk-replicator-role-own-clusters"] * 6],
    ),
    Spoil(
        id="a self-managed source in a VPC",
        rule="msk-replicator-entries-accepted",
        change=apache(vpcConfig={"subnetIds": ["subnet-1"]}),
        says="kafkaClusters[0].vpcConfig is set for a self-managed cluster",
    ),
    Spoil(
        id="a self-managed source without authentication",
        rule="msk-replicator-entries-accepted",
        change=apache(clientAuthentication=None),
        says="kafkaClusters[0].clientAuthentication is not set",
    ),
    Spoil(
        id="source by ARN and by id",
        rule="msk-replicator-entries-accepted",
        change=put(REPLICATOR, f"{INFO}.sourceKafkaClusterId", "abc"),
        says="replicationInfoList has both sourceKafkaClusterArn and sourceKafkaClusterId; it must have one",
    ),
    Spoil(
        id="no source",
        rule="msk-replicator-entries-accepted",
        change=drop(REPLICATOR, f"{INFO}.sourceKafkaClusterArn"),
        says="replicationInfoList has neither sourceKafkaClusterArn and sourceKafkaClusterId; it must have one",
    ),
    Spoil(
        id="a source of another account",
        rule="msk-replicator-one-account",
        change=replicator_arns(lambda arn: arn.replace(ACCOUNT, OTHER_ACCOUNT), entry=0, end="source"),
        says=f"kafkaClusters are in the accounts {ACCOUNT}, {OTHER_ACCOUNT}; both must be in one",
        also=["msk-replicator-role-own-clusters"] * 6,
    ),
    Spoil(
        id="a role of another account",
        rule="msk-replicator-one-account",
        change=put(REPLICATOR, "serviceExecutionRoleArn", f"arn:aws:iam::{OTHER_ACCOUNT}:role/elsewhere"),
        says=f"serviceExecutionRoleArn is of account {OTHER_ACCOUNT}, the clusters of {ACCOUNT}",
        also=["msk-replicator-role-ready"],
    ),
    Spoil(
        id="start left to the default",
        rule="msk-replicator-start-and-names-explicit",
        change=drop(REPLICATOR, f"{TOPICS}.startingPosition"),
        says="startingPosition.type is not set; it must be, for the default 'LATEST' leaves out",
    ),
    Spoil(
        id="enhanced sync with prefixed names",
        rule="msk-replicator-offset-sync-accepted",
        change=put(REPLICATOR, f"{TOPICS}.topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"),
        says="is only supported when topicNameConfiguration type is IDENTICAL",
        also=["msk-replicator-names-identical"],
    ),
    Spoil(
        id="enhanced sync of nothing",
        rule="msk-replicator-offset-sync-accepted",
        change=put(REPLICATOR, f"{GROUPS}.synchroniseConsumerGroupOffsets", False),
        says="synchroniseConsumerGroupOffsets is false; with the mode 'ENHANCED' it must be true",
    ),
    Spoil(
        id="new topics ignored",
        rule="msk-replicator-detects-new",
        change=put(REPLICATOR, f"{TOPICS}.detectAndCopyNewTopics", False),
        says="detectAndCopyNewTopics is false; it must be true, else a topic made tomorrow",
    ),
    Spoil(
        id="new groups ignored",
        rule="msk-replicator-detects-new",
        change=put(REPLICATOR, f"{GROUPS}.detectAndCopyNewConsumerGroups", False),
        says="else a consumer group made tomorrow",
    ),
    Spoil(
        id="a star alone",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{TOPICS}.topicsToReplicates", ["*"]),
        says="topicsToReplicates has '*', which looks like a glob; the Replicator reads regular expressions.",
    ),
    Spoil(
        id="a glob",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{TOPICS}.topicsToExcludes", ["orders-*"]),
        says="Write 'orders-.*'",
    ),
    Spoil(
        id="a regular expression that is none",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{GROUPS}.consumerGroupsToReplicates", ["orders(-dlq"]),
        says="has 'orders(-dlq', which must be a regular expression",
    ),
    Spoil(
        id="an empty pattern",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{GROUPS}.consumerGroupsToExcludes", [""]),
        says="consumerGroupsToExcludes has '', which is empty",
    ),
    Spoil(
        id="a topic pattern of 250 characters",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{TOPICS}.topicsToReplicates", ["t" * 250]),
        says="which has 250 characters; at most 249",
    ),
    Spoil(
        id="no topics",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{TOPICS}.topicsToReplicates", []),
        says="topicsToReplicates has 0 patterns; it must have 1 to 100",
    ),
    Spoil(
        id="101 patterns",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{TOPICS}.topicsToReplicates", many(101)),
        says="topicsToReplicates has 101 patterns; it must have 1 to 100",
    ),
    Spoil(
        id="everything left out",
        rule="msk-replicator-patterns-match",
        change=put(REPLICATOR, f"{TOPICS}.topicsToExcludes", [".*"]),
        says="topicsToExcludes has ['.*']; it must leave something to copy",
    ),
    Spoil(
        id="left out what is copied",
        rule="msk-replicator-patterns-match",
        change=both(
            put(REPLICATOR, f"{GROUPS}.consumerGroupsToReplicates", ["orders"]),
            put(REPLICATOR, f"{GROUPS}.consumerGroupsToExcludes", ["orders", "payments"]),
        ),
        says="consumerGroupsToExcludes has ['orders', 'payments']; it must leave something to copy",
    ),
    Spoil(
        id="no Replicator logs",
        rule="msk-replicator-logs-delivered",
        change=drop(REPLICATOR, "logDelivery"),
        says="logDelivery.replicatorLogDelivery has no destination that is enabled",
    ),
    Spoil(
        id="Replicator logs to nowhere",
        rule="msk-replicator-logs-delivered",
        change=drop(REPLICATOR, "logDelivery.replicatorLogDelivery.cloudwatchLogs.logGroup"),
        says="cloudwatchLogs is enabled without logGroup",
    ),
    Spoil(
        id="timeouts left to the provider",
        rule="msk-replicator-timeouts-long",
        change=timeouts(),
        says="is not set, which means 30 minutes; it must be 60 minutes or more",
        times=3,
    ),
    Spoil(
        id="half an hour to update",
        rule="msk-replicator-timeouts-long",
        change=timeouts(create=5400, update=1800, delete=3600),
        says="the timeout of update is 30 minutes; it must be 60 minutes or more",
    ),
    Spoil(
        id="less than the team wants",
        rule="msk-replicator-timeouts-long",
        change=timeouts(create=7200, update=7200, delete=3600),
        says="the timeout of delete is 60 minutes; it must be 120 minutes or more",
        config={"msk-replicator-timeouts-long": {"minimumMinutes": 120}},
    ),
    # Around a Replicator.
    Spoil(
        id="trust without a condition",
        rule="msk-role-trust-limited",
        change=of_trust(Condition=None),
        says="assumeRolePolicy lets kafka.amazonaws.com in without saying for whom",
    ),
    Spoil(
        id="trust for accounts by pattern",
        rule="msk-role-trust-limited",
        change=of_trust(Condition={"StringLike": {"aws:SourceAccount": "*"}}),
        says="without saying for whom",
    ),
    Spoil(
        id="trust for every account but one",
        rule="msk-role-trust-limited",
        change=of_trust(Condition={"StringNotEquals": {"aws:SourceAccount": OTHER_ACCOUNT}}),
        says="without saying for whom",
    ),
    Spoil(
        id="trust for a Replicator of any account",
        rule="msk-role-trust-limited",
        change=of_trust(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:kafka:us-east-2:*:replicator/x/*"}}),
        says="without saying for whom",
    ),
    Spoil(
        id="trust on a condition about something else",
        rule="msk-role-trust-limited",
        change=of_trust(Condition={"StringEquals": {"aws:RequestedRegion": "us-east-2"}}),
        says="without saying for whom",
    ),
    Spoil(
        id="every action of Kafka",
        rule="msk-permissions-name-clusters",
        change=of_producer(Action=["kafka-cluster:*"]),
        says="policy allows 'kafka-cluster:*'; it must list what is needed",
    ),
    Spoil(
        id="every action of Kafka in other words",
        rule="msk-permissions-name-clusters",
        change=of_producer(Action=["Kafka-Cluster:**"]),
        says="policy allows 'Kafka-Cluster:**'; it must list what is needed",
    ),
    Spoil(
        id="Kafka on everything",
        rule="msk-permissions-name-clusters",
        change=of_producer(Resource="*"),
        says="policy allows kafka-cluster:Connect, kafka-cluster:WriteData on '*'; it must name Region, account and",
    ),
    Spoil(
        id="Kafka on every cluster of the account",
        rule="msk-permissions-name-clusters",
        change=of_producer(Resource=[f"arn:aws:kafka:us-east-2:{ACCOUNT}:topic/*/*/customer"]),
        says="it must name Region, account and cluster",
    ),
    Spoil(
        id="Kafka in every Region",
        rule="msk-permissions-name-clusters",
        change=of_producer(Resource=[f"arn:aws:kafka:*:{ACCOUNT}:topic/orders/*/customer"]),
        says="it must name Region, account and cluster",
    ),
    Spoil(
        id="Kafka but for one topic",
        rule="msk-permissions-name-clusters",
        change=of_producer(NotResource=f"arn:aws:kafka:us-east-2:{ACCOUNT}:topic/orders/*/secret", Resource=None),
        says="policy has NotResource beside actions of Kafka",
    ),
    Spoil(
        id="a role from elsewhere",
        rule="msk-replicator-role-ready",
        change=foreign_role,
        says="serviceExecutionRoleArn is no role of this stack",
    ),
    Spoil(
        id="a role that Kafka may not assume",
        rule="msk-replicator-role-ready",
        change=of_trust(Principal={"Service": "lambda.amazonaws.com"}),
        says=f"assumeRolePolicy of {FORWARD} does not name kafka.amazonaws.com",
    ),
    Spoil(
        id="a role without permissions",
        rule="msk-replicator-role-ready",
        change=gone(ROLE_POLICY, FORWARD),
        says=f"the role {FORWARD} has no policy",
    ),
    Spoil(
        id="a role that reaches every cluster",
        rule="msk-replicator-role-own-clusters",
        change=attach("arn:aws:iam::aws:policy/service-role/AWSMSKReplicatorExecutionRole"),
        says="service-role/AWSMSKReplicatorExecutionRole; its permissions must be in this stack",
    ),
    Spoil(
        id="a managed policy in the role itself",
        rule="msk-replicator-role-own-clusters",
        change=put(ROLE, "managedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"], FORWARD),
        says="policy/AdministratorAccess; its permissions must be in this stack",
    ),
    Spoil(
        id="a role that reaches beyond Kafka",
        rule="msk-replicator-role-own-clusters",
        change=edit(ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0]["Action"].append("s3:GetObject")),
        says=f"the policy {FORWARD} allows 's3:GetObject'; a Replicator needs single actions of Kafka",
    ),
    Spoil(
        id="a role with every action",
        rule="msk-replicator-role-own-clusters",
        change=edit(ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0].update(Action=["kafka:*"])),
        says="allows 'kafka:*'; a Replicator needs single actions of Kafka",
    ),
    Spoil(
        id="a role with a sort of actions",
        rule="msk-replicator-role-own-clusters",
        change=edit(
            ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0].update(Action=["kafka-cluster:Describe*"])
        ),
        says="allows 'kafka-cluster:Describe*'; a Replicator needs single actions of Kafka",
    ),
    Spoil(
        id="a role with every action of everything",
        rule="msk-replicator-role-own-clusters",
        change=edit(ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0].update(Action="*")),
        says="allows '*'; a Replicator needs single actions of Kafka",
    ),
    Spoil(
        id="a role that reaches a third cluster",
        rule="msk-replicator-role-own-clusters",
        change=lambda stack: edit(
            ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0]["Resource"].append(other_cluster(stack))
        )(stack),
        says="it must end at the Replicator's own clusters",
    ),
    Spoil(
        id="a role that reaches what is no cluster",
        rule="msk-replicator-role-own-clusters",
        change=lambda stack: edit(
            ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0]["Resource"].append("anything")
        )(stack),
        says="reaches 'anything'",
        also=["msk-permissions-name-clusters"],
    ),
    Spoil(
        id="a role with everything but",
        rule="msk-replicator-role-own-clusters",
        change=edit(ROLE_POLICY, "policy", FORWARD, lambda d: d["Statement"][0].update(NotAction="s3:*")),
        says="has NotAction; it must list what is allowed",
        also=["msk-permissions-name-clusters"],
    ),
    Spoil(
        id="inline permissions that reach too far",
        rule="msk-replicator-role-own-clusters",
        change=put(
            ROLE,
            "inlinePolicies",
            [{"name": "inside", "policy": json.dumps({"Statement": statement("s3:GetObject", [])})}],
            FORWARD,
        ),
        says="the policy inside allows 's3:GetObject'",
    ),
    Spoil(
        id="attached permissions that reach too far",
        rule="msk-replicator-role-own-clusters",
        change=both(
            edit(POLICY, "policy", "producer", lambda d: d["Statement"].append(statement("s3:GetObject", []))),
            attach(f"arn:aws:iam::{ACCOUNT}:policy/producer"),
        ),
        says="the policy producer allows 's3:GetObject'",
    ),
    Spoil(
        id="brokers closed to the Replicator",
        rule="msk-replicator-reaches-brokers",
        change=replicator_rule("ingress", gone=True),
        says=f"no security group of {OWN} admits the Replicator on TCP 9098",
    ),
    Spoil(
        id="brokers open to the Replicator on another port",
        rule="msk-replicator-reaches-brokers",
        change=replicator_rule("ingress", fromPort=9094, toPort=9096),
        says="admits the Replicator on TCP 9098",
    ),
    Spoil(
        id="brokers open to the Replicator over UDP",
        rule="msk-replicator-reaches-brokers",
        change=replicator_rule("ingress", ipProtocol="udp"),
        says="admits the Replicator on TCP 9098",
    ),
    Spoil(
        id="brokers open to themselves",
        rule="msk-replicator-reaches-brokers",
        change=both(
            replicator_rule("ingress", gone=True),
            more(
                SECURITY_GROUP_RULE,
                "self",
                lambda stack: {
                    "type": "ingress",
                    "securityGroupId": stack.one(CLUSTER).get(f"{NODES}.securityGroups.0"),
                    "self": True,
                    **TCP_9098,
                },
            ),
        ),
        says="admits the Replicator on TCP 9098",
    ),
    Spoil(
        id="the Replicator among brokers that are closed to each other",
        rule="msk-replicator-reaches-brokers",
        change=both(unnamed_group, gone(SECURITY_GROUP_RULE, "self"), closed_to_themselves),
        says="admits the Replicator on TCP 9098",
    ),
    Spoil(
        id="a Replicator that is locked in",
        rule="msk-replicator-reaches-brokers",
        change=replicator_rule("egress", gone=True),
        says="the Replicator's security group lets nothing out on TCP 9098",
    ),
    Spoil(
        id="a Replicator let out on another port",
        rule="msk-replicator-reaches-brokers",
        change=replicator_rule("egress", fromPort=443, toPort=443),
        says="lets nothing out on TCP 9098",
    ),
    *(
        Spoil(
            id=f"nobody watches {metric}",
            rule="msk-replicator-alarms-present",
            change=no_alarm(metric),
            says=f"no alarm watches {metric}",
        )
        for metric in ("MessageLag", "KafkaClusterPingSuccessCount", "AuthError", "ReplicatorFailure")
    ),
    Spoil(
        id="alarms of another Replicator",
        rule="msk-replicator-alarms-present",
        change=put(REPLICATOR, "replicatorName", "another"),
        says="watches ReplicationLatency, MessageLag, KafkaClusterPingSuccessCount, AuthError, ReplicatorFailure of",
    ),
    Spoil(
        id="an alarm on the wrong namespace",
        rule="msk-replicator-alarms-present",
        change=both(plain_alarm, put(ALARM, "namespace", "AWS/EC2", "MessageLag")),
        says="no alarm watches MessageLag of",
    ),
    Spoil(
        id="silence is fine",
        rule="msk-replicator-alarms-present",
        change=silent_ping,
        says="is 'notBreaching'; it must be 'breaching'",
    ),
    Spoil(
        id="silence is left to the default",
        rule="msk-replicator-alarms-present",
        change=unset_ping,
        says="is 'missing'; it must be 'breaching'",
    ),
    Spoil(
        id="a metric that the team wants watched",
        rule="msk-replicator-alarms-present",
        change=lambda stack: None,
        says="no alarm watches ReplicatorThroughput of",
        config={"msk-replicator-alarms-present": {"metrics": ["MessageLag", "ReplicatorThroughput"]}},
    ),
    Spoil(
        id="a Replicator against the direction",
        rule="msk-stack-direction-matches",
        change=direction("secondary-to-primary"),
        says=f"it must host no Replicator but has {FORWARD}",
    ),
    Spoil(
        id="a direction without its Replicator",
        rule="msk-stack-direction-matches",
        change=no_replicator,
        says="it must host a Replicator but has none",
    ),
    # Safety of data.
    *(
        Spoil(
            id=f"an unprotected {typ.split(':')[-1].lower()}",
            rule="msk-data-protected",
            change=protect(typ, False),
            says="the option protect is false; it must be true",
        )
        for typ in (CLUSTER, TOPIC)
    ),
    Spoil(
        id="a topic with a made-up name",
        rule="msk-names-explicit",
        change=lambda stack: put(TOPIC, "name", f"{stack.one(TOPIC).name}-1a2b3c4")(stack),
        says="-1a2b3c4'; it must be given",
    ),
    Spoil(
        id="a configuration without a name",
        rule="msk-names-explicit",
        change=drop(CONFIGURATION, "name"),
        says="name is 'not set'; it must be given",
    ),
    Spoil(
        id="two replicas",
        rule="msk-topic-three-replicas",
        change=put(TOPIC, "replicationFactor", 2),
        says="replicationFactor is 2; it must be 3",
    ),
    Spoil(
        id="number of replicas left out",
        rule="msk-topic-three-replicas",
        change=drop(TOPIC, "replicationFactor"),
        says="replicationFactor is not set",
    ),
    Spoil(
        id="no configs",
        rule="msk-topic-accepts-backlog",
        change=drop(TOPIC, "configs"),
        says="message.timestamp.before.max.ms not set; it must be more than a day",
    ),
    Spoil(
        id="records of a day",
        rule="msk-topic-accepts-backlog",
        change=backlog({BEFORE: "86400000"}),
        says="message.timestamp.before.max.ms 86400000; it must be more than a day",
    ),
    Spoil(
        id="records older than are accepted",
        rule="msk-topic-accepts-backlog",
        change=backlog({BEFORE: WEEK, "retention.ms": "604800001"}),
        says="message.timestamp.before.max.ms 604800000; it must be",
    ),
    Spoil(
        id="records kept for ever",
        rule="msk-topic-accepts-backlog",
        change=backlog({BEFORE: WEEK, "retention.ms": "-1"}),
        says="at least retention.ms",
    ),
    Spoil(
        id="a number that is none",
        rule="msk-topic-accepts-backlog",
        change=backlog({BEFORE: "a week"}),
        says="message.timestamp.before.max.ms not set",
    ),
    Spoil(
        id="an underscore in a configuration's name",
        rule="msk-configuration-accepted",
        change=put(CONFIGURATION, "name", "or_ders"),
        says="name is 'or_ders'; it takes letters",
    ),
    Spoil(
        id="a setting that brokers keep to themselves",
        rule="msk-configuration-accepted",
        change=put(CONFIGURATION, "serverProperties", "broker.id=1\n"),
        says="Key 'broker.id' is not supported by at least one Apache Kafka version",
    ),
    Spoil(
        id="a version of Kafka that there is not",
        rule="msk-configuration-accepted",
        change=put(CONFIGURATION, "kafkaVersions", ["3.9.x.kraft", "5.0.0"]),
        says="Unsupported KafkaVersion [5.0.0]",
    ),
    Spoil(
        id="one listener for all brokers",
        rule="msk-configuration-accepted",
        change=put(CONFIGURATION, "serverProperties", "custom.advertised.listeners=CLIENT://kafka.example.com:9092"),
        says="every broker needs its own",
    ),
    Spoil(
        id="a secret twice",
        rule="msk-scram-secrets-accepted",
        change=secret_twice,
        says="2 times; once is enough",
    ),
    Spoil(
        id="a secret of another account",
        rule="msk-scram-secrets-accepted",
        change=secret_of(OTHER_ACCOUNT, SCRAM, "secretArnLists.1"),
        says=f"is of account {OTHER_ACCOUNT}; it must be of the cluster's",
    ),
    Spoil(
        id="a single secret of another account",
        rule="msk-scram-secrets-accepted",
        change=secret_of(OTHER_ACCOUNT, SINGLE_SCRAM, "secretArn"),
        says=f"is of account {OTHER_ACCOUNT}; it must be of the cluster's",
    ),
    # Surroundings.
    *(
        Spoil(
            id=f"{port} open to the world",
            rule="msk-ports-closed-to-world",
            change=world_rule(fromPort=port, toPort=port),
            says=f"the rule opens TCP {port} to 0.0.0.0/0; Kafka's ports must not be open to the world",
        )
        for port in (9092, 9094, 9098, 9192, 9198, 14001, 14100, 20098)
    ),
    Spoil(
        id="open to the world over IPv6",
        rule="msk-ports-closed-to-world",
        change=world_rule(cidrIpv4=None, cidrIpv6="::/0"),
        says="to ::/0",
    ),
    Spoil(
        id="open to half of the world",
        rule="msk-ports-closed-to-world",
        change=world_rule(cidrIpv4="128.0.0.0/1"),
        says="to 128.0.0.0/1",
    ),
    Spoil(
        id="every port open to the world",
        rule="msk-ports-closed-to-world",
        change=world_rule(ipProtocol="-1", fromPort=-1, toPort=-1),
        says="the rule opens TCP 0-65535",
    ),
    Spoil(
        id="a range around the port open to the world",
        rule="msk-ports-closed-to-world",
        change=world_rule(fromPort=9000, toPort=10000),
        says="the rule opens TCP 9000-10000",
    ),
    Spoil(
        id="an inline rule open to the world",
        rule="msk-ports-closed-to-world",
        change=put(SECURITY_GROUP, "ingress", [opening(9098, 9098, cidrBlocks=["10.0.0.0/8", "0.0.0.0/0"])], "inline"),
        says="ingress[0] opens TCP 9098 to 0.0.0.0/0",
    ),
    Spoil(
        id="the default group open to the world",
        rule="msk-ports-closed-to-world",
        change=put(DEFAULT_SECURITY_GROUP, "ingress", [opening(0, 0, "-1", ipv6CidrBlocks=["::/0"])]),
        says="ingress[0] opens TCP 0-65535 to ::/0",
    ),
    Spoil(
        id="an old rule open to the world",
        rule="msk-ports-closed-to-world",
        change=put(SECURITY_GROUP_RULE, "cidrBlocks", ["0.0.0.0/0"]),
        says="the rule opens TCP 9098 to 0.0.0.0/0",
    ),
    Spoil(
        id="metadata without a token",
        rule="msk-client-metadata-needs-token",
        change=put(INSTANCE, "metadataOptions.httpTokens", "optional"),
        says="metadataOptions.httpTokens is 'optional'; it must be 'required'",
    ),
    Spoil(
        id="metadata left to the default",
        rule="msk-client-metadata-needs-token",
        change=drop(INSTANCE, "metadataOptions"),
        says="metadataOptions.httpTokens is 'optional'",
    ),
    Spoil(
        id="a disk in the clear",
        rule="msk-client-disks-encrypted",
        change=drop(INSTANCE, "rootBlockDevice.encrypted"),
        says="rootBlockDevice.encrypted is not true",
    ),
    Spoil(
        id="a second disk in the clear",
        rule="msk-client-disks-encrypted",
        change=put(INSTANCE, "ebsBlockDevices", [{"encrypted": True}, {"encrypted": False}]),
        says="ebsBlockDevices[1].encrypted is not true",
    ),
    Spoil(
        id="SSH from everywhere",
        rule="msk-client-no-public-ingress",
        change=client_rule(INGRESS_RULE, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4="0.0.0.0/0"),
        says=f"security group {CLIENT} opens TCP 22-22 to 0.0.0.0/0",
    ),
    Spoil(
        id="SSH from everywhere by an old rule",
        rule="msk-client-no-public-ingress",
        change=client_rule(SECURITY_GROUP_RULE, type="ingress", cidrBlocks=["0.0.0.0/0"], **opening(22, 22)),
        says="opens TCP 22-22 to 0.0.0.0/0",
    ),
    Spoil(
        id="SSH from everywhere inside the group",
        rule="msk-client-no-public-ingress",
        change=put(SECURITY_GROUP, "ingress", [opening(22, 22, cidrBlocks=["0.0.0.0/0"])], CLIENT),
        says="opens TCP 22-22 to 0.0.0.0/0",
    ),
    Spoil(
        id="a connector in plain text",
        rule="msk-connector-encrypted",
        change=drop(CONNECTOR, "kafkaClusterEncryptionInTransit"),
        says="encryptionType is 'PLAINTEXT'; it must be 'TLS'",
    ),
    Spoil(
        id="a connector without logs",
        rule="msk-connector-logs-delivered",
        change=put(CONNECTOR, "logDelivery.workerLogDelivery.cloudwatchLogs.enabled", False),
        says="logDelivery.workerLogDelivery has no destination that is enabled",
    ),
    Spoil(
        id="no tags",
        rule="msk-resources-tagged",
        change=drop(CLUSTER, "tags", "tagsAll"),
        says="tags is empty; every resource must have a tag",
    ),
    Spoil(
        id="a tag that the team wants",
        rule="msk-resources-tagged",
        change=lambda stack: (
            both(*(put(t, "tagsAll.team", "x") for t in (CLUSTER, REPLICATOR)))(stack)
            or drop(CHANNEL, "tagsAll.team")(stack)
        ),
        says="tagsAll has no team; every resource must say whose it is",
        config={"msk-resources-tagged": {"requiredTags": ["team"]}},
    ),
    # The pack itself.
    Spoil(
        id="an exemption for nothing",
        rule="msk-exemptions-used",
        change=lambda stack: None,
        says="an exemption of msk-cluster-not-public is for 'msk-dr-primary'; no resource that the rule judges",
        config={"msk-cluster-not-public": {"exemptions": [{"resource": "msk-dr-primary", "reason": "moved"}]}},
    ),
    Spoil(
        id="an option that there is not",
        rule="msk-options-known",
        change=lambda stack: None,
        says="msk-cluster-not-public is configured with 'exemption'; it has only exemptions",
        config={"msk-cluster-not-public": {"exemption": []}},
    ),
)

ALLOWANCES: Final = (
    Allowance(id="SCRAM beside IAM", change=put(CLUSTER, "clientAuthentication.sasl.scram", True)),
    Allowance(
        id="SCRAM beside IAM, in multi-VPC too",
        change=both(put(CLUSTER, "clientAuthentication.sasl.scram", True), put(CLUSTER, f"{SASL}.scram", True)),
    ),
    Allowance(
        id="mutual TLS beside IAM",
        change=put(CLUSTER, "clientAuthentication.tls", {"certificateAuthorityArns": [VPC_CA]}),
    ),
    Allowance(id="unauthenticated left out beside IAM", change=drop(CLUSTER, "clientAuthentication.unauthenticated")),
    Allowance(id="encryption in transit left out", change=drop(CLUSTER, TRANSIT)),
    Allowance(id="six brokers", change=put(CLUSTER, "numberOfBrokerNodes", 6)),
    Allowance(id="a name made up by Pulumi", change=drop(CLUSTER, "clusterName")),
    Allowance(id="a name of 64 characters", change=put(CLUSTER, "clusterName", "a" * 64)),
    Allowance(id="its own Region in the name", change=put(CLUSTER, "clusterName", "orders-us-east-2")),
    Allowance(id="finer monitoring", change=put(CLUSTER, "enhancedMonitoring", "PER_TOPIC_PER_PARTITION")),
    Allowance(
        id="public access switched off by word",
        change=put(CLUSTER, f"{NODES}.connectivityInfo.publicAccess", {"type": "DISABLED"}),
    ),
    Allowance(
        id="an exporter",
        change=put(CLUSTER, "openMonitoring", {"prometheus": {"nodeExporter": {"enabledInBroker": True}}}),
    ),
    Allowance(
        id="broker logs in a bucket, CloudWatch off",
        change=put(CLUSTER, LOGS, {"cloudwatchLogs": {"enabled": False}, "s3": {"enabled": True, "bucket": "logs"}}),
    ),
    Allowance(
        id="standard brokers where they are allowed, with their storage, in two zones",
        change=both(
            put(CLUSTER, f"{NODES}.instanceType", "kafka.m7g.large"),
            put(CLUSTER, f"{NODES}.storageInfo", {"ebsStorageInfo": {"volumeSize": 100}}),
            put(CLUSTER, "numberOfBrokerNodes", 4),
            fewer_subnets(2),
        ),
        config={"msk-cluster-express-brokers": {"allowedInstanceTypes": ["kafka.*"]}},
    ),
    Allowance(
        id="serverless where it is exempted, in six subnets, five times",
        change=serverless(vpcConfigs=[{"subnetIds": [f"subnet-{n}" for n in range(6)]}] * 5),
        config={"msk-cluster-express-brokers": {"exemptions": [{"resource": "*Serverless*", "reason": "a trial"}]}},
    ),
    Allowance(
        id="another account's clients in the policy",
        change=lambda stack: edit(
            CLUSTER_POLICY,
            "policy",
            None,
            lambda d: d["Statement"].append(
                statement(
                    ["kafka:CreateVpcConnection", "kafka-cluster:ReadData"],
                    [stack.one(CLUSTER).computed["arn"], topic_arn(stack.one(CLUSTER).computed["arn"], "customer")],
                    Principal={"AWS": [OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:role/reader"]},
                )
            ),
        )(stack),
        config={
            "msk-cluster-policy-actions-listed": {
                "allowedActions": [
                    "kafka:CreateVpcConnection",
                    "kafka:GetBootstrapBrokers",
                    "kafka:DescribeClusterV2",
                    "kafka-cluster:ReadData",
                ]
            },
            "msk-cluster-policy-principals-named": {"allowedAccounts": [OTHER_ACCOUNT]},
        },
    ),
    Allowance(
        id="a policy that denies somebody, too",
        change=edit(
            CLUSTER_POLICY,
            "policy",
            None,
            lambda d: d["Statement"].append(
                {"Effect": "Deny", "Principal": "*", "Action": "kafka:DeleteCluster", "Resource": "*"}
            ),
        ),
    ),
    Allowance(
        id="a policy in other words",
        change=lambda stack: of_policy(
            Effect="allow",
            Principal={"Service": "kafka.amazonaws.com"},
            Resource=[stack.one(CLUSTER).computed["arn"]],
            Action=[
                "kafka:createvpcconnection",
                "kafka:GetBootstrapBrokers",
                "kafka:DescribeCluster",
                "kafka:DescribeClusterV2",
            ],
        )(stack),
    ),
    Allowance(id="a self-managed source", change=apache()),
    Allowance(
        id="offsets not copied, in the old mode",
        change=both(
            put(REPLICATOR, f"{GROUPS}.consumerGroupOffsetSyncMode", "LEGACY"),
            put(REPLICATOR, f"{GROUPS}.synchroniseConsumerGroupOffsets", False),
        ),
    ),
    Allowance(
        id="flags of the Replicator left out",
        change=drop(
            REPLICATOR,
            f"{TOPICS}.detectAndCopyNewTopics",
            f"{GROUPS}.detectAndCopyNewConsumerGroups",
            f"{GROUPS}.synchroniseConsumerGroupOffsets",
        ),
    ),
    Allowance(id="only new records", change=put(REPLICATOR, f"{TOPICS}.startingPosition.type", "LATEST")),
    Allowance(
        id="regular expressions of every sort",
        change=both(
            put(REPLICATOR, f"{TOPICS}.topicsToReplicates", [r"orders-.*", r"a[0-9]*", r"\p{Alpha}+", "t" * 249]),
            put(REPLICATOR, f"{TOPICS}.topicsToExcludes", [r"orders-test-.*"]),
            put(REPLICATOR, f"{GROUPS}.consumerGroupsToReplicates", ["g" * 256]),
        ),
    ),
    Allowance(id="a hundred patterns", change=put(REPLICATOR, f"{TOPICS}.topicsToReplicates", many(100))),
    Allowance(id="no consumer groups", change=put(REPLICATOR, f"{GROUPS}.consumerGroupsToReplicates", [])),
    Allowance(id="timeouts of an hour", change=timeouts(create=3600, update=3600, delete=3600)),
    Allowance(
        id="trust for Replicators of the account",
        change=of_trust(
            Condition={"ArnLike": {"AWS:SourceArn": f"arn:aws:kafka:us-east-2:{ACCOUNT}:replicator/{FORWARD}/*"}}
        ),
    ),
    Allowance(
        id="trust for the account, as a pattern without a star, among other conditions",
        change=of_trust(
            Condition={
                "StringLike": {"aws:RequestedRegion": "us-*", "AWS:SourceAccount": [ACCOUNT]},
            }
        ),
    ),
    *(
        Allowance(id=f"the role's permissions {place}", change=permissions_elsewhere(place))
        for place in ("attached", "inline", "managed")
    ),
    Allowance(id="a policy without Kafka may name anything", change=of_producer(Action="s3:GetObject", Resource="*")),
    Allowance(
        id="a uuid left open", change=of_producer(Resource=f"arn:aws:kafka:us-east-2:{ACCOUNT}:topic/orders/*/*")
    ),
    Allowance(
        id="the Replicator admitted by network",
        change=replicator_rule("ingress", referencedSecurityGroupId=None, cidrIpv4="10.20.0.0/16"),
    ),
    Allowance(
        id="the Replicator admitted by prefix list",
        change=replicator_rule("ingress", referencedSecurityGroupId=None, prefixListId="pl-1"),
    ),
    Allowance(
        id="all protocols between Replicator and brokers",
        change=both(
            replicator_rule("ingress", ipProtocol="-1", fromPort=None, toPort=None),
            replicator_rule("egress", ipProtocol="-1", fromPort=None, toPort=None),
        ),
    ),
    Allowance(id="the Replicator in the brokers' own group", change=unnamed_group),
    Allowance(id="alarms on metrics themselves", change=plain_alarm),
    Allowance(id="a program without a direction", change=both(direction(""), no_replicator)),
    Allowance(id="a direction of some other program", change=both(direction("up"), no_replicator)),
    Allowance(
        id="the other way, as the primary", change=lambda stack: stack.one(STACK).computed.update(role="primary")
    ),
    Allowance(
        id="a topic whose name only looks made up", change=lambda stack: put(TOPIC, "name", "orders-1a2b3c4")(stack)
    ),
    Allowance(
        id="records kept for ever and taken at any age",
        change=backlog({BEFORE: "9223372036854775807", "retention.ms": "-1"}),
    ),
    Allowance(id="a day and a bit", change=backlog({BEFORE: "86400001"})),
    Allowance(id="a week's retention", change=backlog({BEFORE: WEEK, "retention.ms": WEEK})),
    Allowance(
        id="443 and UDP open to the world",
        change=both(
            world_rule(fromPort=443, toPort=443),
            more(SECURITY_GROUP, "udp", {"ingress": [opening(9098, 9098, "udp", cidrBlocks=["0.0.0.0/0"])]}),
        ),
    ),
    *(
        Allowance(id=f"{port} open to the world", change=world_rule(fromPort=port, toPort=port))
        for port in (9091, 9099, 9191, 9199, 14000, 14101)
    ),
    Allowance(id="9098 open to a private network", change=world_rule(cidrIpv4="10.0.0.0/8")),
    Allowance(id="9098 open to a private IPv6 network", change=world_rule(cidrIpv4=None, cidrIpv6="fd00::/8")),
    Allowance(
        id="clients that call out to the world",
        change=both(
            put(SECURITY_GROUP, "egress", [opening(9098, 9098, cidrBlocks=["0.0.0.0/0"])], "inline"),
            put(SECURITY_GROUP_RULE, "type", "egress"),
            put(SECURITY_GROUP_RULE, "cidrBlocks", ["0.0.0.0/0"]),
        ),
    ),
    Allowance(
        id="SSH from inside",
        change=client_rule(INGRESS_RULE, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4="10.0.0.0/8"),
    ),
    Allowance(id="metadata switched off", change=put(INSTANCE, "metadataOptions", {"httpEndpoint": "disabled"})),
    Allowance(id="a second encrypted disk", change=put(INSTANCE, "ebsBlockDevices", [{"encrypted": True}])),
    Allowance(
        id="connector logs in a bucket",
        change=put(CONNECTOR, "logDelivery.workerLogDelivery", {"s3": {"enabled": True, "bucket": "logs"}}),
    ),
    Allowance(id="tags without the provider's", change=drop(CLUSTER, "tagsAll")),
    Allowance(
        id="an exemption for a name that is there",
        change=put(CLUSTER, "kafkaVersion", "3.7.x"),
        config={"msk-cluster-kafka-version-offered": {"exemptions": [{"resource": OWN, "reason": "upgrade in May"}]}},
    ),
    Allowance(
        id="an exemption from a rule on the whole stack",
        change=foreign_role,
        config={"msk-replicator-role-ready": {"exemptions": [{"resource": "*Replicator*", "reason": "central IAM"}]}},
    ),
    Allowance(
        id="a rule that is switched off",
        change=put(CLUSTER, "kafkaVersion", "3.7.x"),
        config={"msk-cluster-kafka-version-offered": "disabled"},
    ),
)
