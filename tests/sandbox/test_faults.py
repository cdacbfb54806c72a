"""Faults on request, the record of calls, and state that survives."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
from concurrent import futures
from pathlib import Path

import pytest
from pulumi_aws import cloudwatch, ec2, iam, msk

from sandbox.cloud import AwsError, Call, Cloud
from sandbox.faults import Faults, Trigger, When
from sandbox.peer import peer_pid
from sandbox.state import GLOBAL, read_journal, resource_counts
from sandbox.wire import Props
from tests.sandbox.kit import EAST, OHIO, TRUST, Client, Network, Pair, Refused, cluster_inputs, open_cloud

VPC: Props = {"cidrBlock": "10.0.0.0/16"}


def test_a_region_that_is_down_refuses_every_call_as_a_dead_endpoint_would(east: Client, network: Network) -> None:
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    east.cloud.faults.fail(EAST)
    for attempt in (
        lambda: east.make(ec2.Vpc, "v", VPC),
        lambda: east.change(cluster, {**cluster_inputs(network), "enhancedMonitoring": "DEFAULT"}),
        lambda: east.read(cluster),
        lambda: east.delete(cluster),
        lambda: east.invoke("aws:index/getAvailabilityZones:getAvailabilityZones"),
        lambda: east.invoke("aws:index/getCallerIdentity:getCallerIdentity"),
    ):
        with pytest.raises(Refused) as refused:
            attempt()
        assert "exceeded maximum number of attempts, 25, https response error StatusCode: 503" in str(refused.value)
        assert "api error ServiceUnavailable: Service Unavailable" in str(refused.value)
    east.cloud.faults.heal(EAST)
    assert east.read(cluster) is not None


def test_a_provider_of_a_region_that_is_down_cannot_be_configured(cloud: Cloud) -> None:
    cloud.faults.fail(EAST)
    with pytest.raises(Refused, match="validating provider credentials: retrieving caller identity from STS: .*503"):
        Client(cloud, EAST)
    assert Client(cloud, OHIO).make(ec2.Vpc, "v", VPC).id
    assert Client(cloud, EAST, peer="other", skipCredentialsValidation=True)


def test_checks_diffs_and_previews_need_no_region(east: Client) -> None:
    made = east.make(ec2.Vpc, "v", VPC)
    east.cloud.faults.fail(EAST)
    assert east.preview(ec2.Vpc, "w", VPC)
    assert not east.diff(made, VPC).detailedDiff


def test_iam_is_a_region_of_its_own_that_fails_only_when_asked(cloud: Cloud, east: Client) -> None:
    cloud.faults.fail(EAST)
    assert Client(cloud, OHIO).make(iam.Role, "r", {"assumeRolePolicy": TRUST}).id
    assert east.make(iam.Role, "s", {"assumeRolePolicy": TRUST}).id
    cloud.faults.heal(EAST)
    cloud.faults.fail(GLOBAL)
    with pytest.raises(Refused, match="operation error IAM: CreateRole"):
        east.make(iam.Role, "t", {"assumeRolePolicy": TRUST})
    assert east.make(ec2.Vpc, "v", VPC).id


def test_a_call_fails_once_and_then_works(east: Client) -> None:
    east.cloud.faults.add(Trigger("fail", "ec2:CreateVpc"))
    with pytest.raises(Refused, match="InternalServerErrorException: the sandbox was asked to let this call fail once"):
        east.make(ec2.Vpc, "v", VPC)
    assert east.cloud.region(EAST).table("aws:ec2/vpc:Vpc") == {}
    assert east.make(ec2.Vpc, "v", VPC).id


@pytest.mark.parametrize(
    ("trigger", "failing"),
    [
        (Trigger("fail", "ec2:CreateVpc", nth=2), ["v2"]),
        (Trigger("fail", "ec2:*", nth=3), ["v2"]),  # CreateVpc and DescribeVpcs for each
        (Trigger("fail", "create", nth=3), ["v3"]),
        (Trigger("fail", "ec2:CreateVpc", name="v3"), ["v3"]),
        (Trigger("fail", "ec2:CreateVpc", region=OHIO), []),
        (Trigger("fail", "kafka:*"), []),
    ],
)
def test_a_fault_can_be_aimed(east: Client, trigger: Trigger, failing: list[str]) -> None:
    east.cloud.faults.add(trigger)
    failed = []
    for name in ("v1", "v2", "v3", "v4"):
        try:
            east.make(ec2.Vpc, name, VPC)
        except Refused:
            failed.append(name)
    assert failed == failing


def test_an_error_after_a_call_leaves_what_the_call_did(east: Client) -> None:
    east.cloud.faults.add(Trigger("fail", "ec2:CreateVpc", when="after"))
    with pytest.raises(Refused, match="operation error EC2: CreateVpc"):
        east.make(ec2.Vpc, "v", VPC)
    assert len(east.cloud.region(EAST).table("aws:ec2/vpc:Vpc")) == 1


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_crash_ends_the_engine_that_called(east: Client, when: When, made: int) -> None:
    killed: list[str] = []
    east.cloud.kill = killed.append
    east.cloud.faults.add(Trigger("crash", "ec2:CreateVpc", when=when))
    with pytest.raises(Refused, match="the caller is gone"):
        east.make(ec2.Vpc, "v", VPC)
    assert killed == [east.context.peer()]
    assert len(east.cloud.region(EAST).table("aws:ec2/vpc:Vpc")) == made


def test_steps_can_be_hit_as_well_as_calls(east: Client) -> None:
    killed: list[str] = []
    east.cloud.kill = killed.append
    made = east.make(cloudwatch.LogGroup, "l", {})
    for step in ("update", "delete"):
        east.cloud.faults.add(Trigger("crash", step, when="after"))
    with pytest.raises(Refused, match="the caller is gone"):
        east.change(made, {"retentionInDays": 7})
    found = east.read(made)
    assert found is not None
    assert found["retentionInDays"] == 7
    with pytest.raises(Refused, match="the caller is gone"):
        east.delete(made)
    assert len(killed) == 2
    assert east.read(made) is None


def test_a_cluster_whose_maker_died_between_two_calls_has_no_connectivity(east: Client, network: Network) -> None:
    east.cloud.kill = lambda peer: None
    east.cloud.faults.add(Trigger("crash", "kafka:CreateCluster", when="after"))
    with pytest.raises(Refused, match="the caller is gone"):
        east.make(msk.Cluster, "c", cluster_inputs(network))
    (cluster,) = east.cloud.region(EAST).table("aws:msk/cluster:Cluster").values()
    assert cluster["bootstrapBrokersVpcConnectivitySaslIam"] == ""
    assert "kafka:UpdateConnectivity" not in {call.operation for call in east.cloud.calls(EAST)}


@pytest.mark.parametrize("operation", ["ec2:ModifyVpcAttribute", "ec2:DescribeVpcs"])
def test_a_failure_after_the_creation_tells_the_engine_what_is_there(east: Client, operation: str) -> None:
    east.cloud.faults.add(Trigger("fail", operation))
    with pytest.raises(Refused) as refused:
        east.make(ec2.Vpc, "v", {**VPC, "enableDnsHostnames": True})
    (id_,) = east.cloud.region(EAST).table("aws:ec2/vpc:Vpc")
    assert refused.value.left.id == id_
    assert operation.partition(":")[2] in refused.value.left.reasons[0]


def test_a_hook_sees_every_call_and_may_refuse_it(east: Client) -> None:
    seen: list[Call] = []

    def hook(call: Call) -> None:
        seen.append(call)
        if call.operation == "ec2:CreateVpc":
            raise AwsError("VpcLimitExceeded", "The maximum number of VPCs has been reached.")

    east.cloud.on_call = hook
    with pytest.raises(Refused, match="EC2: CreateVpc.*api error VpcLimitExceeded: The maximum number of VPCs"):
        east.make(ec2.Vpc, "v", VPC)
    assert [(call.region, call.operation, call.resource) for call in seen] == [(EAST, "ec2:CreateVpc", "v")]


def test_faults_are_seen_by_another_process_and_survive(tmp_path: Path) -> None:
    one, other = Faults(tmp_path / "faults.json"), Faults(tmp_path / "faults.json")
    one.fail(EAST)
    one.add(Trigger("fail", "kafka:*", nth=2))
    assert other.down == {EAST}
    assert other.due("kafka:CreateCluster", EAST, "c", "before") is None
    assert list(one.triggers) == [Trigger("fail", "kafka:*", nth=1)]
    assert other.due("kafka:CreateCluster", EAST, "c", "before") is not None
    assert list(one.triggers) == []
    other.heal(EAST)
    assert one.down == frozenset()
    one.clear()
    (tmp_path / "faults.json").unlink()
    assert other.down == frozenset()


def test_calls_are_recorded_by_region_with_their_errors(cloud: Cloud) -> None:
    pair = Pair(cloud)
    cloud.forget_calls()
    with pytest.raises(Refused):
        pair.target.make(ec2.Vpc, "v", {})
    pair.target.make(ec2.Vpc, "w", VPC)
    assert cloud.calls(EAST) == []
    first, *rest = cloud.calls(OHIO)
    assert (first.operation, first.resource) == ("ec2:CreateVpc", "v")
    assert first.error is not None
    assert first.error.startswith("MissingParameter")
    assert [(call.operation, call.error) for call in rest] == [("ec2:CreateVpc", None), ("ec2:DescribeVpcs", None)]


def test_the_record_says_that_nothing_is_at_aws(east: Client, tmp_path: Path) -> None:
    first = (tmp_path / "calls" / f"{EAST}.jsonl").read_text().splitlines()[0]
    assert json.loads(first) == {"note": "local stand-in for AWS: nothing is created at AWS"}


def test_state_survives_and_ids_are_never_given_twice(tmp_path: Path) -> None:
    cloud = open_cloud(tmp_path)
    pair = Pair(cloud)
    made = pair.replicator()
    vpc = pair.source.make(ec2.Vpc, "v", {"cidrBlock": "10.7.0.0/16"})
    pair.source.delete(vpc)
    cloud.close()

    again = open_cloud(tmp_path)
    ohio = Client(again, OHIO)
    found = ohio.read(made)
    assert found is not None
    assert found.outputs == made.outputs
    assert Client(again, EAST).make(ec2.Vpc, "v", {"cidrBlock": "10.7.0.0/16"}).id != vpc.id
    again.close()
    assert {file.name for file in (tmp_path / "state").iterdir()} == {f"{r}.jsonl" for r in (EAST, OHIO, GLOBAL)}


def test_a_line_that_a_crash_cut_off_is_ignored(tmp_path: Path) -> None:
    cloud = open_cloud(tmp_path)
    made = Client(cloud, EAST).make(ec2.Vpc, "v", VPC)
    file = tmp_path / "state" / f"{EAST}.jsonl"
    with file.open("a") as journal:
        journal.write('["aws:ec2/vpc:Vpc","vpc-half",{"cidr')
    again = open_cloud(tmp_path)
    assert list(again.region(EAST).table("aws:ec2/vpc:Vpc")) == [made.id]
    assert Client(again, EAST).make(ec2.Vpc, "w", VPC).id
    assert resource_counts(read_journal(file))["aws:ec2/vpc:Vpc"] == 2


def test_the_same_seed_gives_the_same_ids(tmp_path: Path) -> None:
    ids = [Client(open_cloud(tmp_path / part), EAST).make(ec2.Vpc, "v", VPC).id for part in ("one", "two")]
    assert ids[0] == ids[1]
    other = Client(Cloud(tmp_path / "three", seed="other"), EAST).make(ec2.Vpc, "v", VPC).id
    assert other != ids[0]


def test_many_callers_at_once_lose_nothing(cloud: Cloud) -> None:
    """The engine sends as many requests at once as the machine has processors, times four."""
    client = Client(cloud, EAST)

    def make(number: int) -> str:
        return client.make(cloudwatch.LogGroup, f"l{number}", {"name": f"l{number}"}).id

    with futures.ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(make, range(200)))
    assert sorted(cloud.region(EAST).table("aws:cloudwatch/logGroup:LogGroup")) == sorted(ids)
    operations = [call.operation for call in cloud.calls(EAST)]
    assert operations.count("logs:CreateLogGroup") == operations.count("logs:DescribeLogGroups") == 200


def test_the_owner_of_a_connection_is_found() -> None:
    """The process at the other end, not this one, which holds the listening end."""
    program = textwrap.dedent("""
        import socket, sys
        with socket.create_server(("127.0.0.1", 0)) as server:
            print(server.getsockname()[1], flush=True)
            connection, _ = server.accept()
            sys.stdin.read()
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            assert peer_pid(port) == child.pid
            with pytest.raises(LookupError, match="one other process must hold it"):
                peer_pid(connection.getsockname()[1])
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells both ends of a connection")
def test_another_connection_from_the_same_port_is_not_taken_for_it() -> None:
    program = textwrap.dedent("""
        import socket, sys
        port, target = map(int, sys.argv[1:])
        own = socket.create_server(("127.0.0.1", 0))
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("127.0.0.1", port))
            connection.connect(("127.0.0.1", target or own.getsockname()[1]))
            print("connected", flush=True)
            sys.stdin.read()
    """)

    def connected(port: int, target: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, str(port), str(target)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdout.readline() == "connected\n"
        return child

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        wanted, stranger = connected(port, server.getsockname()[1]), connected(port, 0)
        try:
            with server.accept()[0]:
                assert peer_pid(port) == wanted.pid
        finally:
            for child in (wanted, stranger):
                child.kill()
                child.wait()
