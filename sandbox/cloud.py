"""The pretended cloud: Regions with state, a record of every call, and the faults asked for.

Nothing here reaches AWS. A handler sees the cloud through `Aws`, which is bound to one Region and one resource; each
API call that the real provider would make is a `with aws.call("service:Operation")` block, and whatever the service
would refuse inside it is an `AwsError`.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.faults import Faults, Trigger, When
from sandbox.peer import kill_peer
from sandbox.regions import ZONES
from sandbox.state import GLOBAL, Record, Region

log = logging.getLogger("sandbox")

NOTICE = "local stand-in for AWS: nothing is created at AWS"

_SERVICES = {
    "cloudwatch": "CloudWatch",
    "ec2": "EC2",
    "iam": "IAM",
    "kafka": "Kafka",
    "kms": "KMS",
    "logs": "CloudWatch Logs",
    "sns": "SNS",
    "ssm": "SSM",
    "sts": "STS",
}


@dataclass(frozen=True)
class Call:
    """One API call that the real provider would have made."""

    time: str
    region: str
    operation: str
    resource: str
    error: str | None = None


class AwsError(Exception):
    """What a service answers instead of doing what it was asked. `code` and `message` are the service's own."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.operation = ""

    def __str__(self) -> str:
        """The error as the AWS SDK for Go prints it, which is what the real provider shows."""
        if not self.operation:
            return self.message
        service, _, operation = self.operation.partition(":")
        # Most services model their exceptions; EC2 does not, and the SDK marks that with "api error".
        code = f"api error {self.code}" if service == "ec2" or self.status >= 500 else self.code
        attempts = ", exceeded maximum number of attempts, 25" if self.status >= 500 else ""
        request = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.operation}{self.message}")
        return (
            f"operation error {_SERVICES.get(service, service)}: {operation}{attempts}, https response error "
            f"StatusCode: {self.status}, RequestID: {request}, {code}: {self.message}"
        )


class CallerGone(Exception):
    """The engine has been killed. The real provider dies with it: of the calls that make one change, no more follow."""


class Cloud:
    """Everything that exists, in one folder. One process at a time works on a folder; threads share one lock."""

    def __init__(self, folder: Path, seed: str = "msk-dr") -> None:
        self.folder = folder
        self.seed = seed
        self.lock = threading.RLock()
        self.on_call: Callable[[Call], None] | None = None
        """Called before every API call; what it raises is what the call answers."""
        self.kill: Callable[[str], None] = kill_peer
        """How a `crash` trigger ends the engine that made a call; gets the peer's address."""
        self.used_elsewhere: Callable[[str, str], bool] | None = None
        """Whether what is not kept here uses a subnet or security group, by Region and id; not under the lock."""
        (folder / "state").mkdir(parents=True, exist_ok=True)
        (folder / "calls").mkdir(exist_ok=True)
        self.faults = Faults(folder / "faults.json")
        self._regions: dict[str, Region] = {}
        for file in sorted((folder / "state").glob("*.jsonl")):
            self.region(file.stem)

    def region(self, name: str) -> Region:
        """The state of a Region, `GLOBAL` included; an unknown name is an AwsError."""
        if name not in self._regions:
            if name not in ZONES and name != GLOBAL:
                known = ", ".join(ZONES)
                raise AwsError("InvalidRegion", f"invalid AWS Region: {name}; the sandbox knows {known}")
            self._regions[name] = Region(name, self.folder / "state" / f"{name}.jsonl")
        return self._regions[name]

    def regions(self) -> Mapping[str, Region]:
        """The Regions that have been touched."""
        return self._regions

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """Lets other requests in while the caller, who holds the lock once, waits for somebody else."""
        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()

    def calls(self, region: str) -> list[Call]:
        """Every call made to a Region since the sandbox was set up or `forget_calls`, oldest first."""
        with self.lock:
            file = self._calls_file(region)
            lines = file.read_text().splitlines() if file.exists() else []
        return [Call(**call) for call in map(json.loads, lines) if "operation" in call]

    def forget_calls(self) -> None:
        """Starts the record of calls anew, in all Regions."""
        with self.lock:
            for file in (self.folder / "calls").glob("*.jsonl"):
                file.unlink()

    def close(self) -> None:
        with self.lock:
            for region in self._regions.values():
                region.close()
            self._regions.clear()

    def record(self, call: Call) -> None:
        file = self._calls_file(call.region)
        line = json.dumps(asdict(call))
        if not file.exists():
            line = json.dumps({"note": NOTICE}) + "\n" + line
        with file.open("a") as stream:
            stream.write(line + "\n")
        log.info("%s %s %s %s", call.region, call.operation, call.resource, call.error or "ok")

    def _calls_file(self, region: str) -> Path:
        return self.folder / "calls" / f"{region}.jsonl"


