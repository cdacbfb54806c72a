"""Kafka's own console tools: the commands of the published procedure, as they are written on a client instance."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from sandbox.kafka.runtime import STARTED_BY, KafkaRuntime
from sandbox.kafka.tools import tools, write_tools
from tests.kafka.clients import everything
from tests.kafka.conftest import A, Pair

CONFIG = '--command-config "$CLIENT_PROPERTIES"'
BROKERS = '--bootstrap-server "$(msk-brokers)"'


class Shell:
    """A shell as on the client instance of a Region: the tools on PATH, the Region in the environment."""

    def __init__(self, folder: Path, region: str) -> None:
        self.env = {
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "AWS_REGION": region,
            "CLIENT_PROPERTIES": str(folder / "client_iam.properties"),
        }

    def run(self, command: str, stdin: str = "") -> str:
        """What the command prints, without a newer Kafka's remark on the options of the client's version."""
        done = subprocess.run(
            command, shell=True, env=self.env, input=stdin, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return re.sub(r"^Option --\w+\.config is deprecated .*\n", "", done.stdout)


@pytest.mark.kafka
def test_every_command_of_the_procedures_data_part_works_as_it_is_written(pair: Pair) -> None:
    topic, group, primary = pair.name("customer"), pair.name("msk-consumer"), Shell(pair.plane.tools(), "us-east-1")

    create = f"--create --topic {topic} --partitions 3 --replication-factor 3"
    assert f"Created topic {topic}." in primary.run(f"kafka-topics.sh {BROKERS} {CONFIG} {create}")
    assert pair.plane.describe_topic(A, topic).partitions == 3
    assert topic in primary.run(f"kafka-topics.sh {BROKERS} {CONFIG} --list").split()
    described = primary.run(f"kafka-topics.sh {BROKERS} {CONFIG} --describe --topic {topic}")
    assert re.search(rf"Topic: {topic}\s.*PartitionCount: 3\s", described)

    produce = f'kafka-console-producer.sh {BROKERS} --producer.config "$CLIENT_PROPERTIES" --topic {topic}'
    primary.run(produce, stdin="message 1\nmessage 2\n")
    assert sorted(everything(pair.a, topic)) == ["message 1", "message 2"]

    consume = f'kafka-console-consumer.sh {BROKERS} --consumer.config "$CLIENT_PROPERTIES" --topic {topic}'
    until = "--max-messages 2 --timeout-ms 30000"
    read = primary.run(f"{consume} --group {group} --from-beginning {until}")
    assert sorted(read.splitlines()) == ["message 1", "message 2"]
    assert group in primary.run(f"kafka-consumer-groups.sh {BROKERS} {CONFIG} --list").split()
    rows = primary.run(f"kafka-consumer-groups.sh {BROKERS} {CONFIG} --describe --group {group}").splitlines()
    places = [row.split() for row in rows if row.startswith(group)]
    assert {row[1] for row in places} == {topic}
    assert sum(int(row[3]) for row in places) == 2, "CURRENT-OFFSET"
    assert {row[5] for row in places} == {"0"}, "LAG"

    # The same group goes on where it was; another one begins anew.
    primary.run(produce, stdin="message 3\n")
    assert primary.run(f"{consume} --group {group} --max-messages 1 --timeout-ms 30000") == "message 3\n"
    again = primary.run(f"{consume} --group {group}-2 --from-beginning --max-messages 3 --timeout-ms 30000")
    assert sorted(again.splitlines()) == ["message 1", "message 2", "message 3"]


@pytest.mark.kafka
def test_each_client_reaches_the_cluster_of_its_region_and_any_by_name(pair: Pair) -> None:
    folder = pair.plane.tools()
    for region, bootstrap in (("us-east-1", pair.a), ("us-east-2", pair.b)):
        assert Shell(folder, region).run("msk-brokers") == f"{bootstrap}\n"
    assert Shell(folder, "us-east-1").run("msk-brokers secondary; msk-brokers primary") == f"{pair.b}\n{pair.a}\n"
    assert Shell(folder, "us-east-2").run("msk-brokers us-east-1") == f"{pair.a}\n"


def test_a_region_without_a_cluster_is_told(tmp_path: Path) -> None:
    folder = write_tools(tmp_path / "bin", KafkaRuntime(java=Path("java"), jars=tmp_path))
    shell = Shell(folder, "us-east-2")
    done = subprocess.run("msk-brokers", shell=True, env=shell.env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "There is no cluster in us-east-2. Deploy the stack of that Region first.\n"


@pytest.mark.parametrize("given", ["--replication-factor 3", "--replication-factor=3"])
def test_the_three_replicas_of_express_become_the_one_that_is_possible(tmp_path: Path, given: str) -> None:
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\necho "$@"\n')
    java.chmod(0o755)
    shell = Shell(write_tools(tmp_path / "bin", KafkaRuntime(java=java, jars=tmp_path)), "us-east-1")
    said = shell.run(f"kafka-topics.sh --create --topic 'a b' {given} --partitions 3")
    assert said.endswith(f"--create --topic a b {given[:-1]}1 --partitions 3\n")


def test_every_tool_says_which_checkout_started_it(tmp_path: Path) -> None:
    commands = tools(KafkaRuntime(java=Path("java"), jars=tmp_path), tmp_path / "log4j2.properties")
    assert {command[1] for command in commands.values()} == {STARTED_BY}
