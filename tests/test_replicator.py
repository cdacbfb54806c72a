"""The Replicator: source and target, what it copies and may do, and what makes the provider replace it.

What no unit test can prove: that the service takes the role and reaches both clusters, and that records flow.
"""

import json
import time
from typing import Any, Final

import pulumi
import pytest

from components.replicator import Replicator, _wait_for_iam
from tests.recording import ACCOUNT, EVERYTHING, Resource, Run, record, run_program, settings_of

HOSTED: Final = (("primary", "bidirectional"), ("secondary", "primary-to-secondary"))
REGIONS: Final = {"primary": "us-east-1", "secondary": "us-east-2"}


SOURCE, TARGET = (
    f"arn:aws:kafka:{region}:{ACCOUNT}:cluster/msk-dr-{role}/0f1e2d3c-0f1e-0f1e-0f1e-0f1e2d3c4b5a-7"
    for role, region in REGIONS.items()
)


def alone(**config: Any) -> Run:
    """The component alone, from primary to secondary."""
    settings = settings_of("secondary", **config).replicator
    return record(
        lambda: Replicator(
            settings.replicator_name,
            settings,
            account_id=ACCOUNT,
            source_arn=SOURCE,
            source_subnet_ids=["s-1", "s-2", "s-3"],
            target_arn=TARGET,
            target_subnet_ids=["t-1", "t-2", "t-3"],
            security_group_id="sg-1",
            after=[],
        ),
        "secondary",
    )


def replicator(**config: Any) -> Resource:
    return alone(**config).one("msk.Replicator")


def topic_replication(**config: Any) -> dict[str, Any]:
    (only,) = replicator(**config).inputs["replicationInfoList"]["topicReplications"]
    return dict(only)


def group_replication(**config: Any) -> dict[str, Any]:
    (only,) = replicator(**config).inputs["replicationInfoList"]["consumerGroupReplications"]
    return dict(only)


def statements(run: Run) -> dict[str, dict[str, Any]]:
    """Statements of the execution role's policy by their ids, with the part of an ARN behind the cluster's uuid."""
    (policy,) = [r for r in run.of("iam.RolePolicy") if r.parent_kind == "Replicator"]
    found = {}
    for statement in json.loads(policy.inputs["policy"])["Statement"]:
        resources = [arn.split(":", 3)[3].split(f"{ACCOUNT}:")[1] for arn in statement["Resource"]]
        parts = [resource.split("/", 3) for resource in resources]
        found[statement["Sid"]] = {
            "Action": [action.removeprefix("kafka-cluster:") for action in statement["Action"]],
            "Resource": ["/".join([kind, name, *rest]) for kind, name, _, *rest in parts],
        }
    return found


@pytest.mark.parametrize(("target", "direction"), HOSTED)
def test_the_hosting_stack_is_the_target_and_the_other_one_the_source(target: str, direction: str) -> None:
    run = run_program(target, direction)
    source = "secondary" if target == "primary" else "primary"
    inputs = run.one("msk.Replicator").inputs
    info = inputs["replicationInfoList"]
    source_arn, target_arn = info["sourceKafkaClusterArn"], info["targetKafkaClusterArn"]
    assert source_arn.startswith(f"arn:aws:kafka:{REGIONS[source]}:{ACCOUNT}:cluster/msk-dr-{source}/")
    assert target_arn == run.exports["clusterArn"]
    assert inputs["replicatorName"] == f"msk-dr-{source}-to-{target}"
    assert inputs["description"] == f"Copies topics from {source} to {target}"
    # The provider compares them by position.
    arns = [cluster["amazonMskCluster"]["mskClusterArn"] for cluster in inputs["kafkaClusters"]]
    assert arns == [source_arn, target_arn]


def test_the_source_brings_its_own_subnets_and_no_security_group() -> None:
    run = run_program("secondary")
    source, target = (cluster["vpcConfig"] for cluster in run.one("msk.Replicator").inputs["kafkaClusters"])
    assert source == {"subnetIds": run_program("primary").exports["subnetIds"]}
    group = run.one("ec2.SecurityGroup", "msk-dr-secondary-replicator")
    assert target == {"subnetIds": run.exports["subnetIds"], "securityGroupsIds": [group.id]}


