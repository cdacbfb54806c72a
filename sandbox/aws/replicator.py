"""MSK Replicators: what the service wants before it makes one, and what it finds out only while it does.

Shape and names are refused by `CreateReplicator`; a source that cannot be reached, a role without permissions or a
closed port end in the state FAILED, with a reason, after the resource exists [D: "Troubleshoot MSK Replicator"].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pulumi_aws import msk

from sandbox.aws import iam
from sandbox.aws.base import (
    Handler,
    Incomplete,
    admit_tags,
    arn,
    cidr_block,
    dig,
    glob,
    having_made,
    kind_of,
    listed,
    one_of,
    statements,
    uuid_of,
)
from sandbox.aws.ec2 import SECURITY_GROUP, SUBNET, Direction, find, group_rules
from sandbox.aws.logs import admit_log_group
from sandbox.aws.msk import (
    CLUSTER_POLICY,
    auth_schemes,
    bad_request,
    cluster_at,
    version_token,
    vpc_schemes,
)
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.diff import changes
from sandbox.regions import ACCOUNT
from sandbox.rules import Rules
from sandbox.wire import UNKNOWN, Props

REPLICATOR = kind_of(msk.Replicator)

SERVICE = "kafka.amazonaws.com"
PORT = 9098
"""Where brokers take IAM authentication; a Replicator uses nothing else [D]."""

SOURCE_POLICY_ACTIONS = ("kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2")  # [D]

_INFO = "replicationInfoList"
_TOPICS = f"{_INFO}.topicReplications[]"
_GROUPS = f"{_INFO}.consumerGroupReplications[]"
_ENTRY = "kafkaClusters[]"

# What UpdateReplicationInfo carries [D]; everything else is accepted by the provider and goes nowhere.
TOPIC_UPDATES = (
    "topicsToReplicates",
    "topicsToExcludes",
    "copyAccessControlListsForTopics",
    "copyTopicConfigurations",
    "detectAndCopyNewTopics",
)
GROUP_UPDATES = (
    "consumerGroupsToReplicates",
    "consumerGroupsToExcludes",
    "detectAndCopyNewConsumerGroups",
    "synchroniseConsumerGroupOffsets",
)

_LOG_DESTINATIONS = (
    ("cloudwatchLogs", "logGroup", "log_group", "CloudWatch Logs"),
    ("firehose", "deliveryStream", "delivery_stream", "Firehose"),
    ("s3", "bucket", "bucket", "S3"),
)


class Replicator(Handler):
    resource = msk.Replicator
    label = "MSK Replicator"
    rules = Rules(
        defaults={
            f"{_TOPICS}.copyAccessControlListsForTopics": True,
            f"{_TOPICS}.copyTopicConfigurations": True,
            f"{_TOPICS}.detectAndCopyNewTopics": True,
            f"{_GROUPS}.detectAndCopyNewConsumerGroups": True,
            f"{_GROUPS}.synchroniseConsumerGroupOffsets": True,
        },
        # Not replicatorName, description, serviceExecutionRoleArn, securityGroupsIds nor mskClusterArn, although the
        # service cannot change them either [P].
        replace=frozenset(
            {
                "kafkaClusters",
                f"{_ENTRY}.apacheKafkaCluster",
                f"{_ENTRY}.apacheKafkaCluster.apacheKafkaClusterId",
                f"{_ENTRY}.apacheKafkaCluster.bootstrapBrokerString",
                f"{_ENTRY}.clientAuthentication",
                f"{_ENTRY}.clientAuthentication.mtls",
                f"{_ENTRY}.clientAuthentication.mtls.secretArn",
                f"{_ENTRY}.clientAuthentication.saslScram",
                f"{_ENTRY}.clientAuthentication.saslScram.mechanism",
                f"{_ENTRY}.clientAuthentication.saslScram.secretArn",
                f"{_ENTRY}.encryptionInTransit",
                f"{_ENTRY}.encryptionInTransit.rootCaCertificate",
                f"{_ENTRY}.vpcConfig.subnetIds",
                f"{_INFO}.sourceKafkaClusterArn",
                f"{_INFO}.sourceKafkaClusterId",
                f"{_INFO}.targetKafkaClusterArn",
                f"{_INFO}.targetKafkaClusterId",
                f"{_INFO}.targetCompressionType",
                f"{_TOPICS}.startingPosition.type",
                f"{_TOPICS}.topicNameConfiguration.type",
                f"{_GROUPS}.consumerGroupOffsetSyncMode",
            }
        ),
        computed=frozenset(
            {
                f"{_INFO}.sourceKafkaClusterAlias",
                f"{_INFO}.targetKafkaClusterAlias",
                f"{_TOPICS}.startingPosition",
                f"{_TOPICS}.topicNameConfiguration",
                f"{_TOPICS}.topicsToExcludes",
                f"{_GROUPS}.consumerGroupsToExcludes",
                f"{_GROUPS}.consumerGroupOffsetSyncMode",
            }
        ),
        sets=frozenset(
            {
                f"{_ENTRY}.vpcConfig.securityGroupsIds",
                f"{_ENTRY}.vpcConfig.subnetIds",
                f"{_TOPICS}.topicsToReplicates",
                f"{_TOPICS}.topicsToExcludes",
                f"{_GROUPS}.consumerGroupsToReplicates",
                f"{_GROUPS}.consumerGroupsToExcludes",
            }
        ),
        recomputed={"currentVersion": frozenset()},
    )

    def title(self, inputs: Props) -> str:
        return f"{self.label} ({inputs['replicatorName']})"

    def check(self, inputs: Props) -> Iterable[Failure]:
        """The provider's schema and its plan-time checks [P]."""
        entries = inputs["kafkaClusters"]
        if entries != UNKNOWN:
            if len(entries) != 2:
                yield Failure("kafkaClusters", f"kafkaClusters has {len(entries)} entries; exactly 2 are required")
            for index, entry in enumerate(entries):
                yield from _entry_failures(entry, f"kafkaClusters[{index}]")
        yield from _arn_failures(inputs, "serviceExecutionRoleArn")
        info = inputs[_INFO]
        if info != UNKNOWN:
            yield from _info_failures(info)
        logs = dig(inputs, "logDelivery.replicatorLogDelivery") or {}
        for destination, name, terraform, service in _LOG_DESTINATIONS:
            setting = logs.get(destination, {})
            if setting.get("enabled") is False and name in setting:
                path = f"logDelivery.replicatorLogDelivery.{destination}.{name}"
                yield Failure(path, f"cannot specify {terraform} when {service} logging is disabled")

    def create(self, aws: Aws, inputs: Props) -> str:
        with aws.call("kafka:CreateReplicator"):
            admit_tags(inputs)
            _admit_shape(inputs)
            source, target = _admit_clusters(aws, inputs)
            _admit_uniqueness(aws, inputs)
            _admit_role(aws, inputs)
            admit_logs(aws, inputs)
            _admit_target_network(aws, inputs, target)
            problem = _first_problem(aws, inputs, source, target)
            name = inputs["replicatorName"]
            id_ = arn("kafka", aws.region, f"replicator/{name}/{uuid_of(aws.digest('replicator'))}-2")
            aws.put(REPLICATOR, id_, _first_record(aws, id_, inputs, source, target, problem))
        with having_made(id_, f"waiting for {self.label} ({id_}) create"):
            aws.touch("kafka:DescribeReplicator")
        if problem:
            message = f"unexpected state 'FAILED', wanted target 'RUNNING'. last error: {problem}"
            raise Incomplete(id_, RuntimeError(f"waiting for MSK Replicator ({id_}) create: {message}"))
        return id_

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        """The provider shows no state: a Replicator that has FAILED looks like one that runs [P]."""
        aws.touch("kafka:DescribeReplicator")
        record = aws.get(REPLICATOR, id_)
        return record and {name: value for name, value in record.items() if not name.startswith("_")}

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """UpdateReplicationInfo takes topics, groups, flags and log delivery; the rest goes nowhere, silently [P]."""
        record = aws.get(REPLICATOR, id_)
        if record is None:
            raise AwsError("NotFoundException", f"The replicator {id_} does not exist.", status=404)
        found = {change.path.partition(".")[0] for change in changes(self.schema, self.rules, state, inputs)}
        if found - {"tags", "tagsAll"}:
            with aws.call("kafka:UpdateReplicationInfo"):
                if record["_state"] != "RUNNING":
                    raise bad_request(f"The replicator is in the state {record['_state']}; it must be RUNNING.")
                changed = _updated(record, inputs)
                _admit_patterns(changed[_INFO])
                admit_logs(aws, changed)
                aws.put(REPLICATOR, id_, {**changed, "currentVersion": version_token(aws.digest("replicator-version"))})
            aws.touch("kafka:DescribeReplicator")
        if found & {"tags", "tagsAll"}:
            with aws.call("kafka:TagResource"):
                admit_tags(inputs)
                record = aws.get(REPLICATOR, id_) or record
                tags: Props = {name: inputs[name] for name in ("tags", "tagsAll") if name in inputs}
                rest = {name: value for name, value in record.items() if name not in ("tags", "tagsAll")}
                aws.put(REPLICATOR, id_, {**rest, **tags})

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        with aws.call("kafka:DeleteReplicator"):
            aws.remove(REPLICATOR, id_)
        aws.touch("kafka:DescribeReplicator")


