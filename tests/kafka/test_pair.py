"""What the real Pulumi engine deploys on real Kafka: the whole procedure, and what the MSK API does to a stack."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws import ec2
from sandbox.cloud import Aws
from sandbox.kafka import ClusterUnavailable
from tests.api.world import client
from tests.engine.deployment import CLUSTER, FOR_TESTS, REPLICATOR, Deployment, deployed, of, warnings
from tests.kafka.leftovers import ROOT, interrupted, processes_of

pytestmark = [pytest.mark.kafka, pytest.mark.engine]

EAST = "us-east-1"
CLUSTER_POLICY = "aws:msk/clusterPolicy:ClusterPolicy"
DEMO = [sys.executable, "-m", "sandbox.demo", "--folder"]


def test_the_published_procedure_holds_on_the_deployed_pair(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [*DEMO, str(folder), "--report", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(report.read_text())
    assert all(check["held"] for check in checks)
    seen = {check["claim"]: check["seen"] for check in checks}
    for side in ("primary", "secondary"):
        assert (seen[f"{side}: messages"], seen[f"{side}: lost"], seen[f"{side}: twice"]) == ("4", "[]", "[]")
        assert seen[f"{side}: messages that msk-consumer has not read"] == "0.0"
    assert processes_of(folder) == []
    assert not folder.exists()


def test_a_demo_that_is_interrupted_leaves_nothing(folder: Path) -> None:
    assert interrupted([*DEMO, str(folder)], folder) == 130
    assert processes_of(folder) == []
    assert not folder.exists()


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The primary stack with one declared topic, on Kafka. A test leaves it as it was."""
    with deployed(tmp_path_factory.mktemp("deployed"), kafka=True) as deployment:
        for stack in ("primary", "secondary"):
            deployment.pulumi.init(stack)
            deployment.configure(stack, **FOR_TESTS, client=False)
        deployment.configure("primary", topics=[{"name": "orders", "partitions": 2}])
        deployment.up("primary")
        yield deployment


@pytest.fixture
def arn(primary: Deployment) -> str:
    return str(primary.pulumi.outputs("primary")["clusterArn"])


def msk(deployment: Deployment, region: str = EAST) -> Any:
    """MSK as somebody with the SDK reaches it, past Pulumi."""
    return client(deployment.sandbox.api, "kafka", region)


def test_the_cluster_is_made_in_the_providers_order_of_calls(primary: Deployment, arn: str) -> None:
    made = [
        call.operation.removeprefix("kafka:")
        for call in primary.sandbox.calls(EAST)
        if call.operation.startswith("kafka:") and call.resource == "msk-dr-primary" and "Policy" not in call.operation
    ]
    wanted = ["CreateCluster", "DescribeClusterV2", "UpdateConnectivity", "DescribeClusterOperation"]
    assert [operation for operation in made if operation in wanted][:4] == wanted
    after = made[made.index("DescribeClusterOperation") + 1 :]
    assert after[:2] == ["DescribeCluster", "GetBootstrapBrokers"]
    assert primary.pulumi.outputs("primary")["bootstrapBrokers"] == primary.sandbox.plane.bootstrap(arn)
    primary.settled("primary")
    primary.pulumi.refresh("primary", "--expect-no-changes").check()


def test_a_subnet_is_not_deleted_under_the_brokers(primary: Deployment, arn: str) -> None:
    outputs = primary.pulumi.outputs("primary")
    cloud = primary.sandbox.cloud
    with cloud.lock:
        assert all(ec2.in_use(Aws(cloud, EAST), id_) for id_ in outputs["subnetIds"])
        assert ec2.in_use(Aws(cloud, EAST), outputs["clusterSecurityGroupId"])
        assert not ec2.in_use(Aws(cloud, EAST), outputs["clientSecurityGroupId"])


