"""`DataPlane`: the Kafka behind the sandbox's MSK clusters and Replicators."""

import base64
import contextlib
import dataclasses
import fcntl
import json
import os
import random
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sandbox.kafka import settings
from sandbox.kafka.connect import Worker
from sandbox.kafka.metrics import DataPoint, Meter
from sandbox.kafka.processes import Process, wait_for
from sandbox.kafka.runtime import STARTED_BY, KafkaRuntime, ensure_runtime
from sandbox.kafka.settings import ReplicatorSpec
from sandbox.kafka.tools import write_tools
from sandbox.kafka.topics import Admin, ClusterUnavailable, Topic

START_SECONDS: Final = 120.0
"""How long a broker or a Replicator may take to be ready: 5 to 15 s when two of them start on two cores."""

STOP_SECONDS: Final = 15.0

THAW_SECONDS: Final = 30.0
"""How long a broker that was frozen may take to answer before it is started again, with its data. They answer within a
second or two; one in a hundred, on a busy machine, was never seen to."""

_PORTS: Final = range(20_000, 32_000)
"""Below the ports that outgoing connections are given (from 32768 on Linux), so that a remembered port stays free."""

_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")
_HEAP: Final = "256m"

_LOGGING: Final = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.name=console
appender.console.type=Console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
logger.mirror.name=org.apache.kafka.connect.mirror
logger.mirror.level=info
logger.scheduler.name=org.apache.kafka.connect.mirror.Scheduler
logger.scheduler.level=warn
logger.clients.name=org.apache.kafka.clients
logger.clients.level=error
"""
"""A Region that is down would otherwise fill the log with every try to reach it."""

_AGENT_POLICY: Final = "<restrict><commands><command>read</command></commands></restrict>"


class DataPlaneError(Exception):
    """What was asked for cannot be done; the text says why, and what to do."""


@dataclass
class Cluster:
    """What is remembered of one cluster."""

    arn: str
    region: str
    folder: str
    cluster_id: str
    port: int
    controller_port: int
    agent_port: int
    wanted: bool = True

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass
class Replicator:
    """What is remembered of one Replicator.

    `return_trip`: one in the other direction was there first. `topics` and `groups` are what was found at the start
    where nothing new is to be detected.
    """

    arn: str
    folder: str
    rest_port: int
    agent_port: int
    return_trip: bool
    spec: ReplicatorSpec
    topics: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    @property
    def region(self) -> str:
        return self.spec.region

    @property
    def effective(self) -> ReplicatorSpec:
        """The settings with what was detected in place of the patterns, where nothing new is to be detected."""
        spec = self.spec
        if self.topics is not None:
            spec = dataclasses.replace(spec, topics=settings.literally(self.topics), topics_exclude=())
        if self.groups is not None:
            spec = dataclasses.replace(spec, groups=settings.literally(self.groups), groups_exclude=())
        return spec


class DataPlane:
    """Real Kafka for one sandbox folder: a broker for each cluster, a MirrorMaker 2 process for each Replicator.

    Everything listens on 127.0.0.1 only. Data, ports and settings are in the folder; the processes belong to this
    object and end with it, or with the program, however that ends. A new object on the same folder knows everything
    again: `resume()` starts it. One object has a folder at a time. Methods may be called from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._own = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._own.close()
            raise DataPlaneError(
                f"{self.folder} is in use by another process; one process has a sandbox at a time. End that one."
            ) from None
        self._lock = threading.RLock()
        self._locks: dict[str, threading.RLock] = {}
        self._processes: dict[str, Process] = {}
        self._admins: dict[str, Admin] = {}
        self._clusters: dict[str, Cluster] = {}
        self._replicators: dict[str, Replicator] = {}
        self._failed: set[str] = set()
        self._meter = Meter()
        self._load()
        for known in self._all():
            self._process(known).end_leftover()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Clusters

    def start_cluster(self, arn: str, *, region: str) -> str:
        """A broker for this cluster, ready for requests; its bootstrap address. Does nothing when it runs already."""
        with self._locked(arn):
            cluster = self._clusters.get(arn)
            if cluster is None:
                port, controller_port, agent_port = self._ports(3)
                cluster = Cluster(
                    arn,
                    region,
                    folder=f"clusters/{_folder_name(arn)}",
                    # Kafka's own way to write a UUID; it must not begin with a hyphen on a command line.
                    cluster_id="c" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22],
                    port=port,
                    controller_port=controller_port,
                    agent_port=agent_port,
                )
                self._clusters[arn] = cluster
            cluster.wanted = True
            self._save()
            self._must_be_up(cluster.region)
            self._run_broker(cluster)
            return cluster.bootstrap

    def _run_broker(self, cluster: Cluster) -> None:
        process = self._process(cluster)
        if process.running and not self._decided(cluster, self.admin(cluster.arn).answers, THAW_SECONDS):
            process.stop(grace=0)
            with self._lock:
                self._admins.pop(cluster.arn, None)
        if not process.running:
            self._ports_are_free(cluster.arn, cluster.port, cluster.controller_port, cluster.agent_port)
            home, runtime = process.folder, ensure_runtime()
            properties = settings.broker_properties(
                port=cluster.port, controller_port=cluster.controller_port, data=str(home / "data")
            )
            (home / "broker.properties").write_text(settings.properties(properties))
            java = self._java(runtime, home, cluster.agent_port)
            if not (home / "data" / "meta.properties").exists():
                shutil.rmtree(home / "data", ignore_errors=True)
                # Without the agent: this program ends by itself.
                command = [*self._java(runtime, home), "kafka.tools.StorageTool"]
                command += ["format", "-t", cluster.cluster_id, "-c", "broker.properties"]
                told = subprocess.run(command, cwd=home, capture_output=True, text=True)
                if told.returncode:
                    problem = told.stderr or told.stdout
                    raise DataPlaneError(f"The storage of {cluster.arn} cannot be prepared: {problem}")
            process.start([*java, "kafka.Kafka", "broker.properties"])
        self._until_ready(cluster, self.admin(cluster.arn).answers)

    def stop_cluster(self, arn: str) -> None:
        """Ends the broker; its data stays."""
        with self._locked(arn):
            cluster = self._cluster(arn)
            cluster.wanted = False
            self._save()
            self._stop(cluster)

    def delete_cluster(self, arn: str) -> None:
        """Ends the broker and removes its data. Does nothing when there is no such cluster."""
        with self._locked(arn):
            if cluster := self._clusters.get(arn):
                self._process(cluster).stop(grace=0)
                self._forget(cluster)

    def bootstrap(self, arn: str) -> str:
        return self._cluster(arn).bootstrap

    def cluster_is_running(self, arn: str) -> bool:
        """Whether its broker is there: not stopped, not crashed and not in a failed Region."""
        cluster = self._clusters.get(arn)
        return cluster is not None and cluster.region not in self._failed and self._process(cluster).running

    def clusters(self) -> list[Cluster]:
        with self._lock:
            return [dataclasses.replace(each) for each in self._clusters.values()]

    def replicators(self) -> list[Replicator]:
        with self._lock:
            return [dataclasses.replace(each) for each in self._replicators.values()]

    def admin(self, arn: str) -> Admin:
        """The admin protocol of a cluster: topics, groups, offsets."""
        with self._lock:
            if arn not in self._admins:
                self._admins[arn] = Admin(self._cluster(arn).bootstrap)
            return self._admins[arn]

    # Topics

    def create_topic(
        self,
        arn: str,
        name: str,
        *,
        partitions: int,
        configs: Mapping[str, str] | None = None,
        replication_factor: int = -1,
    ) -> Topic:
        return self._up(arn).create(name, partitions=partitions, configs=configs, replication_factor=replication_factor)

    def delete_topic(self, arn: str, name: str) -> None:
        self._up(arn).delete(name)

    def list_topics(self, arn: str, *, internal: bool = False) -> list[str]:
        return self._up(arn).names(internal=internal)

    def describe_topic(self, arn: str, name: str) -> Topic:
        return self._up(arn).describe(name)

    def alter_topic(
        self, arn: str, name: str, *, partitions: int | None = None, configs: Mapping[str, str] | None = None
    ) -> Topic:
        return self._up(arn).alter(name, partitions=partitions, configs=configs)

    # Replicators

    def start_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        """A Replicator that copies what its settings say; does nothing when it runs already.

        A new one remembers nothing of another that was deleted: at EARLIEST it copies everything again that did not
        come from its target.
        """
        with self._locked(arn):
            replicator = self._replicators.get(arn)
            if replicator is None:
                self._check_new(spec)
                rest_port, agent_port = self._ports(2)
                replicator = Replicator(
                    arn,
                    folder=f"replicators/{_folder_name(arn)}",
                    return_trip=any(
                        (other.spec.source_arn, other.spec.target_arn) == (spec.target_arn, spec.source_arn)
                        for other in self._replicators.values()
                    ),
                    spec=spec,
                    rest_port=rest_port,
                    agent_port=agent_port,
                )
                self._detect(replicator)
                self._replicators[arn] = replicator
                self._save()
            self._must_be_up(replicator.spec.region)
            self._run_replicator(replicator)

    def _check_new(self, spec: ReplicatorSpec) -> None:
        self._cluster(spec.source_arn)
        self._cluster(spec.target_arn)
        for other in self._replicators.values():
            if (other.spec.target_arn, other.spec.source_alias) == (spec.target_arn, spec.source_alias):
                raise DataPlaneError(
                    f"source_alias is {spec.source_alias!r}, which the Replicator {other.spec.name} into the same "
                    "cluster has; aliases of sources differ. Choose another one."
                )

    def _detect(self, replicator: Replicator) -> None:
        """Where new topics or groups are not to be detected, what is there now is the list for good."""
        spec, replicator.topics, replicator.groups = replicator.spec, None, None
        source = self.admin(spec.source_arn)
        if not spec.detect_new_topics:
            replicator.topics = settings.chosen(source.names(), spec.topics, spec.topics_exclude)
        if not spec.detect_new_groups:
            replicator.groups = settings.chosen(source.groups(), spec.groups, spec.groups_exclude)

    def _run_replicator(self, replicator: Replicator) -> None:
        process = self._process(replicator)
        if not process.running:
            self._ports_are_free(replicator.arn, replicator.rest_port, replicator.agent_port)
            home, runtime = process.folder, ensure_runtime()
            target = self._cluster(replicator.spec.target_arn)
            worker = settings.worker_properties(
                bootstrap=target.bootstrap, rest_port=replicator.rest_port, offsets=str(home / "offsets")
            )
            (home / "worker.properties").write_text(settings.properties(worker))
            files = []
            for name, config in self._connectors(replicator).items():
                files.append(f"{name}.json")
                (home / files[-1]).write_text(json.dumps({"name": name, "config": config}, indent=2))
            java = self._java(runtime, home, replicator.agent_port)
            process.start([*java, "org.apache.kafka.connect.cli.ConnectStandalone", "worker.properties", *files])
        self._until_ready(replicator, self._worker(replicator).ready)

    def _connectors(self, replicator: Replicator) -> dict[str, dict[str, str]]:
        spec = replicator.effective
        source, target = self._cluster(spec.source_arn), self._cluster(spec.target_arn)
        return settings.connectors(
            spec,
            source=source.bootstrap,
            target=target.bootstrap,
            source_id=source.cluster_id,
            target_id=target.cluster_id,
            return_trip=replicator.return_trip,
        )

    def update_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        """Other lists and flags for a Replicator, which goes on where it was. A dead task is started again."""
        with self._locked(arn):
            replicator = self._replicator(arn)
            self._must_be_up(replicator.spec.region)
            replicator.spec = spec
            self._detect(replicator)
            self._save()
            process = self._process(replicator)
            if process.running:
                for name, config in self._connectors(replicator).items():
                    self._worker(replicator).configure(name, config)
            else:
                self._run_replicator(replicator)

    def delete_replicator(self, arn: str) -> None:
        """Ends the Replicator and removes all that it remembered. Does nothing when there is no such one."""
        with self._locked(arn):
            replicator = self._replicators.get(arn)
            if replicator is None:
                return
            self._process(replicator).stop(grace=0)
            self._forget(replicator)
            target = replicator.spec.target_arn
            if self.cluster_is_running(target):
                admin = self.admin(target)
                for topic in set(settings.internal_topics_of(replicator.spec)) & set(admin.names(internal=True)):
                    admin.delete(topic)

    def replicator_state(self, arn: str) -> tuple[str, str]:
        """`RUNNING` or `FAILED`, and why, as process and tasks have it. ClusterUnavailable when its Region has failed.

        A source that does not answer is no failure: the Replicator waits for it.
        """
        replicator = self._replicator(arn)
        self._must_be_up(replicator.spec.region)
        process = self._process(replicator)
        if not process.running:
            return "FAILED", f"The process ended with code {process.exit_code}: {process.last_words()}"
        dead = self._worker(replicator).dead()
        return ("FAILED", "; ".join(f"{name}: {why}" for name, why in dead.items())) if dead else ("RUNNING", "")

    @contextlib.contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """Freezes the Replicator of that name for the block: nothing is copied, as when the network between fails."""
        (process,) = (self._process(each) for each in self.replicators() if each.spec.name == name)
        process.freeze()
        try:
            yield
        finally:
            process.thaw()

    # Tools

    def tools(self) -> Path:
        """The folder with Kafka's console tools as scripts, and the `client_iam.properties` they are given."""
        return write_tools(self.folder / "bin", ensure_runtime())

    # Regions

    def fail_region(self, region: str) -> None:
        """Freezes the Region's brokers and Replicators: they keep their data and connections, and answer nothing."""
        with self._lock:
            self._failed.add(region)
            self._save()
            for process in self._in_region(region):
                process.freeze()

    def heal_region(self, region: str) -> None:
        """The Region goes on where it was. What ended in the meantime is started again."""
        with self._lock:
            self._failed.discard(region)
            self._save()
            for process in self._in_region(region):
                process.thaw()
        self._start_missing(region)

    @property
    def failed_regions(self) -> frozenset[str]:
        return frozenset(self._failed)

    def resume(self) -> None:
        """Starts what the folder says should run and does not: after a restart of the program or of the machine."""
        self._start_missing(None)

    def _start_missing(self, region: str | None) -> None:
        for cluster in self.clusters():
            if cluster.wanted and cluster.region not in self._failed and region in (None, cluster.region):
                self.start_cluster(cluster.arn, region=cluster.region)
        for replicator in self.replicators():
            where = replicator.spec.region
            if where not in self._failed and region in (None, where):
                self.start_replicator(replicator.arn, replicator.spec)

    # Metrics

    def metrics_of(self, arn: str) -> Iterator[DataPoint]:
        """What MSK would publish of a cluster or Replicator now, measured. What does not answer gives no data."""
        if cluster := self._clusters.get(arn):
            if self.cluster_is_running(arn):
                process = self._process(cluster)
                yield from self._meter.cluster(arn, cluster.region, self.admin(arn), cluster.agent_port, process)
        elif replicator := self._replicators.get(arn):
            spec, process = replicator.spec, self._process(replicator)
            if spec.region not in self._failed and process.pid is not None:
                source, target = self.admin(spec.source_arn), self.admin(spec.target_arn)
                worker, port = self._worker(replicator), replicator.agent_port
                yield from self._meter.replicator(spec, source, target, worker, port, process)

    def close(self) -> None:
        """Stops everything, Replicators first. Data and settings stay in the folder."""
        known = self._all()
        for kind in (Replicator, Cluster):
            threads = [
                threading.Thread(target=self._stop, args=(each,), kwargs={"for_good": True})
                for each in known
                if isinstance(each, kind)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self._admins.clear()
        self._own.close()

    # Inside

    def _all(self) -> list[Cluster | Replicator]:
        """Everything, Replicators first: none of them shall see the brokers of its own Region go."""
        with self._lock:
            return [*self._replicators.values(), *self._clusters.values()]

    def _stop(self, known: Cluster | Replicator, *, for_good: bool = False) -> None:
        # What is frozen cannot be asked, and a Replicator whose source is frozen would wait for it.
        grace = 0 if self._failed & self._regions_of(known) else STOP_SECONDS
        self._process(known).stop(grace=grace, for_good=for_good)

    def _regions_of(self, known: Cluster | Replicator) -> set[str]:
        """Where it is, and for a Replicator where its source is too."""
        if isinstance(known, Cluster):
            return {known.region}
        source = self._clusters.get(known.spec.source_arn)
        return {known.region} | ({source.region} if source else set())

    def _until_ready(self, known: Cluster | Replicator, ready: Callable[[], bool]) -> None:
        process = self._process(known)
        in_time = self._decided(known, ready, START_SECONDS)
        # Frozen on the way: it goes on when its Region does.
        self._must_be_up(known.region)
        if not in_time or not process.running:
            words = process.last_words()
            process.stop(grace=0)
            raise DataPlaneError(f"{known.arn} did not start: {words}. Read {process.folder}/process.log.")

    def _decided(self, known: Cluster | Replicator, ready: Callable[[], bool], seconds: float) -> bool:
        """Whether within the time there was nothing to wait for any more: it is ready, has ended, or was frozen."""
        process = self._process(known)
        return wait_for(lambda: not process.running or known.region in self._failed or ready(), seconds)

    def _in_region(self, region: str) -> list[Process]:
        return [self._process(known) for known in self._all() if known.region == region]

    def _must_be_up(self, region: str) -> None:
        if region in self._failed:
            raise ClusterUnavailable(f"Region {region} has failed; nothing answers there. Heal it first.")

    def _up(self, arn: str) -> Admin:
        """The admin protocol of a cluster that can answer: at once an error where it would be a time-out."""
        cluster = self._cluster(arn)
        self._must_be_up(cluster.region)
        if not self._process(cluster).running:
            raise ClusterUnavailable(f"The broker of {arn} does not run. Start it.")
        return self.admin(arn)

    def _cluster(self, arn: str) -> Cluster:
        try:
            return self._clusters[arn]
        except KeyError:
            raise DataPlaneError(f"cluster is {arn}; no such cluster was started. Start it first.") from None

    def _replicator(self, arn: str) -> Replicator:
        try:
            return self._replicators[arn]
        except KeyError:
            raise DataPlaneError(f"Replicator is {arn}; no such Replicator was started. Start it first.") from None

    def _worker(self, replicator: Replicator) -> Worker:
        return Worker(replicator.rest_port)

    def _process(self, known: Cluster | Replicator) -> Process:
        with self._lock:
            if known.arn not in self._processes:
                home = self.folder / known.folder
                home.mkdir(parents=True, exist_ok=True)
                self._processes[known.arn] = Process(home)
            return self._processes[known.arn]

    def _forget(self, known: Cluster | Replicator) -> None:
        with self._lock:
            for memory in (self._clusters, self._replicators, self._processes, self._admins):
                memory.pop(known.arn, None)
            self._save()
        shutil.rmtree(self.folder / known.folder, ignore_errors=True)

    def _java(self, runtime: KafkaRuntime, home: Path, agent_port: int | None = None) -> list[str | Path]:
        """The beginning of a command line, up to the main class."""
        (home / "log4j2.properties").write_text(_LOGGING)
        options: list[str | Path] = [
            runtime.java,
            STARTED_BY,
            f"-Xmx{_HEAP}",
            *_JVM,
            "-Dlog4j2.configurationFile=log4j2.properties",
        ]
        if agent_port is not None:
            (home / "agent-policy.xml").write_text(_AGENT_POLICY)
            agent = f"host=127.0.0.1,port={agent_port},discoveryEnabled=false,policyLocation=file:agent-policy.xml"
            options.append(f"-javaagent:{runtime.agent}={agent}")
        return [*options, "-cp", runtime.class_path]

    def _ports(self, count: int) -> list[int]:
        """Free ports that no other cluster or Replicator of this folder has."""
        with self._lock:
            taken = {value for known in self._all() for name, value in vars(known).items() if name.endswith("port")}
            found: list[int] = []
            while len(found) < count:
                port = random.choice(_PORTS)
                if port not in taken and port not in found and _is_free(port):
                    found.append(port)
            return found

    def _ports_are_free(self, arn: str, *ports: int) -> None:
        """A remembered port is part of an address that was given away, so another one cannot take its place."""
        for port in ports:
            if not wait_for(lambda port=port: _is_free(port), seconds=5):  # type: ignore[misc]
                raise DataPlaneError(
                    f"port is {port} for {arn}; another program listens there. End that program, or begin anew."
                )

    @contextlib.contextmanager
    def _locked(self, arn: str) -> Iterator[None]:
        """One change of a cluster or Replicator at a time; different ones start side by side."""
        with self._lock:
            lock = self._locks.setdefault(arn, threading.RLock())
        with lock:
            yield

    def _load(self) -> None:
        file = self.folder / "state.json"
        if not file.exists():
            return
        state: dict[str, Any] = json.loads(file.read_text())
        self._failed = set(state["failed"])
        self._clusters = {each["arn"]: Cluster(**each) for each in state["clusters"]}
        for each in state["replicators"]:
            spec: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in each["spec"].items()
            }
            topics, groups = (None if each[key] is None else tuple(each[key]) for key in ("topics", "groups"))
            known = each | {"spec": ReplicatorSpec(**spec), "topics": topics, "groups": groups}
            self._replicators[each["arn"]] = Replicator(**known)

    def _save(self) -> None:
        with self._lock:
            state = {
                "failed": sorted(self._failed),
                "clusters": [dataclasses.asdict(each) for each in self._clusters.values()],
                "replicators": [dataclasses.asdict(each) for each in self._replicators.values()],
            }
            new = self.folder / "state.json.new"
            new.write_text(json.dumps(state, indent=2))
            os.replace(new, self.folder / "state.json")


def _folder_name(arn: str) -> str:
    """The name in the ARN, and enough more to tell it from a namesake."""
    return f"{settings.cluster_name(arn)}-{uuid.uuid5(uuid.NAMESPACE_URL, arn).hex[:8]}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server does it: a connection that was just closed does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