def _entry_failures(entry: Any, path: str) -> Iterator[Failure]:
    if entry == UNKNOWN:
        return
    kinds = [name for name in ("amazonMskCluster", "apacheKafkaCluster") if name in entry]
    if len(kinds) != 1:
        yield Failure(path, f"{path} must have exactly one of amazonMskCluster and apacheKafkaCluster")
        return
    if kinds == ["amazonMskCluster"]:
        if entry["amazonMskCluster"] != UNKNOWN:
            yield from _arn_failures(entry["amazonMskCluster"], "mskClusterArn", f"{path}.amazonMskCluster.")
        if "vpcConfig" not in entry:
            yield Failure(f"{path}.vpcConfig", f"{path}.vpcConfig is required with amazonMskCluster")
        for name in ("clientAuthentication", "encryptionInTransit"):
            if name in entry:
                yield Failure(f"{path}.{name}", f"{path}.{name} goes with apacheKafkaCluster only")
    else:
        yield Failure(f"{path}.apacheKafkaCluster", "the sandbox does not serve self-managed clusters")


def _info_failures(info: Props) -> Iterator[Failure]:
    for side in ("source", "target"):
        given = [name for name in (f"{side}KafkaClusterArn", f"{side}KafkaClusterId") if name in info]
        if len(given) != 1:
            path = f"{_INFO}.{side}KafkaClusterArn"
            yield Failure(path, f"exactly one of {side}KafkaClusterArn and {side}KafkaClusterId must be given")
        yield from _arn_failures(info, f"{side}KafkaClusterArn", f"{_INFO}.")
        if f"{side}KafkaClusterAlias" in info:
            path = f"{_INFO}.{side}KafkaClusterAlias"
            yield Failure(path, f"{path} is set by MSK; it must be left out")
    for name in ("topicReplications", "consumerGroupReplications"):
        entries = info[name]
        if entries != UNKNOWN and len(entries) != 1:
            # The provider itself reads the first entry and drops the others without a word.
            yield Failure(f"{_INFO}.{name}", f"{_INFO}.{name} has {len(entries)} entries; exactly 1 is used")
    for index, topics in enumerate(_known_list(info["topicReplications"])):
        path = f"{_INFO}.topicReplications[{index}]"
        yield from _within(path, one_of(topics, "startingPosition.type", ("LATEST", "EARLIEST")))
        names = ("PREFIXED_WITH_SOURCE_CLUSTER_ALIAS", "IDENTICAL")
        yield from _within(path, one_of(topics, "topicNameConfiguration.type", names))
    for index, groups in enumerate(_known_list(info["consumerGroupReplications"])):
        path = f"{_INFO}.consumerGroupReplications[{index}]"
        yield from _within(path, one_of(groups, "consumerGroupOffsetSyncMode", ("LEGACY", "ENHANCED")))


