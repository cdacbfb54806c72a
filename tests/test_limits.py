"""The service's limits as the program has them, compared with AWS's own service models where those have them.

What no test can prove: limits that are in no model, such as the Kafka versions that Express brokers take, their quotas
per instance type, or how many patterns a Replicator takes. They carry their source and date in `components/limits.py`.
"""

import re
from collections.abc import Mapping
from typing import Any

import botocore.loaders  # type: ignore[import-untyped]
import pytest

import config
from components import limits

LOADER = botocore.loaders.Loader()


def shapes(service: str) -> Mapping[str, Any]:
    """The shapes of a service's model, as botocore has them on disk."""
    found: Mapping[str, Any] = LOADER.load_service_model(service, "service-2")["shapes"]
    return found


def member(service: str, shape: str, name: str) -> Mapping[str, Any]:
    """The shape of a structure's member; of a list, the shape of its items."""
    of = shapes(service)
    found: Mapping[str, Any] = of[of[shape]["members"][name]["shape"]]
    if found["type"] == "list":
        found = of[found["member"]["shape"]]
    return found


@pytest.mark.parametrize(
    ("ours", "shape"),
    [
        (limits.MONITORING_LEVELS, "EnhancedMonitoring"),
        (limits.COMPRESSION_TYPES, "TargetCompressionType"),
        (limits.STARTING_POSITIONS, "ReplicationStartingPositionType"),
        (limits.TOPIC_NAMES, "ReplicationTopicNameConfigurationType"),
        (limits.OFFSET_SYNC_MODES, "ConsumerGroupOffsetSyncMode"),
    ],
)
def test_choices_are_those_of_the_service(ours: tuple[str, ...], shape: str) -> None:
    assert set(ours) == set(shapes("kafka")[shape]["enum"])
    assert len(set(ours)) == len(ours)


@pytest.mark.parametrize(
    ("ours", "service", "shape", "name"),
    [
        (limits.CLUSTER_NAME_LENGTH, "kafka", "CreateClusterV2Request", "ClusterName"),
        (limits.CLUSTER_NAME_LENGTH, "kafka", "CreateClusterRequest", "ClusterName"),
        (limits.ROLE_NAME_LENGTH, "iam", "CreateRoleRequest", "RoleName"),
        (limits.REPLICATOR_LISTS["topics"][2], "kafka", "TopicReplication", "TopicsToReplicate"),
        (limits.REPLICATOR_LISTS["topics"][2], "kafka", "TopicReplication", "TopicsToExclude"),
        (limits.REPLICATOR_LISTS["groups"][2], "kafka", "ConsumerGroupReplication", "ConsumerGroupsToReplicate"),
        (limits.REPLICATOR_LISTS["groups"][2], "kafka", "ConsumerGroupReplication", "ConsumerGroupsToExclude"),
    ],
)
def test_lengths_are_those_of_the_service(ours: int, service: str, shape: str, name: str) -> None:
    assert member(service, shape, name)["max"] == ours


def test_retentions_are_those_that_cloudwatch_logs_offers() -> None:
    listed = re.search(r"Possible values are: ([\d, and]+)", shapes("logs")["Days"]["documentation"])
    assert listed is not None
    assert tuple(map(int, re.findall(r"\d+", listed[1]))) == limits.LOG_RETENTION_DAYS


def test_names_made_of_the_longest_name_fit_everywhere() -> None:
    name = "m" * config.NAME_LENGTH
    assert len(f"{name}-secondary") <= member("kafka", "CreateClusterV2Request", "ClusterName")["max"]
    replicator = f"{name}-secondary-to-primary"
    assert len(replicator) <= member("kafka", "CreateReplicatorRequest", "ReplicatorName")["max"]
    roles = [f"{replicator}-1a2b3c4", f"{name}-secondary-client-1a2b3c4"]
    assert max(map(len, roles)) == member("iam", "CreateRoleRequest", "RoleName")["max"]
    alarm = f"{replicator}-consumer-group-offset-sync-failure"
    assert len(alarm) <= member("cloudwatch", "PutMetricAlarmInput", "AlarmName")["max"]


def test_tags_have_the_characters_and_lengths_that_iam_takes() -> None:
    """IAM is the strictest of the services whose resources are tagged."""
    for shape, longest in (("tagKeyType", 128), ("tagValueType", 256)):
        assert shapes("iam")[shape]["max"] == longest
        assert shapes("iam")[shape]["pattern"].rstrip("+*") == r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"


def test_every_region_that_has_a_second_one_in_its_partition_is_known() -> None:
    """A pair needs two: AWS European Sovereign Cloud has one Region yet."""
    partitions = LOADER.load_data("partitions")["partitions"]
    known = [[region for region in partition["regions"] if not region.endswith("-global")] for partition in partitions]
    pairs = [region for regions in known if len(regions) > 1 for region in regions]
    assert len(pairs) > 35
    assert [region for region in pairs if not limits.REGION_ID.fullmatch(region)] == []


def test_a_region_is_found_inside_a_name() -> None:
    assert limits.REGION_ID.findall("orders-ap-southeast-2-us-gov-west-1x") == ["ap-southeast-2", "us-gov-west-1"]
    assert limits.REGION_ID.findall("orders-us-12-east-1") == []


def test_partitions_are_those_of_the_service() -> None:
    for partition in LOADER.load_data("partitions")["partitions"]:
        for region in partition["regions"]:
            if partition["id"] in ("aws", "aws-cn", "aws-us-gov") and not region.endswith("-global"):
                assert limits.partition(region) == partition["id"]


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-east-1", "use1"),
        ("us-east-2", "use2"),
        ("eu-central-2", "euc2"),
        ("ap-northeast-3", "apne3"),
        ("ap-southeast-1", "apse1"),
        ("cn-northwest-1", "cnnw1"),
        ("us-gov-west-1", "usgw1"),
    ],
)
def test_zone_ids_begin_with_their_regions_short_form(region: str, prefix: str) -> None:
    assert limits.zone_id_prefix(region) == prefix


def test_zones_without_express_brokers_are_zone_ids_of_a_region() -> None:
    assert all(re.fullmatch(r"[a-z]+\d-az\d", zone) for zone in limits.EXPRESS_REFUSED_ZONE_IDS)


def test_larger_express_brokers_carry_more() -> None:
    instances = list(limits.EXPRESS_INSTANCES.values())
    for smaller, larger in zip(instances, instances[1:], strict=False):
        assert smaller.ingress < larger.ingress
        assert smaller.egress < larger.egress
        assert smaller.max_partitions < larger.max_partitions
    assert all(instance.egress >= 2 * instance.ingress for instance in instances)


def test_kraft_clusters_may_have_twice_the_brokers() -> None:
    assert {version: limits.max_brokers(version) for version in limits.EXPRESS_KAFKA_VERSIONS} == {
        "3.8.x": 30,
        "3.9.x.kraft": 60,
        "4.2.x.kraft": 60,
    }


def test_the_command_line_tools_are_of_the_clusters_version() -> None:
    for cluster, release in limits.EXPRESS_KAFKA_VERSIONS.items():
        assert release.startswith(cluster.removesuffix(".kraft").removesuffix("x"))
        assert re.fullmatch(r"\d+\.\d+\.\d+", release)
