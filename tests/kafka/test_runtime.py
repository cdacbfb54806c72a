"""Kafka's jars: pinned, verified, fetched once."""

import dataclasses
import re
import time
from pathlib import Path

import pytest

from sandbox.kafka import RuntimeMissing, runtime
from sandbox.kafka.runtime import KafkaRuntime, Pin


def test_every_jar_is_pinned_by_coordinates_and_sum_and_no_registry_is_named() -> None:
    lines = [line for line in runtime.LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 90
    assert all(re.fullmatch(r"[\w.-]+(:[\w.-]+){2,3} [0-9a-f]{64}", line) for line in lines)
    assert "/" not in runtime.LOCK.read_text()


def test_kafka_its_client_and_mirror_maker_are_of_one_version() -> None:
    versions = {pin.version for pin in runtime.pins() if pin.group == "org.apache.kafka"}
    assert versions == {runtime.KAFKA_VERSION}


def test_the_lock_alone_decides_the_folder(tmp_path: Path) -> None:
    other = tmp_path / "other.lock"
    other.write_text(runtime.LOCK.read_text() + "# one more line\n")
    assert runtime.jars_folder(other) != runtime.jars_folder()
    assert runtime.jars_folder().parent == runtime.user_cache()


@pytest.mark.kafka
def test_a_second_call_does_nothing(kafka_runtime: KafkaRuntime) -> None:
    before = sorted((jar.name, jar.stat().st_mtime_ns) for jar in kafka_runtime.jars.iterdir())
    assert len(before) == len(runtime.pins())
    began = time.monotonic()
    assert runtime.ensure_runtime.__wrapped__(quiet=True) == kafka_runtime
    assert time.monotonic() - began < 3
    assert sorted((jar.name, jar.stat().st_mtime_ns) for jar in kafka_runtime.jars.iterdir()) == before


@pytest.mark.kafka
def test_a_jar_with_other_content_is_refused(
    kafka_runtime: KafkaRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = next(pin for pin in runtime.pins() if pin.artifact == "jspecify")

    class Context:
        def __init__(self, **_: object) -> None: ...

        def project(self, *_: str) -> "Context":
            return self

        def at_version(self, _: str) -> "Context":
            return self

        def artifact(self, **_: str) -> "Context":
            return self

        def resolve(self) -> Path:
            return kafka_runtime.jars / pin.file_name

    monkeypatch.setattr("jgo.maven.MavenContext", Context)
    wrong: Pin = dataclasses.replace(pin, sha256="0" * 64)
    with pytest.raises(RuntimeMissing, match=r"jspecify.* must have the SHA-256 0000"):
        runtime._fetch(wrong, tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_java_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = runtime.find_java()
    assert found != old
    assert (runtime._java_version(str(found)) or 0) >= runtime.MINIMUM_JAVA