def _known_list(value: Any) -> list[Props]:
    return [item for item in value if item != UNKNOWN] if value != UNKNOWN else []


def _within(path: str, failures: Iterable[Failure]) -> Iterator[Failure]:
    for failure in failures:
        yield Failure(f"{path}.{failure.property}", f"{path}: {failure.reason}")


def _arn_failures(props: Props, name: str, prefix: str = "") -> Iterator[Failure]:
    value = props.get(name)
    if value is not None and value != UNKNOWN and not re.fullmatch(r"arn:[\w-]+:[\w-]+:[\w-]*:\d*:.+", value):
        yield Failure(f"{prefix}{name}", f'"{prefix}{name}" ({value}) is an invalid ARN')


def _admit_shape(inputs: Props) -> None:
    name = inputs["replicatorName"]
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]*", name) or len(name) > 128:  # [D]
        rule = "must have 1 to 128 letters, digits and hyphens, and begin with a letter or digit"
        raise bad_request(f"Value '{name}' at 'replicatorName' failed to satisfy constraint: {rule}")
    if len(inputs.get("description", "")) > 1024:  # [D]
        raise bad_request("Value at 'description' failed to satisfy constraint: at most 1024 characters")
    info = inputs[_INFO]
    if info["targetCompressionType"] not in ("NONE", "GZIP", "SNAPPY", "LZ4", "ZSTD"):  # [D]
        kind = info["targetCompressionType"]
        raise bad_request(f"Value '{kind}' at 'targetCompressionType' must be one of NONE, GZIP, SNAPPY, LZ4, ZSTD")
    _admit_patterns(info)
    topics, groups = info["topicReplications"][0], info["consumerGroupReplications"][0]
    identical = dig(topics, "topicNameConfiguration.type") == "IDENTICAL"
    if groups.get("consumerGroupOffsetSyncMode") == "ENHANCED" and not identical:  # [M]
        raise bad_request(
            "The consumerGroupOffsetSyncMode value ENHANCED is only supported when topicNameConfiguration type is "
            "IDENTICAL"
        )