def test_what_the_program_says_of_a_topic_is_what_kafka_has(primary: Deployment, arn: str) -> None:
    plane = primary.sandbox.plane
    assert plane.describe_topic(arn, "orders").partitions == 2
    primary.configure("primary", topics=[{"name": "orders", "partitions": 4, "configs": {"retention.ms": "60000"}}])
    assert primary.up("primary").changed("update")
    topic = plane.describe_topic(arn, "orders")
    assert (topic.partitions, topic.configs["retention.ms"]) == (4, "60000")

    primary.configure("primary", topics=[])
    primary.up("primary")
    assert plane.list_topics(arn) == []
    primary.configure("primary", topics=[{"name": "orders", "partitions": 2}])
    primary.up("primary")
    primary.settled("primary")


def test_refresh_sees_what_was_changed_through_the_api_and_up_takes_it_back(primary: Deployment, arn: str) -> None:
    client = msk(primary)
    before = client.describe_cluster(ClusterArn=arn)["ClusterInfo"]
    client.update_monitoring(
        ClusterArn=arn, CurrentVersion=before["CurrentVersion"], EnhancedMonitoring="PER_TOPIC_PER_BROKER"
    )
    client.tag_resource(ResourceArn=arn, Tags={"by": "hand"})
    deadline = time.monotonic() + 30
    while client.describe_cluster(ClusterArn=arn)["ClusterInfo"]["State"] != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    primary.pulumi.refresh("primary").check()
    (cluster,) = [each for each in primary.pulumi.export("primary") if each["type"] == CLUSTER]
    assert cluster["outputs"]["enhancedMonitoring"] == "PER_TOPIC_PER_BROKER"
    assert cluster["outputs"]["tags"]["by"] == "hand"

    assert primary.up("primary").changed("update")
    after = client.describe_cluster(ClusterArn=arn)["ClusterInfo"]
    assert after["EnhancedMonitoring"] == before["EnhancedMonitoring"] != "PER_TOPIC_PER_BROKER"
    assert after["Tags"] == before["Tags"]
    primary.settled("primary")


def test_a_region_that_fails_takes_api_and_brokers_along_and_comes_back_with_its_data(
    primary: Deployment, arn: str
) -> None:
    primary.sandbox.fail(EAST)
    assert not primary.pulumi.preview("primary", "--refresh").ok
    with pytest.raises(ClusterUnavailable):
        primary.sandbox.plane.list_topics(arn)
    assert primary.sandbox.api.status()["regions"][EAST] == "down"

    primary.sandbox.heal(EAST)
    assert primary.sandbox.plane.list_topics(arn) == ["orders"]
    primary.settled("primary")


def test_a_replicator_without_the_sources_policy_fails_and_the_user_reads_why(primary: Deployment, arn: str) -> None:
    msk(primary).delete_cluster_policy(ClusterArn=arn)

    result = primary.pulumi.up("secondary")
    assert not result.ok
    told = next(each.message for each in result.diagnostics if "FAILED" in each.message)
    assert "unexpected state 'FAILED', wanted target 'RUNNING'. last error: SOURCE_ACCESS_DENIED: " in told
    assert f"The cluster policy of the source cluster {arn} does not allow kafka.amazonaws.com" in told
    (held,) = [each for each in primary.pulumi.export("secondary") if each["type"] == REPLICATOR]
    assert any("SOURCE_ACCESS_DENIED" in error for error in held["initErrors"])
    assert primary.sandbox.api.status()["replicators"][0]["ReplicatorState"] == "FAILED"

    # The way out: the policy comes back, and the Replicator is made anew.
    primary.pulumi.refresh("primary").check()
    assert not [each for each in primary.pulumi.export("primary") if each["type"] == CLUSTER_POLICY]
    assert primary.up("primary").changed("create") == ["msk-dr-primary"]
    replaced = primary.up("secondary", "--replace", held["urn"])
    assert of(replaced.changes, REPLICATOR)
    assert not warnings(replaced)
    assert [each["ReplicatorState"] for each in primary.sandbox.api.status()["replicators"]] == ["RUNNING"]
    primary.pulumi.destroy("secondary").check()
    assert primary.sandbox.api.status()["replicators"] == []
