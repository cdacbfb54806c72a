"""Cluster policies and tags."""

import json
from typing import Any

import pytest

from tests.api.world import PRIMARY, World, refusal, source_policy

OTHER = "arn:aws:kafka:us-east-1:123456789012:cluster/other/0-1"


def test_a_policy_is_put_read_changed_and_taken_away(world: World, cluster: str) -> None:
    kafka = world.kafka(PRIMARY)
    first, second = (json.dumps(source_policy(cluster, *without)) for without in ((), ("kafka:GetBootstrapBrokers",)))
    version = kafka.put_cluster_policy(ClusterArn=cluster, Policy=first)["CurrentVersion"]
    found = kafka.get_cluster_policy(ClusterArn=cluster)
    assert (found["Policy"], found["CurrentVersion"]) == (first, version)
    assert refusal(kafka.put_cluster_policy, ClusterArn=cluster, Policy=second) == (
        "BadRequestException",
        "Current cluster policy version needed for Update",
    )
    stale = refusal(kafka.put_cluster_policy, ClusterArn=cluster, Policy=second, CurrentVersion="K1")
    assert "isn't current" in stale[1]
    newer = kafka.put_cluster_policy(ClusterArn=cluster, Policy=second, CurrentVersion=version)["CurrentVersion"]
    assert newer != version
    assert kafka.get_cluster_policy(ClusterArn=cluster)["Policy"] == second
    kafka.delete_cluster_policy(ClusterArn=cluster)
    assert refusal(kafka.get_cluster_policy, ClusterArn=cluster)[0] == "NotFoundException"
    assert refusal(kafka.delete_cluster_policy, ClusterArn=cluster)[0] == "NotFoundException"


def test_a_policy_may_come_while_the_cluster_is_updated(world: World) -> None:
    kafka = world.kafka(PRIMARY)
    arn = world.cluster(PRIMARY)
    kafka.update_monitoring(ClusterArn=arn, CurrentVersion=world.version(arn), EnhancedMonitoring="PER_BROKER")
    kafka.put_cluster_policy(ClusterArn=arn, Policy=json.dumps(source_policy(arn)))
    world.wait_active(arn)
    assert kafka.get_cluster_policy(ClusterArn=arn)["Policy"] == json.dumps(source_policy(arn))


def with_resource(cluster: str, resource: Any) -> str:
    policy = source_policy(cluster)
    policy["Statement"][0]["Resource"] = resource
    return json.dumps(policy)


@pytest.mark.parametrize("resource", ["*", OTHER, f"{OTHER}/x"])
def test_a_policy_speaks_of_its_own_cluster_only(world: World, cluster: str, resource: str) -> None:
    found = refusal(
        world.kafka(PRIMARY).put_cluster_policy, ClusterArn=cluster, Policy=with_resource(cluster, resource)
    )
    assert found == ("BadRequestException", "The cluster policy is not valid. Invalid cluster arn")


def test_a_policy_may_name_the_clusters_topics_for_other_accounts(world: World, cluster: str) -> None:
    kafka = world.kafka(PRIMARY)
    topics = f"{cluster.replace(':cluster/', ':topic/')}/*"
    kafka.put_cluster_policy(ClusterArn=cluster, Policy=with_resource(cluster, [cluster, topics]))
    kafka.delete_cluster_policy(ClusterArn=cluster)


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"Version": "2012-10-17"}', '{"Statement": [{"Effect": "Allow"}]}'])
def test_a_policy_must_be_one(world: World, cluster: str, text: str) -> None:
    found = refusal(world.kafka(PRIMARY).put_cluster_policy, ClusterArn=cluster, Policy=text)
    assert found[0] == "BadRequestException" and "The cluster policy is not valid" in found[1]


def test_a_policy_has_a_longest_length(world: World, cluster: str) -> None:
    found = refusal(world.kafka(PRIMARY).put_cluster_policy, ClusterArn=cluster, Policy=" " * (20 * 1024 + 1))
    assert "the most is 20480" in found[1]


def test_a_call_that_knows_no_not_found_answers_bad_request(world: World) -> None:
    code, message = refusal(world.kafka(PRIMARY).put_cluster_policy, ClusterArn=OTHER, Policy=json.dumps({}))
    assert code == "BadRequestException" and "does not exist in us-east-1" in message


def test_tags_of_clusters_and_replicators_come_and_go(world: World, source: str, target: str, role: str) -> None:
    arn = world.kafka("us-east-2").create_replicator(
        **world.replicator_request(source, target, role, Tags={"team": "data"})
    )["ReplicatorArn"]
    world.settled(arn)
    for resource in (arn, target):
        kafka = world.kafka("us-east-2")
        kafka.tag_resource(ResourceArn=resource, Tags={"team": "other", "cost": "1", "x": ""})
        kafka.untag_resource(ResourceArn=resource, TagKeys=["cost", "x"])
        assert kafka.list_tags_for_resource(ResourceArn=resource)["Tags"] == {"team": "other"}
        too_many = {f"tag{number}": "" for number in range(50)}
        assert "the most is 50" in refusal(kafka.tag_resource, ResourceArn=resource, Tags=too_many)[1]
        missing = refusal(kafka.list_tags_for_resource, ResourceArn=f"{resource}0")
        assert missing[0] == "NotFoundException"
    assert world.describe(target)["Tags"] == world.replicator_state(arn)["Tags"] == {"team": "other"}
    world.delete_replicator(arn)