def _admit_patterns(info: Props) -> None:
    """The lists are regular expressions of limited number and length [D]."""
    topics, groups = info["topicReplications"][0], info["consumerGroupReplications"][0]
    for held, name, least, longest in (
        (topics, "topicsToReplicates", 1, 249),
        (topics, "topicsToExcludes", 0, 249),
        (groups, "consumerGroupsToReplicates", 0, 256),
        (groups, "consumerGroupsToExcludes", 0, 256),
    ):
        patterns = held.get(name, [])
        if not least <= len(patterns) <= 100:
            raise bad_request(f"'{name}' must have {least} to 100 patterns, it has {len(patterns)}")
        for pattern in patterns:
            if not 1 <= len(pattern) <= longest:
                raise bad_request(f"A pattern in '{name}' must have 1 to {longest} characters, one has {len(pattern)}")
            try:
                re.compile(pattern)
            except re.error as error:
                raise bad_request(f"'{pattern}' in '{name}' is not a valid regular expression: {error}") from error


def _admit_clusters(aws: Aws, inputs: Props) -> tuple[Props, Props]:
    info = inputs[_INFO]
    arns = [entry["amazonMskCluster"]["mskClusterArn"] for entry in inputs["kafkaClusters"]]
    source_arn, target_arn = info["sourceKafkaClusterArn"], info["targetKafkaClusterArn"]
    if len({*arns}) != len(arns):  # [M]
        raise bad_request("Kafka cluster list contains duplicate cluster ARNs")
    if source_arn == target_arn:
        raise bad_request("Source and target Kafka cluster ARNs must be different")
    if {source_arn, target_arn} != {*arns}:  # [M]
        raise bad_request("Source and target Kafka cluster ARNs must be present in kafkaClusters")
    for cluster_arn in arns:
        if cluster_arn.split(":")[4] != ACCOUNT:  # [D]
            message = f"User is not authorized to perform: kafka:GetBootstrapBrokers on resource: {cluster_arn}"
            raise AwsError("ForbiddenException", message, status=403)
    if target_arn.split(":")[3] != aws.region:  # [M]
        raise bad_request(f"The target cluster must be from region {aws.region}")
    source_region = source_arn.split(":")[3]
    if source_region in aws.cloud.faults.down:
        # The service in the target's Region asks the source's; the client does not.
        message = f"The source cluster in {source_region} cannot be reached"
        raise AwsError("ServiceUnavailableException", message, status=503)
    found = []
    for cluster_arn in (source_arn, target_arn):
        cluster = cluster_at(aws, cluster_arn)
        if cluster is None:
            raise AwsError("NotFoundException", f"The cluster {cluster_arn} does not exist.", status=404)
        if not auth_schemes(cluster)["iam"]:  # [D]
            raise bad_request(f"The cluster {cluster_arn} must have IAM access control enabled.")
        if cluster["numberOfBrokerNodes"] < 3 or cluster["brokerNodeGroupInfo"]["instanceType"] == "kafka.t3.small":
            raise bad_request(f"The cluster {cluster_arn} is too small for MSK Replicator.")
        entry = inputs["kafkaClusters"][arns.index(cluster_arn)]
        subnets = entry["vpcConfig"]["subnetIds"]
        if not 2 <= len(subnets) <= 3 or not {*subnets} <= {*cluster["brokerNodeGroupInfo"]["clientSubnets"]}:  # [D]
            raise bad_request(f"subnetIds must be 2 or 3 of the subnets of cluster {cluster_arn}.")
        found.append(cluster)
    return found[0], found[1]


