"""The procedure by hand: the command `sandbox` in one process, Pulumi, boto3, the AWS CLI and Kafka's tools in others.

Nothing here reaches into the sandbox; every step is a command line with the environment that `sandbox env` prints.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.cli import Pulumi
from tests.engine.deployment import FOR_TESTS
from tests.kafka.conftest import eventually
from tests.kafka.leftovers import ROOT, processes_of

pytestmark = [pytest.mark.kafka, pytest.mark.engine]

EAST, OHIO = "us-east-1", "us-east-2"
STACKS = ("primary", "secondary")
CONFIG = '--command-config "$CLIENT_PROPERTIES"'
BROKERS = '--bootstrap-server "$(msk-brokers)"'
TOPICS = f"kafka-topics.sh {BROKERS} {CONFIG}"
PRODUCE = f"kafka-console-producer.sh {BROKERS} {CONFIG} --topic customer"
CONSUME = f"kafka-console-consumer.sh {BROKERS} {CONFIG} --topic customer"
GROUPS = f"kafka-consumer-groups.sh {BROKERS} {CONFIG}"

MISLEADING = {"AWS_PROFILE": "production", "AWS_REGION": "eu-west-1", "AWS_SESSION_TOKEN": "a token of somebody's"}

SEEN = """
import json
import boto3
clusters = boto3.client("kafka").list_clusters_v2()["ClusterInfoList"]
replicators = boto3.client("kafka").list_replicators()["Replicators"]
own = [each for each in replicators if not each["IsReplicatorReference"]]
print(json.dumps([[each["ClusterName"], each["State"]] for each in clusters]
                 + [[each["ReplicatorName"], each["ReplicatorState"]] for each in own]))
