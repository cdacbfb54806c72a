"""Kafka's own console tools, as in the published procedure."""

import subprocess

import pytest

from sandbox.kafka.clients import everything
from tests.kafka.conftest import A, Pair

pytestmark = pytest.mark.kafka


def test_the_procedures_commands_work_as_they_are_written(pair: Pair) -> None:
    topic, group, tools = pair.name("customer"), pair.name("msk-consumer"), pair.plane.tools()

    def run(tool: str, *arguments: str, stdin: str = "") -> str:
        command = [f"./{tool}", "--bootstrap-server", pair.a, *arguments]
        done = subprocess.run(command, cwd=tools, input=stdin, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    made = ("--create", "--topic", topic, "--partitions", "3", "--replication-factor", "3")
    run("kafka-topics.sh", *made, "--command-config", "client_iam.properties")
    assert pair.plane.describe_topic(A, topic).partitions == 3
    assert topic in run("kafka-topics.sh", "--list").split()
    run("kafka-console-producer.sh", "--topic", topic, stdin="message 1\nmessage 2\n")
    assert sorted(everything(pair.a, topic)) == ["message 1", "message 2"]
    reader = ("--topic", topic, "--group", group, "--from-beginning", "--max-messages", "2", "--timeout-ms", "30000")
    assert sorted(run("kafka-console-consumer.sh", *reader).splitlines()) == ["message 1", "message 2"]
    assert group in run("kafka-consumer-groups.sh", "--list").split()