class Aws:
    """The cloud as one request sees it: a Region, the resource that asks, and who asks."""

    def __init__(
        self, cloud: Cloud, region: str, resource: str = "", urn: str = "", peer: str = "", timeout: float = 0
    ) -> None:
        self.cloud = cloud
        self.region = region
        self.resource = resource
        self.timeout = timeout
        """Seconds that the program lets each wait of this request take (`custom_timeouts`); 0 when it says nothing."""
        self._urn = urn
        self._peer = peer

    def elsewhere(self, region: str) -> Aws:
        """The same request, looking into another Region."""
        return Aws(self.cloud, region, self.resource, self._urn, self._peer, self.timeout)

    @contextmanager
    def call(self, operation: str) -> Iterator[None]:
        """One API call: it is recorded, it may be made to fail, and a refusal inside it names it."""
        region = GLOBAL if operation.startswith("iam:") else self.region
        error: str | None = None
        try:
            self._before(operation, region)
            yield
            self.pass_by(operation, "after", region)
        except AwsError as refusal:
            refusal.operation = refusal.operation or operation
            error = f"{refusal.code}: {refusal.message}"
            raise
        finally:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            self.cloud.record(Call(now, region, operation, self.resource, error))

    def touch(self, *operations: str) -> None:
        """Calls that change nothing here: the reads and waits around a change."""
        for operation in operations:
            with self.call(operation):
                pass

    def pass_by(self, operation: str, when: When, region: str | None = None) -> None:
        """A point at which triggers may go off: around every call, and around every step of the provider."""
        due = self.cloud.faults.due(operation, region or self.region, self.resource, when)
        if due is not None:
            self._set_off(due)

    def get(self, kind: str, id_: str) -> Record | None:
        return self._home(kind).get(kind, id_)

    def table(self, kind: str) -> Mapping[str, Record]:
        return self._home(kind).table(kind)

    def put(self, kind: str, id_: str, record: Record) -> None:
        self._home(kind).put(kind, id_, record)

    def remove(self, kind: str, id_: str) -> None:
        self._home(kind).remove(kind, id_)

    def digest(self, kind: str) -> str:
        """Fresh hex digits for an id of this resource; see `Region.digest`."""
        return self.cloud.region(self.region).digest(self.cloud.seed, self._urn, kind)

    def _home(self, kind: str) -> Region:
        return self.cloud.region(GLOBAL if kind.startswith("aws:iam/") else self.region)

    def _before(self, operation: str, region: str) -> None:
        if self.cloud.on_call is not None:
            self.cloud.on_call(Call("", region, operation, self.resource))
        if region in self.cloud.faults.down:
            raise AwsError("ServiceUnavailable", "Service Unavailable", status=503)
        self.pass_by(operation, "before", region)

    def _set_off(self, trigger: Trigger) -> None:
        log.warning("%s: %s %s on request", self.resource, trigger.action, trigger.operation)
        if trigger.action == "crash":
            self.cloud.kill(self._peer)
            raise CallerGone
        raise AwsError("InternalServerErrorException", trigger.message, status=500)
