"""Kafka's own console tools against the sandbox's brokers."""

import shlex
import sys
from pathlib import Path
from typing import Final

from sandbox.kafka.runtime import STARTED_BY, KafkaRuntime

TOOLS: Final = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records.sh": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-producer-perf-test.sh": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test.sh": "org.apache.kafka.tools.ConsumerPerformance",
}

_ONE_REPLICA: Final = """\
# Express topics have three replicas; a cluster here has one broker, which takes the number as 1.
for argument; do
  shift
  if [ "${previous-}" = --replication-factor ] && [ "$argument" = 3 ]; then argument=1; fi
  if [ "$argument" = --replication-factor=3 ]; then argument=--replication-factor=1; fi
  previous=$argument
  set -- "$@" "$argument"
done
"""

_BROKERS: Final = """\
import json, os, pathlib, sys

named = sys.argv[1:] or [os.environ.get("AWS_REGION", "us-east-1")]
region = {"primary": "us-east-1", "secondary": "us-east-2"}.get(named[0], named[0])
state = pathlib.Path(__file__).absolute().parent.parent / "state.json"
clusters = json.loads(state.read_text())["clusters"] if state.exists() else []
found = [each for each in clusters if each["region"] == region]
if not found:
    sys.exit(f"There is no cluster in {region}. Deploy the stack of that Region first.")
print(",".join(f"127.0.0.1:{each['port']}" for each in found))
"""
"""The client instance asks the MSK API by the AWS CLI, which need not be there: here, the file that brokers run by."""

_CLIENT: Final = """\
# On AWS: SASL_SSL with IAM (aws-msk-iam-auth). Here: plaintext on loopback.
security.protocol=PLAINTEXT
"""


_LOGGING: Final = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.stderr.ref=stderr
appender.stderr.name=stderr
appender.stderr.type=Console
appender.stderr.target=SYSTEM_ERR
appender.stderr.layout.type=PatternLayout
appender.stderr.layout.pattern=[%d{ISO8601}] %p %m (%c)%n
"""
"""As in Kafka's own distribution: standard output is for what was asked for."""


def tools(runtime: KafkaRuntime, logging: Path) -> dict[str, list[str]]:
    """The command line of each tool, to which its arguments are added; `logging` is Log4j's configuration."""
    java = [str(runtime.java), STARTED_BY, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    java.append(f"-Dlog4j2.configurationFile={logging}")
    return {name: [*java, "-cp", runtime.class_path, main] for name, main in TOOLS.items()}


def write_tools(folder: Path, runtime: KafkaRuntime) -> Path:
    """Writes what the procedure uses on a client instance, and returns the folder, which is one below the data plane's.

    A script for each tool, `client_iam.properties`, and `msk-brokers [primary|secondary|<Region>]`, which prints a
    cluster's bootstrap address; without a name that of the cluster in `AWS_REGION`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logging = folder / "tools-log4j2.properties"
    logging.write_text(_LOGGING)
    for name, command in tools(runtime, logging).items():
        first = _ONE_REPLICA if name == "kafka-topics.sh" else ""
        _write(folder / name, f'#!/bin/sh\n{first}exec {shlex.join(command)} "$@"\n')
    program = folder / "msk-brokers.py"
    program.write_text(_BROKERS)
    _write(folder / "msk-brokers", f'#!/bin/sh\nexec {shlex.join([sys.executable, "-IS", str(program)])} "$@"\n')
    (folder / "client_iam.properties").write_text(_CLIENT)
    return folder


def _write(script: Path, content: str) -> None:
    """At once, because `plane.tools()` may be called while somebody runs one."""
    fresh = script.with_name(f".{script.name}.new")
    fresh.write_text(content)
    fresh.chmod(0o755)
    fresh.replace(script)