def test_either_direction_is_the_same_replicator_with_the_ends_swapped() -> None:
    def without_ends(stack: str, direction: str) -> Any:
        inputs = json.dumps(run_program(stack, direction).one("msk.Replicator").inputs["replicationInfoList"])
        loaded = json.loads(inputs)
        del loaded["sourceKafkaClusterArn"], loaded["targetKafkaClusterArn"]
        return loaded

    assert without_ends("primary", "bidirectional") == without_ends("secondary", "bidirectional")


def test_everything_is_copied_under_the_same_name_from_the_earliest_record_and_offsets_both_ways() -> None:
    assert topic_replication() == {
        "topicsToReplicates": [".*"],
        "topicNameConfiguration": {"type": "IDENTICAL"},
        "startingPosition": {"type": "EARLIEST"},
        "copyTopicConfigurations": True,
        "copyAccessControlListsForTopics": False,
        "detectAndCopyNewTopics": True,
    }
    assert group_replication() == {
        "consumerGroupsToReplicates": [".*"],
        "consumerGroupOffsetSyncMode": "ENHANCED",
        "synchroniseConsumerGroupOffsets": True,
        "detectAndCopyNewConsumerGroups": True,
    }
    assert replicator().inputs["replicationInfoList"]["targetCompressionType"] == "NONE"


NARROW: Final[dict[str, Any]] = {
    **EVERYTHING,
    "startingPosition": "LATEST",
    "compression": "ZSTD",
    "topicNames": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS",
    "offsetSyncMode": "LEGACY",
}