def _admit_uniqueness(aws: Aws, inputs: Props) -> None:
    info = inputs[_INFO]
    for other in aws.table(REPLICATOR).values():
        if other["replicatorName"] == inputs["replicatorName"]:
            raise AwsError("ConflictException", "A resource with this name already exists.", status=409)
        same = all(other[_INFO][name] == info[name] for name in ("sourceKafkaClusterArn", "targetKafkaClusterArn"))
        if same:  # said by AWS's sample only
            message = "A replicator already exists for this pair of source and target clusters."
            raise AwsError("ConflictException", message, status=409)


def _admit_role(aws: Aws, inputs: Props) -> None:
    role_arn = inputs["serviceExecutionRoleArn"]
    if role_arn.split(":")[4] != ACCOUNT:  # [M]
        raise AwsError("ForbiddenException", "Cross-account pass role is not allowed.", status=403)
    role = aws.get(iam.ROLE, role_arn.rpartition("/")[2])
    if role is None or role["arn"] != role_arn:
        raise bad_request(f"The service execution role {role_arn} does not exist.")
    if not iam.trusts(role["assumeRolePolicy"], SERVICE):
        raise bad_request(f"The service execution role {role_arn} cannot be assumed by {SERVICE}.")


def admit_logs(aws: Aws, inputs: Props) -> None:
    logs = dig(inputs, "logDelivery.replicatorLogDelivery") or {}
    for destination, name, _, service in _LOG_DESTINATIONS:
        setting = logs.get(destination, {})
        if setting.get("enabled") and not setting.get(name):
            raise bad_request(f"{name} is required when log delivery to {service} is enabled.")
    group = dig(logs, "cloudwatchLogs.logGroup")
    if group is not None and not admit_log_group(aws, group):
        raise bad_request(f"The log group {group} does not exist in {aws.region}.")


