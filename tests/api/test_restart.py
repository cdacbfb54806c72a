"""What survives the end of the process, and what the next start takes up again."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.api.context import Timing
from sandbox.api.faults import GLOBAL, Fault
from sandbox.api.server import Api
from tests.api.fake_kafka import FakeKafka
from tests.api.world import (
    ON_DEMAND,
    PRIMARY,
    SECONDARY,
    World,
    execution_policy,
    is_gone,
    refusal,
    source_policy,
)


@pytest.fixture
def kafka() -> FakeKafka:
    fake = FakeKafka()
    fake.willing()
    return fake


def pair(world: World) -> dict[str, Any]:
    """A request for a Replicator between two new clusters."""
    return world.replicator_request(world.source(PRIMARY), world.cluster(SECONDARY), world.role(execution_policy()))


def test_msk_is_there_again_as_it_was(folder: Path) -> None:
    def everything(world: World) -> list[Any]:
        primary, secondary = world.kafka(PRIMARY), world.kafka(SECONDARY)
        arn = primary.list_clusters()["ClusterInfoList"][0]["ClusterArn"]
        answers = [
            primary.list_clusters_v2(),
            secondary.list_clusters(),
            primary.get_cluster_policy(ClusterArn=arn),
            primary.list_cluster_operations(ClusterArn=arn),
            primary.list_topics(ClusterArn=arn),
            secondary.list_replicators(),
            primary.list_replicators(),
        ]
        return [{key: value for key, value in answer.items() if key != "ResponseMetadata"} for answer in answers]

    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        request = pair(world)
        source = request["KafkaClusters"][0]["AmazonMskCluster"]["MskClusterArn"]
        params = {"ClusterArn": source, "TopicName": "orders"}
        world.kafka(PRIMARY).create_topic(**params, PartitionCount=1, ReplicationFactor=3)
        world.settled(world.kafka(SECONDARY).create_replicator(**request)["ReplicatorArn"])
        before = everything(world)
        endpoint = api.endpoint
        api.stop()
        api.start()
        assert api.endpoint == endpoint
        assert everything(world) == before
        assert len(before[3]["ClusterOperationInfoList"]) == len(before[4]["Topics"]) == 1


def test_what_was_under_way_comes_to_its_end(folder: Path) -> None:
    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        request = pair(world)
        updated = world.cluster(SECONDARY)
        deleted = world.cluster(SECONDARY)
    with Api(folder, timing=ON_DEMAND) as api:
        kafka = World(api).kafka(SECONDARY)
        replicator = kafka.create_replicator(**request)["ReplicatorArn"]
        created = kafka.create_cluster(**world.cluster_request(SECONDARY))["ClusterArn"]
        version = kafka.describe_cluster(ClusterArn=updated)["ClusterInfo"]["CurrentVersion"]
        kafka.update_broker_count(ClusterArn=updated, CurrentVersion=version, TargetNumberOfBrokerNodes=6)
        kafka.delete_cluster(ClusterArn=deleted)
    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        for arn in (created, updated):
            world.wait_active(arn)
        assert world.describe(updated)["Provisioned"]["NumberOfBrokerNodes"] == 6
        assert world.settled(replicator)["ReplicatorState"] == "RUNNING"
        world.wait_for(lambda: is_gone(world.kafka(SECONDARY).describe_cluster, ClusterArn=deleted))


def test_the_other_services_are_there_again_with_the_same_ids(folder: Path) -> None:
    def everything(world: World) -> dict[str, Any]:
        ec2, iam = world.client("ec2", PRIMARY), world.client("iam", PRIMARY)
        groups = ec2.describe_security_groups()["SecurityGroups"]
        policy = iam.get_role_policy(RoleName="role-1", PolicyName="replicator")["PolicyDocument"]
        return {
            "vpcs": ec2.describe_vpcs()["Vpcs"],
            "subnets": ec2.describe_subnets()["Subnets"],
            "groups": sorted(groups, key=lambda group: str(group["GroupId"])),
            "role": iam.get_role(RoleName="role-1")["Role"]["RoleId"],
            "policy": policy,
            "keys": world.client("kms", SECONDARY).list_keys()["Keys"],
            "aliases": world.client("kms", SECONDARY).list_aliases()["Aliases"][-1]["AliasName"],
            "logs": [
                each["logGroupName"] for each in world.client("logs", SECONDARY).describe_log_groups()["logGroups"]
            ],
            "topics": world.client("sns", SECONDARY).list_topics()["Topics"],
            "subscriptions": world.client("sns", SECONDARY).list_subscriptions()["Subscriptions"],
            "alarms": [
                each["AlarmName"] for each in world.client("cloudwatch", SECONDARY).describe_alarms()["MetricAlarms"]
            ],
            "dashboard": world.client("cloudwatch", SECONDARY).get_dashboard(DashboardName="d")["DashboardBody"],
        }

    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        world.role(execution_policy())
        world.network(PRIMARY)
        key = world.client("kms", SECONDARY).create_key()["KeyMetadata"]["KeyId"]
        world.client("kms", SECONDARY).create_alias(AliasName="alias/mine", TargetKeyId=key)
        world.client("logs", SECONDARY).create_log_group(logGroupName="/aws/x")
        topic = world.client("sns", SECONDARY).create_topic(Name="alarms")["TopicArn"]
        world.client("sns", SECONDARY).subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
        cloudwatch = world.client("cloudwatch", SECONDARY)
        cloudwatch.put_dashboard(DashboardName="d", DashboardBody="{}")
        cloudwatch.put_metric_alarm(
            AlarmName="a",
            MetricName="m",
            Namespace="n",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        extra = world.client("ec2", PRIMARY).create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        world.client("ec2", PRIMARY).delete_vpc(VpcId=extra)
        assert refusal(world.client("ec2", PRIMARY).delete_vpc, VpcId=extra)[0] == "InvalidVpcID.NotFound"
        before = everything(world)
        api.stop()
        api.start()
        assert everything(world) == before
        # What is made after a restart does not get an id that is taken.
        made = world.client("ec2", PRIMARY).create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        assert made not in {vpc["VpcId"] for vpc in before["vpcs"]}


def test_nothing_secret_is_written_down(folder: Path) -> None:
    with Api(folder, timing=ON_DEMAND) as api:
        World(api).role(execution_policy())
        text = (folder / "requests.jsonl").read_text()
    assert "AKIATESTTESTTESTTEST" not in text and json.loads(text.splitlines()[0])["seed"] == 1


def test_a_line_that_a_crash_cut_off_is_left_out(folder: Path) -> None:
    with Api(folder, timing=ON_DEMAND) as api:
        World(api).role(execution_policy())
    with (folder / "requests.jsonl").open("a") as file:
        file.write('{"seed": 99, "met')
    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        world.client("sns", PRIMARY).create_topic(Name="after")
        api.stop()
        api.start()
        assert len(world.client("iam", PRIMARY).list_roles()["Roles"]) == 1
        assert len(world.client("sns", PRIMARY).list_topics()["Topics"]) == 1


def test_a_policy_survives_with_its_version(folder: Path) -> None:
    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        arn = world.cluster(PRIMARY)
        policy = json.dumps(source_policy(arn))
        version = world.kafka(PRIMARY).put_cluster_policy(ClusterArn=arn, Policy=policy)["CurrentVersion"]
        api.stop()
        api.start()
        world.kafka(PRIMARY).put_cluster_policy(ClusterArn=arn, Policy=policy, CurrentVersion=version)


def test_faults_outlive_the_process(folder: Path) -> None:
    with Api(folder, timing=ON_DEMAND) as api:
        api.fail(PRIMARY)
        api.fail_once(Fault(operation="kafka:ListNodes"))
        api.fail_once(Fault(operation="kafka:ListClusters"))
    with Api(folder, timing=ON_DEMAND) as api:
        world = World(api)
        assert refusal(world.kafka(PRIMARY).list_clusters)[0] == "ServiceUnavailableException"
        assert refusal(world.kafka(SECONDARY).list_clusters)[0] == "InternalServerErrorException"
        api.clear_faults()
        assert api.status()["faults"] == []
        assert api.status()["regions"] == {PRIMARY: "down", SECONDARY: "up", GLOBAL: "up"}


def test_a_replicator_that_never_runs_is_given_up(folder: Path, kafka: FakeKafka) -> None:
    kafka.state = ("CREATING", "connecting")
    with Api(folder, kafka, timing=Timing(create=0, update=0, delete=0, give_up=0.3)) as api:
        world = World(api)
        arn = world.kafka(SECONDARY).create_replicator(**pair(world))["ReplicatorArn"]
        assert world.settled(arn)["StateInfo"] == {
            "Code": "TIMED_OUT",
            "Message": "Not running after 0.3 s. connecting",
        }


def test_a_restart_brings_clusters_and_replicators_up_again(folder: Path, kafka: FakeKafka) -> None:
    with Api(folder, kafka, timing=ON_DEMAND) as api:
        world = World(api)
        request = pair(world)
        arn = world.kafka(SECONDARY).create_replicator(**request)["ReplicatorArn"]
        world.settled(arn)
        source = request["KafkaClusters"][0]["AmazonMskCluster"]["MskClusterArn"]
        old = world.kafka(PRIMARY).get_bootstrap_brokers(ClusterArn=source)["BootstrapBrokerStringSaslIam"]
        api.fail(PRIMARY)
    assert kafka.calls("close") == [None]
    kafka.asked.clear()
    with Api(folder, kafka, timing=ON_DEMAND) as api:
        names = [name for name, _ in kafka.asked]
        assert names == ["fail_region", "start_cluster", "start_replicator"], "nothing is started where it is down"
        api.heal(PRIMARY)
        assert [name for name, _ in kafka.asked[3:]] == ["heal_region", "start_cluster"]
        world = World(api)
        new = world.kafka(PRIMARY).get_bootstrap_brokers(ClusterArn=source)["BootstrapBrokerStringSaslIam"]
        assert new.startswith("127.0.0.1:") and new != old
        assert world.replicator_state(arn)["ReplicatorState"] == "RUNNING"


def test_a_replicator_that_was_being_created_is_taken_up_again(folder: Path, kafka: FakeKafka) -> None:
    kafka.state = ("CREATING", "")
    with Api(folder, kafka, timing=ON_DEMAND) as api:
        world = World(api)
        arn = world.kafka(SECONDARY).create_replicator(**pair(world))["ReplicatorArn"]
        world.wait_for(lambda: kafka.calls("start_replicator"))
    kafka.state = ("RUNNING", "")
    with Api(folder, kafka, timing=ON_DEMAND) as api:
        assert World(api).settled(arn)["ReplicatorState"] == "RUNNING"


def test_clusters_that_do_not_come_up_again_stop_the_start(folder: Path, kafka: FakeKafka) -> None:
    with Api(folder, kafka, timing=ON_DEMAND) as api:
        World(api).cluster(PRIMARY)
    kafka.willing()
    kafka.broken = "the port is taken"
    with pytest.raises(RuntimeError, match="the port is taken"):
        Api(folder, kafka, timing=ON_DEMAND).start()
    assert kafka.calls("close") == [None]
    kafka.willing()
    with Api(folder, kafka, timing=ON_DEMAND) as api:
        assert api.status()["clusters"][0]["State"] == "ACTIVE"


def test_one_api_runs_in_a_process(folder: Path) -> None:
    with Api(folder, timing=ON_DEMAND), pytest.raises(RuntimeError, match="An API runs in this process already"):
        Api(folder.with_name("other")).start()