def test_what_is_copied_and_how_is_as_configured() -> None:
    assert topic_replication(**NARROW) == {
        "topicsToReplicates": ["orders-.*", "payments"],
        "topicsToExcludes": ["orders-test"],
        "topicNameConfiguration": {"type": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"},
        "startingPosition": {"type": "LATEST"},
        "copyTopicConfigurations": False,
        "copyAccessControlListsForTopics": True,
        "detectAndCopyNewTopics": True,
    }
    assert group_replication(**NARROW) == {
        "consumerGroupsToReplicates": ["billing-.*"],
        "consumerGroupsToExcludes": ["billing-test"],
        "consumerGroupOffsetSyncMode": "LEGACY",
        "synchroniseConsumerGroupOffsets": True,
        "detectAndCopyNewConsumerGroups": True,
    }
    assert replicator(**NARROW).inputs["replicationInfoList"]["targetCompressionType"] == "ZSTD"


def test_what_the_service_cannot_change_replaces_the_replicator_delete_first() -> None:
    """The provider takes these for updatable; its name is taken until it is gone."""
    made = replicator()
    assert made.replace_on_changes == ("replicatorName", "description", "serviceExecutionRoleArn", "kafkaClusters")
    assert made.delete_before_replace
    assert made.timeouts == {"create": "90m", "update": "180m", "delete": "90m"}
    assert made.ignore_changes == ()


@pytest.mark.parametrize("target", REGIONS)
def test_it_waits_for_its_rights_its_network_and_the_declared_topics(target: str) -> None:
    run = run_program(target, "bidirectional", **EVERYTHING)
    made = run.one("msk.Replicator")
    (rights,) = [r for r in run.of("iam.RolePolicy") if r.parent_kind == "Replicator"]
    rules = run.of("vpc.SecurityGroupIngressRule") + run.of("vpc.SecurityGroupEgressRule")
    awaited = [rights, *(rule for rule in rules if rule.parent_kind == "Connectivity")]
    awaited += [run.one("msk.Cluster"), run.one("msk.ClusterPolicy"), *run.of("msk.Topic")]
    assert len(awaited) == 1 + 11 + 5 + 4
    assert [r.urn for r in awaited if not run.waits_for(made, r)] == []


def test_its_role_is_for_the_kafka_service_on_behalf_of_this_account() -> None:
    run = run_program("secondary")
    (role,) = [r for r in run.of("iam.Role") if r.parent_kind == "Replicator"]
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "kafka.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    assert run.one("msk.Replicator").inputs["serviceExecutionRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/{role.id}"


def test_its_role_may_do_what_the_developer_guide_lists_on_these_two_clusters() -> None:
    internal = ["*__amazon_msk_replicator_*", "mskr-offset-syncs.*", "*.checkpoints.internal"]
    describe = ["DescribeTopic", "DescribeTopicDynamicConfiguration"]
    alter = ["AlterTopic", "AlterTopicDynamicConfiguration"]
    assert statements(run_program("secondary")) == {
        "Clusters": {
            "Action": ["Connect", "DescribeCluster", "WriteDataIdempotently"],
            "Resource": ["cluster/msk-dr-primary", "cluster/msk-dr-secondary"],
        },
        "InternalTopics": {
            "Action": ["CreateTopic", "ReadData", "WriteData", *describe, *alter],
            "Resource": [f"topic/msk-dr-{role}/{topic}" for role in ("primary", "secondary") for topic in internal],
        },
        "SourceTopics": {"Action": ["ReadData", *describe], "Resource": ["topic/msk-dr-primary/*"]},
        "TargetTopics": {
            "Action": ["CreateTopic", "WriteData", *describe, *alter],
            "Resource": ["topic/msk-dr-secondary/*"],
        },
        "TargetGroups": {
            "Action": ["AlterGroup", "DescribeGroup"],
            "Resource": ["group/msk-dr-secondary/*__amazon_msk_replicator_*", "group/msk-dr-secondary/*"],
        },
        "SourceGroups": {"Action": ["DescribeGroup"], "Resource": ["group/msk-dr-primary/*"]},
    }


def test_its_role_is_as_narrow_as_its_lists() -> None:
    found = statements(alone(**NARROW))
    assert found["SourceTopics"]["Resource"] == ["topic/msk-dr-primary/orders-*", "topic/msk-dr-primary/payments"]
    assert found["TargetTopics"]["Resource"] == ["topic/msk-dr-secondary/orders-*", "topic/msk-dr-secondary/payments"]
    assert "AlterTopic" not in found["TargetTopics"]["Action"]
    assert found["SourceGroups"]["Resource"] == ["group/msk-dr-primary/billing-*"]
    # Copying ACLs is the one thing that needs the target cluster itself altered.
    assert found["TargetAcls"] == {"Action": ["AlterCluster"], "Resource": ["cluster/msk-dr-secondary"]}


def test_without_groups_its_role_reads_none() -> None:
    found = statements(alone(consumerGroupsToReplicate=[]))
    assert "SourceGroups" not in found
    assert found["TargetGroups"]["Resource"] == ["group/msk-dr-secondary/*__amazon_msk_replicator_*"]


def test_it_logs_to_a_group_of_its_own() -> None:
    run = alone(logRetentionDays=90)
    logs = run.one("cloudwatch.LogGroup")
    assert logs.inputs["name"] == "/aws/vendedlogs/msk-replicator/msk-dr-primary-to-secondary"
    assert logs.inputs["retentionInDays"] == 90
    delivery = run.one("msk.Replicator").inputs["logDelivery"]["replicatorLogDelivery"]
    assert delivery == {"cloudwatchLogs": {"enabled": True, "logGroup": logs.inputs["name"]}}


def test_a_new_role_is_given_time_to_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    hook = _wait_for_iam("r", 15)
    hook.callback(pulumi.ResourceHookArgs(urn="", id="", name="", type="aws:msk/replicator:Replicator"))
    assert slept == [15]
    assert replicator().hooks == {"before_create": ("msk-dr-primary-to-secondary-wait-for-iam",)}
    assert replicator(iamWaitSeconds=0).hooks == {}


def test_a_peer_that_was_never_deployed_is_an_error_that_says_so() -> None:
    with pytest.raises(
        pulumi.RunError, match=r"the stack 'primary' has no output 'clusterArn'.*pulumi up --stack primary"
    ):
        run_program("secondary", peer_outputs={})