def _admit_target_network(aws: Aws, inputs: Props, target: Props) -> None:
    groups = _target_entry(inputs)["vpcConfig"].get("securityGroupsIds", [])
    if len(groups) > 16:  # [D]
        raise bad_request("At most 16 security groups can be given.")
    network = find(aws, SUBNET, target["brokerNodeGroupInfo"]["clientSubnets"][0])["vpcId"]
    for group in groups:
        held = aws.get(SECURITY_GROUP, group)
        if held is None or held["vpcId"] != network:
            raise bad_request(f"Security group {group} does not exist in the VPC of the target cluster.")


def _target_entry(inputs: Props) -> Props:
    wanted = inputs[_INFO]["targetKafkaClusterArn"]
    entry: Props = next(e for e in inputs["kafkaClusters"] if e["amazonMskCluster"]["mskClusterArn"] == wanted)
    return entry


def _first_problem(aws: Aws, inputs: Props, source: Props, target: Props) -> str | None:
    """What makes the new Replicator fail while it is being set up [D], or None. The texts are the sandbox's."""
    cross_region = source["arn"].split(":")[3] != target["arn"].split(":")[3]
    if cross_region and not vpc_schemes(source)["iam"]:
        return "SOURCE_CONNECTIVITY: the source cluster has no multi-VPC private connectivity for IAM"
    if cross_region:
        missing = [action for action in SOURCE_POLICY_ACTIONS if not _policy_allows(aws, source["arn"], action)]
        if missing:
            return f"SOURCE_POLICY: the source cluster's policy does not allow {SERVICE} {', '.join(missing)}"
    denied = _missing_permissions(aws, inputs, source["arn"], target["arn"])
    if denied:
        return f"ACCESS_DENIED: the service execution role lacks {', '.join(denied)}"
    if not _target_reachable(aws, inputs, target):
        return f"TARGET_CONNECTIVITY: no security group rule lets the replicator reach the target cluster on {PORT}"
    return None


def _policy_allows(aws: Aws, cluster_arn: str, action: str) -> bool:
    policy = aws.elsewhere(cluster_arn.split(":")[3]).get(CLUSTER_POLICY, cluster_arn)
    if policy is None:
        return False
    return any(
        statement["Effect"] == "Allow"
        and SERVICE in listed((statement.get("Principal") or {}).get("Service"))
        and any(glob(pattern, action, ignore_case=True) for pattern in listed(statement.get("Action")))
        for statement in statements(policy["policy"])
    )


def _missing_permissions(aws: Aws, inputs: Props, source: str, target: str) -> list[str]:
    """What the role lacks of the documented least privilege, as `action on side` [D]."""
    info = inputs[_INFO]
    topics, groups = info["topicReplications"][0], info["consumerGroupReplications"][0]
    internal = "__amazon_msk_replicator_status"
    internal_actions = ("CreateTopic", "ReadData", "WriteData", "DescribeTopic")
    target_topic_actions = ["CreateTopic", "WriteData", "DescribeTopic"]
    if topics["copyTopicConfigurations"]:
        target_topic_actions += ["AlterTopic", "AlterTopicDynamicConfiguration"]
    needed = []
    for side, cluster in (("source", source), ("target", target)):
        connect = ["Connect", "DescribeCluster", "WriteDataIdempotently"]
        if side == "target" and topics["copyAccessControlListsForTopics"]:
            connect.append("AlterCluster")
        needed += [(action, side, cluster) for action in connect]
        needed += [(action, side, _inside(cluster, "topic", internal)) for action in internal_actions]
        for sample in _samples(topics["topicsToReplicates"]):
            resource = _inside(cluster, "topic", sample)
            on_topic = ["ReadData", "DescribeTopic"] if side == "source" else target_topic_actions
            needed += [(action, side, resource) for action in on_topic]
        if groups["synchroniseConsumerGroupOffsets"]:
            for sample in _samples(groups["consumerGroupsToReplicates"]):
                on_group = ["DescribeGroup"] if side == "source" else ["AlterGroup", "DescribeGroup"]
                needed += [(action, side, _inside(cluster, "group", sample)) for action in on_group]
    documents = list(iam.policies_of(aws, inputs["serviceExecutionRoleArn"].rpartition("/")[2]))
    missing = [
        f"kafka-cluster:{action} on the {side}'s {resource.split(':')[5].split('/')[0]}"
        for action, side, resource in needed
        if not iam.allows(documents, f"kafka-cluster:{action}", resource)
    ]
    return sorted({*missing})


