"""Kafka's own console tools against the sandbox's brokers."""

import shlex
from pathlib import Path
from typing import Final

from sandbox.kafka.runtime import KafkaRuntime

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
  previous=$argument
  set -- "$@" "$argument"
done
"""

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
    java = [str(runtime.java), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    java.append(f"-Dlog4j2.configurationFile={logging}")
    return {name: [*java, "-cp", runtime.class_path, main] for name, main in TOOLS.items()}


def write_tools(folder: Path, runtime: KafkaRuntime) -> Path:
    """Writes a script for each tool, and the `client_iam.properties` that the procedure names; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    logging = folder / "tools-log4j2.properties"
    logging.write_text(_LOGGING)
    for name, command in tools(runtime, logging).items():
        script = folder / name
        first = _ONE_REPLICA if name == "kafka-topics.sh" else ""
        script.write_text(f'#!/bin/sh\n{first}exec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    (folder / "client_iam.properties").write_text(_CLIENT)
    return folder
