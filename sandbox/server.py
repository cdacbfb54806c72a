"""The sandbox as a Python object: tests, the demo and the command line use it alike."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.aws import HANDLERS, ssm
from sandbox.aws.base import Handler
from sandbox.cloud import Aws, Call, Cloud
from sandbox.faults import Trigger, When
from sandbox.folder import MadeAs, Server, announce, enter, environment, leave
from sandbox.provider import Provider
from sandbox.state import GLOBAL, Record

if TYPE_CHECKING:
    from sandbox.api.context import Timing
    from sandbox.api.server import Api
    from sandbox.kafka import DataPlane

_MAXIMUM_MESSAGE = 400 * 1024 * 1024  # the engine's own limit
_THREADS = 16
_LOOPBACK = "127.0.0.1"
_API_PORTS = range(12_000, 20_000)
"""Below the brokers' ports and those of outgoing connections, so that a remembered one stays free."""


class Sandbox:
    """A pretended AWS in a folder, served on loopback while the `with` block lasts.

        with Sandbox(folder) as sandbox:
            subprocess.run(["pulumi", "up"], env={**os.environ, **sandbox.env})

    State and asked-for faults stay in the folder, so the next `Sandbox` on it goes on where this one stopped, at the
    same ports if nobody took them meanwhile. Raises RuntimeError when another one is using the folder, and when the
    folder was made in the other mode.

    With `kafka` the clusters are brokers and the Replicators copy: the MSK resources are then made through the AWS API
    that `api` serves, in the Regions that it has, and `plane` is what runs behind it. `timing` is how long creations,
    updates and deletions take there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        seed: str = "msk-dr",
        kafka: bool = False,
        timing: Timing | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self._wanted_port = port
        self._seed = seed
        self._kafka = kafka
        self._timing = timing
        self._lock: IO[str] | None = None
        self._server: grpc.Server | None = None
        self._threads: futures.ThreadPoolExecutor | None = None
        self._cloud: Cloud | None = None
        self._plane: DataPlane | None = None
        self._api: Api | None = None
        self._served: frozenset[str] = frozenset()
        self.port = 0

    def __enter__(self) -> Sandbox:
        self._lock, made = enter(self.folder, kafka=self._kafka)
        try:
            self._serve(made)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _serve(self, made: MadeAs) -> None:
        self._threads = futures.ThreadPoolExecutor(_THREADS)
        options = [("grpc.max_receive_message_length", _MAXIMUM_MESSAGE), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(self._threads, options=options)
        # First of all: a port that is taken is known at once.
        wanted = self._wanted_port or (made.port if _is_free(made.port) else 0)
        self.port = self._server.add_insecure_port(f"{_LOOPBACK}:{wanted}")
        self._cloud = Cloud(self.folder, self._seed)
        handlers = {**HANDLERS, **self._behind_the_api(self._cloud, made)} if self._kafka else HANDLERS
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(self._cloud, handlers), self._server)
        self._server.start()
        server = Server(os.getpid(), self.port)
        if self._api is not None and self._plane is not None:
            server = replace(server, endpoint=self._api.endpoint, tools=str(self._plane.tools()))
        api_port = urlsplit(server.endpoint or "").port or 0
        replace(made, port=self.port, api_port=api_port).write(self.folder)
        announce(self.folder, server)

    def _behind_the_api(self, cloud: Cloud, made: MadeAs) -> Mapping[str, Handler]:
        """Starts the API with Kafka behind it; the types that are served through it, by type token."""
        # Here, because moto takes seconds to be imported and nothing else needs it.
        from sandbox.account import CloudAccount
        from sandbox.api.account import REGIONS
        from sandbox.api.server import Api
        from sandbox.aws import cloudwatch_api, msk_api
        from sandbox.aws.api_client import ServiceClient
        from sandbox.kafka import DataPlane

        self._plane = DataPlane(self.folder / "kafka")
        port = made.api_port if _is_free(made.api_port) else _free_port()
        account = CloudAccount(cloud)
        api = Api(self.folder / "api", self._plane, port=port, timing=self._timing, account=account)
        api.start()
        self._api = api
        cloud.used_elsewhere = api.uses
        self._served = frozenset((*REGIONS, GLOBAL))
        # What was asked for while no API ran.
        for region in api.down - cloud.faults.down:
            api.heal(region)
        for region in cloud.faults.down & self._served - api.down:
            api.fail(region)
        msk, cloudwatch = (ServiceClient(name, api.endpoint, REGIONS) for name in ("kafka", "cloudwatch"))
        return {each.kind: each for each in (*msk_api.handlers(msk), *cloudwatch_api.handlers(cloudwatch))}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.stop(grace=1).wait()
        if self._api is not None:
            self._api.stop()
        if self._plane is not None:
            self._plane.close()
        if self._threads is not None:
            # A wait for a cluster or Replicator ends when nobody answers any more.
            self._threads.shutdown()
        if self._cloud is not None:
            self._cloud.close()
        if self._lock is not None:
            leave(self.folder, self._lock)
        self._server = self._threads = self._api = self._plane = self._cloud = self._lock = None

    @property
    def cloud(self) -> Cloud:
        if self._cloud is None:
            raise RuntimeError("the sandbox is not running; use it in a `with` block")
        return self._cloud

    @property
    def api(self) -> Api:
        """The AWS API with the MSK resources."""
        if self._api is None:
            raise RuntimeError("there is no API; use the sandbox in a `with` block, with kafka=True")
        return self._api

    @property
    def plane(self) -> DataPlane:
        """The Kafka behind the API."""
        if self._plane is None:
            raise RuntimeError("there is no Kafka; use the sandbox in a `with` block, with kafka=True")
        return self._plane

    @property
    def env(self) -> dict[str, str]:
        """What the Pulumi CLI needs in its environment to use this sandbox and nothing else."""
        return environment(self.folder, self.port)

    def fail(self, region: str) -> None:
        """From now on every call to the Region fails. IAM is the Region `global`, which fails only when asked to."""
        with self.cloud.lock:
            self.cloud.region(region)
            self.cloud.faults.fail(region)
        if self._api is not None and region in self._served:
            self._api.fail(region)

    def heal(self, region: str) -> None:
        # Not under the cloud's lock: what starts again may have to look something up.
        if self._api is not None and region in self._served:
            self._api.heal(region)
        with self.cloud.lock:
            self.cloud.faults.heal(region)

    def fail_once(self, operation: str, *, region: str = "*", name: str = "*", nth: int = 1) -> None:
        """Lets the nth matching call fail, once. `operation` is `service:Operation` or create, update or delete."""
        self._add(Trigger("fail", operation, region, name, nth))

    def crash_on(
        self, operation: str, *, region: str = "*", name: str = "*", nth: int = 1, when: When = "before"
    ) -> None:
        """Kills the engine that makes the nth matching call, before the call or after it was carried out."""
        self._add(Trigger("crash", operation, region, name, nth, when))

    def clear_faults(self) -> None:
        if self._api is not None:
            for region in self._api.down:
                self._api.heal(region)
            self._api.clear_faults()
        with self.cloud.lock:
            self.cloud.faults.clear()

    def on_call(self, hook: Callable[[Call], None] | None) -> None:
        """Runs `hook` before every call; raising AwsError in it makes the call fail."""
        self.cloud.on_call = hook

    def calls(self, region: str) -> list[Call]:
        """The calls made to a Region, oldest first."""
        return self.cloud.calls(region)

    def forget_calls(self) -> None:
        self.cloud.forget_calls()

    def resources(self, region: str, kind: str) -> Mapping[str, Record]:
        """What exists in a Region of a type, by id: `resources("us-east-1", "aws:msk/cluster:Cluster")`."""
        with self.cloud.lock:
            return dict(self.cloud.region(region).table(kind))

    def forget(self, region: str, kind: str, id_: str) -> None:
        """Removes a resource behind Pulumi's back, as a person with a console would."""
        with self.cloud.lock:
            self.cloud.region(region).remove(kind, id_)

    def release_images(self, region: str) -> None:
        """Publishes newer machine images, as Amazon does every two weeks."""
        with self.cloud.lock:
            ssm.release_images(Aws(self.cloud, region))

    def _add(self, trigger: Trigger) -> None:
        with self.cloud.lock:
            self.cloud.faults.add(trigger)


def _free_port() -> int:
    return next(port for port in random.sample(_API_PORTS, len(_API_PORTS)) if _is_free(port))


def _is_free(port: int) -> bool:
    """Whether a server could listen there; no port at all counts as one."""
    with socket.socket() as probe:
        # As a server does it: a connection that was just closed does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
        return port > 0