"""


class Sandbox:
    """The command on one folder, and shells that use what it serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shells: dict[str, dict[str, str]] = {}

    def command(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "sandbox", "--folder", str(self.folder), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def env(self, region: str = EAST) -> dict[str, str]:
        """The environment of a shell that has evaluated `sandbox env`; the user had something else in mind before."""
        dump = "import json, os; print(json.dumps(dict(os.environ)))"
        shell = ["sh", "-c", f"eval \"$1\"; exec '{sys.executable}' -c '{dump}'", "sh", self.command("env", region)]
        before = {name: os.environ[name] for name in ("HOME", "PATH")} | MISLEADING
        found: dict[str, str] = json.loads(subprocess.run(shell, env=before, capture_output=True, check=True).stdout)
        return found

    def run(self, command: str, region: str = EAST, stdin: str = "") -> str:
        """What a command prints in a shell as on the client instance of a Region; it stays open over restarts."""
        if region not in self._shells:
            self._shells[region] = self.env(region)
        shell = ["sh", "-c", command]
        done = subprocess.run(shell, env=self._shells[region], input=stdin, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def status(self) -> dict[str, str]:
        """What `sandbox status` says of each Region, cluster and Replicator, by name."""
        rows = re.findall(r"^(\S+) {2,}(?:us-east-\d +)?(\S+)", self.command("status"), re.MULTILINE)
        return dict(rows)

    @property
    def pid(self) -> int:
        found = re.search(r"running as process (\d+)", self.command("status"))
        assert found
        return int(found[1])

    def position(self, region: str) -> int:
        """How many messages of the topic the group has read, as that Region's cluster has it."""
        rows = self.run(f"{GROUPS} --describe --group msk-consumer", region).splitlines()
        return sum(int(row.split()[3]) for row in rows if row.startswith("msk-consumer") and row.split()[3] != "-")

    def messages(self, region: str, count: int) -> list[str]:
        """What is in the topic; waits for `count` messages."""
        until = f"--max-messages {count} --timeout-ms 30000"
        return sorted(self.run(f"{CONSUME} --from-beginning {until}", region).splitlines())


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox in the background, with nothing deployed yet."""
    sandbox = Sandbox(tmp_path_factory.mktemp("by-hand") / "box")
    try:
        said = sandbox.command("up", "--create-seconds", "0.1")
        assert "with Kafka" in said
        assert f'eval "$(python -m sandbox --folder {sandbox.folder} env)"' in said
        yield sandbox
    finally:
        sandbox.command("down")
        assert processes_of(sandbox.folder) == []


@pytest.fixture(scope="module")
def pulumi(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Pulumi:
    """Both stacks, deployed by the real command with the environment that `sandbox env` prints."""
    pulumi = Pulumi(ROOT, tmp_path_factory.mktemp("projects"), sandbox.env())
    for stack in STACKS:
        pulumi.init(stack, {**FOR_TESTS, "client": False})
        pulumi.up(stack).check()
    return pulumi


@pytest.fixture(scope="module")
def deployed(sandbox: Sandbox, pulumi: Pulumi) -> Sandbox:
    """The data part of the procedure up to the failover: topic, messages 1 and 2, the group, all of it copied."""
    made = sandbox.run(f"{TOPICS} --create --topic customer --partitions 3 --replication-factor 3")
    assert made == "Created topic customer.\n"
    sandbox.run(PRODUCE, stdin="message 1\nmessage 2\n")
    read = sandbox.run(f"{CONSUME} --group msk-consumer --from-beginning --max-messages 2 --timeout-ms 30000")
    assert sorted(read.splitlines()) == ["message 1", "message 2"]
    assert sandbox.messages(OHIO, 2) == ["message 1", "message 2"]
    eventually(lambda: sandbox.position(OHIO) == 2, "the group's position on the secondary", seconds=60)
    return sandbox


def test_topic_and_group_are_on_the_secondary_under_their_own_names(deployed: Sandbox) -> None:
    assert "customer" in deployed.run(f"{TOPICS} --list", OHIO).split()
    assert "msk-consumer" in deployed.run(f"{GROUPS} --list", OHIO).split()


def test_boto3_sees_clusters_and_replicators_and_the_calls_are_recorded(deployed: Sandbox) -> None:
    command = f"'{sys.executable}' -c '{SEEN}'"
    assert json.loads(deployed.run(command)) == [["msk-dr-primary", "ACTIVE"]]
    forward = ["msk-dr-primary-to-secondary", "RUNNING"]
    assert json.loads(deployed.run(command, OHIO)) == [["msk-dr-secondary", "ACTIVE"], forward]
    assert deployed.status() | {forward[0]: forward[1], EAST: "up", OHIO: "up"} == deployed.status()

    calls = deployed.command("logs", OHIO)
    assert " us-east-2 api kafka:ListReplicators ok\n" in calls
    assert " us-east-2 pulumi kafka:CreateReplicator msk-dr-primary-to-secondary ok\n" in calls
    brokers = deployed.command("logs", "--kafka", EAST)
    assert f"==> msk-dr-primary in us-east-1: {deployed.folder}/kafka/clusters/msk-dr-primary-" in brokers
    assert "msk-dr-secondary" not in brokers


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed")
def test_the_aws_cli_needs_nothing_but_the_environment(deployed: Sandbox) -> None:
    names = "aws kafka list-clusters-v2 --query 'ClusterInfoList[].[ClusterName,State]' --output text"
    assert deployed.run(f"{names} --region {OHIO}") == "msk-dr-secondary\tACTIVE\n"
    arn = deployed.run("aws kafka list-clusters-v2 --query 'ClusterInfoList[0].ClusterArn' --output text").strip()
    assert ":us-east-1:123456789012:cluster/msk-dr-primary/" in arn
    address = f"aws kafka get-bootstrap-brokers --cluster-arn {arn} --query BootstrapBrokerStringSaslIam --output text"
    assert deployed.run(address) == deployed.run("msk-brokers")


def test_a_region_that_fails_refuses_and_freezes_and_comes_back(deployed: Sandbox, tmp_path: Path) -> None:
    impatient = tmp_path / "client.properties"
    impatient.write_text("request.timeout.ms=2000\ndefault.api.timeout.ms=3000\n")
    listing = f'kafka-topics.sh {BROKERS} --command-config "{impatient}" --list'
    assert deployed.command("fail", EAST) == f"{EAST} is down\n"
    with pytest.raises(AssertionError, match="(?s)ServiceUnavailable.*us-east-1 is down"):
        deployed.run(f"AWS_MAX_ATTEMPTS=1 '{sys.executable}' -c '{SEEN}'")
    with pytest.raises(AssertionError, match="(?i)TimeoutException|timed out"):
        deployed.run(listing)
    assert deployed.status()[EAST] == "down"
    assert "customer" in deployed.run(listing, OHIO).split(), "the other Region works"

    assert deployed.command("heal", EAST) == f"{EAST} answers\n"
    assert "customer" in deployed.run(listing).split()
    assert deployed.status()[EAST] == "up"


def test_everything_is_there_after_a_restart(deployed: Sandbox, pulumi: Pulumi) -> None:
    before = deployed.env()
    assert "what exists is kept" in deployed.command("down", "--keep")
    assert processes_of(deployed.folder) == []
    deployed.command("up")
    assert deployed.env() == before, "ports, addresses and paths are the same"
    for stack in STACKS:
        pulumi.preview(stack, "--expect-no-changes").check()
    assert deployed.messages(EAST, 2) == ["message 1", "message 2"]
    assert deployed.position(EAST) == deployed.position(OHIO) == 2
    deployed.run(PRODUCE, stdin="message 3\n")
    assert deployed.messages(OHIO, 3) == ["message 1", "message 2", "message 3"], "the Replicator goes on"


def test_a_killed_sandbox_takes_kafka_along_and_starts_again_with_its_failed_region(deployed: Sandbox) -> None:
    pid, messages = deployed.pid, deployed.messages(OHIO, 2)
    deployed.command("fail", EAST)
    os.kill(pid, signal.SIGKILL)
    if sys.platform == "linux":
        eventually(lambda: processes_of(deployed.folder) == [], "no broker, frozen or not", seconds=10)
    eventually(lambda: "not running" in deployed.command("status"), "noticed", seconds=5)
    assert "not running" in deployed.command("env", code=1)

    deployed.command("up")
    assert deployed.pid != pid
    assert deployed.status()[EAST] == "down"
    assert deployed.messages(OHIO, 2) == messages
    deployed.command("heal", EAST)
    assert deployed.messages(EAST, 2) == messages
    assert deployed.status()["msk-dr-primary-to-secondary"] == "RUNNING"


def test_down_leaves_neither_process_nor_folder(deployed: Sandbox) -> None:
    pid = deployed.pid
    assert processes_of(deployed.folder) != []
    assert f"stopped process {pid}; removed" in deployed.command("down")
    # One whose parent has gone may stay in the list of processes until somebody else has looked.
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert processes_of(deployed.folder) == []
    assert not deployed.folder.exists()