def _inside(cluster_arn: str, kind: str, name: str) -> str:
    return f"{cluster_arn.replace(':cluster/', f':{kind}/')}/{name}"


def _samples(patterns: list[str]) -> Iterator[str]:
    """A name for each pattern that is plain enough to tell one: a literal, or a literal and `.*`."""
    for pattern in patterns:
        literal = pattern.removesuffix(".*").replace(r"\.", ".").replace(r"\-", "-")
        if re.fullmatch(r"[\w.-]*", literal):
            yield literal if literal == pattern.replace("\\", "") else f"{literal}sample"


def _target_reachable(aws: Aws, inputs: Props, target: Props) -> bool:
    brokers = target["brokerNodeGroupInfo"]
    cluster_groups = {*brokers["securityGroups"]}
    own_groups = {*_target_entry(inputs)["vpcConfig"].get("securityGroupsIds", brokers["securityGroups"])}
    blocks = [find(aws, SUBNET, subnet)["cidrBlock"] for subnet in brokers["clientSubnets"]]
    return _open(aws, "egress", own_groups, cluster_groups, blocks) and _open(
        aws, "ingress", cluster_groups, own_groups, blocks
    )


def _open(aws: Aws, direction: Direction, groups: set[str], peers: set[str], blocks: list[str]) -> bool:
    """Whether any of the groups lets the port through to the peers, by group or by all of their addresses."""
    covered: set[str] = set()
    for rule in (rule for group in groups for rule in group_rules(aws, group, direction)):
        if not rule.first_port <= PORT <= rule.last_port:
            continue
        if rule.groups & peers:
            return True
        for cidr in rule.cidrs:
            covered |= {block for block in blocks if cidr_block(block).subnet_of(cidr_block(cidr))}
    return covered == {*blocks}


def _first_record(aws: Aws, id_: str, inputs: Props, source: Props, target: Props, problem: str | None) -> Props:
    info = inputs[_INFO]
    topics = {
        "startingPosition": {"type": "LATEST"},
        "topicNameConfiguration": {"type": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"},
        "topicsToExcludes": [],
        **info["topicReplications"][0],
    }
    groups = {
        "consumerGroupOffsetSyncMode": "LEGACY",
        "consumerGroupsToExcludes": [],
        **info["consumerGroupReplications"][0],
    }
    return {
        **inputs,
        _INFO: {
            **info,
            "consumerGroupReplications": [groups],
            "sourceKafkaClusterAlias": _alias(source),
            "targetKafkaClusterAlias": _alias(target),
            "topicReplications": [topics],
        },
        "arn": id_,
        "currentVersion": version_token(aws.digest("replicator-version")),
        "_state": "FAILED" if problem else "RUNNING",
        "_stateInfo": problem or "",
    }


def _alias(cluster: Props) -> str:
    """The name that MSK gives a cluster in metrics and prefixes."""
    return f"{cluster['clusterName']}-{cluster['clusterUuid'][:12].replace('-', '')}"


def _updated(record: Props, inputs: Props) -> Props:
    info, wanted = record[_INFO], inputs[_INFO]
    topics, new_topics = info["topicReplications"][0], wanted["topicReplications"][0]
    groups, new_groups = info["consumerGroupReplications"][0], wanted["consumerGroupReplications"][0]
    changed = {
        **record,
        _INFO: {
            **info,
            "topicReplications": [{**topics, **{n: new_topics[n] for n in TOPIC_UPDATES if n in new_topics}}],
            "consumerGroupReplications": [{**groups, **{n: new_groups[n] for n in GROUP_UPDATES if n in new_groups}}],
        },
    }
    changed.pop("logDelivery", None)
    return {**changed, "logDelivery": inputs["logDelivery"]} if "logDelivery" in inputs else changed


HANDLERS = (Replicator(),)
