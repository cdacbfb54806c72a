"""The sandbox as a Python object: tests, the demo and the command line use it alike."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.aws import HANDLERS, ssm
from sandbox.aws.base import Handler
from sandbox.cloud import Aws, Call, Cloud
from sandbox.faults import Trigger, When
from sandbox.provider import Provider
from sandbox.state import GLOBAL, Record

if TYPE_CHECKING:
    from sandbox.api.server import Api
    from sandbox.kafka import DataPlane

_MAXIMUM_MESSAGE = 400 * 1024 * 1024  # the engine's own limit
_THREADS = 16


class Sandbox:
    """A pretended AWS in a folder, served on loopback while the `with` block lasts.

        with Sandbox(folder) as sandbox:
            subprocess.run(["pulumi", "up"], env={**os.environ, **sandbox.env})

    State and asked-for faults stay in the folder, so the next `Sandbox` on it goes on where this one stopped. Raises
    RuntimeError when another one is using the folder.

    With `kafka` the clusters are brokers and the Replicators copy: the MSK resources are then made through the AWS API
    that `api` serves, in the Regions that it has, and `plane` is what runs behind it.
    """

    def __init__(self, folder: Path, *, port: int = 0, seed: str = "msk-dr", kafka: bool = False) -> None:
        self.folder = Path(folder).resolve()
        self._wanted_port = port
        self._seed = seed
        self._kafka = kafka
        self._lock: IO[str] | None = None
        self._server: grpc.Server | None = None
        self._threads: futures.ThreadPoolExecutor | None = None
        self._cloud: Cloud | None = None
        self._plane: DataPlane | None = None
        self._api: Api | None = None
        self.port = 0

    def __enter__(self) -> Sandbox:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder)
        try:
            self._serve()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _serve(self) -> None:
        self._cloud = Cloud(self.folder, self._seed)
        options = [("grpc.max_receive_message_length", _MAXIMUM_MESSAGE), ("grpc.so_reuseport", 0)]
        handlers = {**HANDLERS, **self._behind_the_api(self._cloud)} if self._kafka else HANDLERS
        self._threads = futures.ThreadPoolExecutor(_THREADS)
        self._server = grpc.server(self._threads, options=options)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(self._cloud, handlers), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self._wanted_port}")
        self._server.start()
        (self.folder / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": self.port}) + "\n")

    def _behind_the_api(self, cloud: Cloud) -> Mapping[str, Handler]:
        """Starts the API with Kafka behind it; the types that are served through it, by type token."""
        # Here, because moto takes seconds to be imported and nothing else needs it.
        from sandbox.account import CloudAccount
        from sandbox.api.account import REGIONS
        from sandbox.api.server import Api
        from sandbox.aws import cloudwatch_api, msk_api
        from sandbox.aws.api_client import ServiceClient
        from sandbox.kafka import DataPlane

        self._plane = DataPlane(self.folder / "kafka")
        api = Api(self.folder / "api", self._plane, account=CloudAccount(cloud))
        api.start()
        self._api = api
        cloud.used_elsewhere = api.uses
        # What was asked for while no API ran.
        for region in api.down - cloud.faults.down:
            api.heal(region)
        for region in cloud.faults.down & {*REGIONS, GLOBAL} - api.down:
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
        (self.folder / "server.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
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
        if self._api is not None:
            self._api.fail(region)

    def heal(self, region: str) -> None:
        # Not under the cloud's lock: what starts again may have to look something up.
        if self._api is not None:
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


def environment(folder: Path, port: int) -> dict[str, str]:
    """Variables for the Pulumi CLI: the attached provider, a private home and state, and no network."""
    home, state = folder / "pulumi", folder / "backend"
    for needed in (home, state):
        needed.mkdir(parents=True, exist_ok=True)
    return {
        # Credentials that no AWS would accept, should anything ever reach it.
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_HOME": str(home),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def running(folder: Path) -> dict[str, int] | None:
    """Process id and port of the sandbox that is using the folder, or None."""
    file = folder / "server.json"
    if not file.exists():
        return None
    try:
        _locked(folder).close()
    except RuntimeError:
        answer: dict[str, int] = json.loads(file.read_text())
        return answer
    # Its process died without cleaning up; the id in the file may belong to somebody else by now.
    file.unlink(missing_ok=True)
    return None


def _locked(folder: Path) -> IO[str]:
    """Takes the folder for this process, until the file is closed."""
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise RuntimeError(
            f"{folder} is in use by another sandbox; stop it with `python -m sandbox down` or take another folder"
        ) from error
    return file
