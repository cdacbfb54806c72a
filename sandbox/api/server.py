"""The API as one process on loopback: it tells services and Regions apart by the signature and serves them all."""

import fcntl
import json
import logging
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.api import service
from sandbox.api.account import REGIONS, Account
from sandbox.api.context import Msk, Timing
from sandbox.api.data_plane import DataPlane
from sandbox.api.faults import GLOBAL, Fault, Faults
from sandbox.api.moto_services import SERVICES, Journal, MotoAccount, MotoServices, Request
from sandbox.api.store import Store
from sandbox.api.work import Work

log = logging.getLogger("sandbox.api")

HOST: Final = "127.0.0.1"
ADMIN: Final = "/_sandbox"
"""Under it: GET status, GET calls, POST hurry, POST regions/<Region>/fail and /heal, POST and DELETE faults."""

_SCOPE: Final = re.compile(r"Credential=[^/]*/\d{8}/([^/]+)/([^/]+)/aws4_request")
_METRICS_EVERY: Final = 1.0
_ALARMS_EVERY: Final = 5
_METERS: Final = 16
"""Threads that measure; a pair with both Replicators keeps four of them busy for half a second each second."""

_RUNNING: Final = threading.Lock()
"""Held while an API runs: moto keeps its state in the process."""

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as it was asked for; `operation` is like `kafka:CreateReplicator`."""

    time: str
    region: str
    operation: str
    status: int


class Api:
    """The AWS APIs of one pretended account, kept in a folder. One can run in a process, and one on a folder.

    It brings `data_plane` up and down with itself. `account` is where MSK looks for subnets, security groups and roles,
    if that is not this API's own EC2 and IAM.
    """

    def __init__(
        self,
        folder: Path,
        data_plane: DataPlane | None = None,
        *,
        port: int = 0,
        timing: Timing | None = None,
        account: Account | None = None,
    ) -> None:
        self.folder = folder
        self._data_plane = data_plane
        self._port = port
        self._timing = timing or Timing()
        self._account = account
        self.now: Callable[[], datetime] = _utc_now
        """The clock of metrics and alarms: another one lets minutes pass in no time."""
        self._calls: deque[Call] = deque(maxlen=20_000)
        self._under_way: dict[str, Future[None]] = {}
        self._measuring = threading.Lock()
        self._closing = ExitStack()

    def start(self) -> None:
        """Returns once what was there before is up again and requests are answered."""
        if not _RUNNING.acquire(blocking=False):
            raise RuntimeError("An API runs in this process already. Stop it first.")
        with ExitStack() as closing:
            closing.callback(_RUNNING.release)
            closing.enter_context(_locked(self.folder))
            self._store = Store(self.folder / "msk.db")
            closing.callback(self._store.close)
            self._faults = Faults(self._store)
            self._services = MotoServices(Journal(self.folder / "requests.jsonl"))
            closing.callback(self._services.close)
            if self._data_plane:
                closing.callback(self._data_plane.close)
            work = Work(self._faults.is_down)
            closing.callback(work.stop)
            self._msk = Msk(
                store=self._store,
                account=self._account or MotoAccount(self._services),
                data_plane=self._data_plane,
                work=work,
                timing=self._timing,
                is_down=self._faults.is_down,
            )
            if self._data_plane:
                for region in self._faults.down - {GLOBAL}:
                    self._data_plane.fail_region(region)
            service.recover(self._msk)
            server = make_server(HOST, self._port, self._serve, threaded=True, request_handler=_Quiet)
            closing.callback(server.server_close)
            self._port = server.server_port  # the same one after a restart
            self._meters = ThreadPoolExecutor(_METERS, thread_name_prefix="meter")
            closing.callback(self._meters.shutdown)
            stopping = threading.Event()
            _run(closing, lambda: self._keep_measuring(stopping), stopping.set)
            _run(closing, server.serve_forever, server.shutdown)
            self._closing = closing.pop_all()

    def stop(self) -> None:
        """Answers nothing any more, lets background work end, stops the data plane, keeps the state."""
        self._closing.close()

    def __enter__(self) -> "Api":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def down(self) -> frozenset[str]:
        """The Regions that refuse every call."""
        return self._faults.down

    @property
    def endpoint(self) -> str:
        """What goes into `AWS_ENDPOINT_URL`."""
        return f"http://{HOST}:{self._port}"

    def fail(self, region: str) -> None:
        """Lets a Region refuse every call, and freezes what is behind it. `global` is IAM."""
        _check_region(region)
        self._faults.fail(region)
        if self._data_plane and region != GLOBAL:
            self._data_plane.fail_region(region)

    def heal(self, region: str) -> None:
        """Brings a Region back with everything it had."""
        _check_region(region)
        if self._data_plane and region != GLOBAL:
            self._data_plane.heal_region(region)
            # What did not run there before the Region failed, because the API was started since then.
            service.bring_up(self._msk, [region])
        self._faults.heal(region)

    def fail_once(self, fault: Fault) -> None:
        """Lets one call fail."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Forgets the calls that were still to fail."""
        self._faults.clear()

    def hurry(self) -> None:
        """Ends at once what takes time and is under way: creations, updates, deletions."""
        self._msk.work.hurry()

    def calls(self, region: str | None = None) -> list[Call]:
        """The requests since the start, oldest first, at most the last 20 000; refused ones too. IAM is `global`."""
        return [call for call in self._calls if region in {None, call.region}]

    def status(self) -> dict[str, Any]:
        """Regions, faults, clusters and Replicators at a glance."""
        return {
            "regions": {each: "down" if self._faults.is_down(each) else "up" for each in (*REGIONS, GLOBAL)},
            "faults": [asdict(fault) for fault in self._faults.once],
            **service.summary(self._msk),
        }

    def uses(self, region: str, id_: str) -> bool:
        """Whether a cluster or Replicator has interfaces in a subnet or security group."""
        return service.uses(self._msk, region, id_)

    def measure(self) -> None:
        """Measures everything once and brings the alarms up to date, which otherwise happens by itself."""
        wait(list(self._under_way.values()))
        wait(self._begin_measuring())
        self._evaluate_alarms()

    def _keep_measuring(self, stopping: threading.Event) -> None:
        ticks = 0
        while not stopping.wait(_METRICS_EVERY):
            ticks += 1
            try:
                self._begin_measuring()
                if ticks % _ALARMS_EVERY == 0:
                    self._evaluate_alarms()
            except Exception:
                log.exception("nothing is measured this second")

    def _begin_measuring(self) -> list[Future[None]]:
        """Has every cluster and Replicator measured, each by itself: one that does not answer takes seconds to show it.

        One that is still being measured is not measured a second time.
        """
        if self._data_plane is None:
            return []
        clusters = [cluster["ClusterArn"] for cluster in self._store.all("cluster")]
        replicators = [replicator["ReplicatorArn"] for replicator in self._store.all("replicator")]
        with self._measuring:
            self._under_way = {arn: future for arn, future in self._under_way.items() if not future.done()}
            for arn in (*clusters, *replicators):
                if arn not in self._under_way:
                    self._under_way[arn] = self._meters.submit(self._measure, self._data_plane, arn)
            return list(self._under_way.values())

    def _measure(self, data_plane: DataPlane, arn: str) -> None:
        """Carries the values of one cluster or Replicator to CloudWatch."""
        # Before anything is measured: no value is older than the time it carries, so that a value of after some moment
        # tells what was so after that moment.
        moment = self.now()
        try:
            points = list(data_plane.metrics_of(arn))
            with self._services.lock:
                for region in (region for region in REGIONS if not self._faults.is_down(region)):
                    self._services.cloudwatch(region).add(moment, (each for each in points if each.region == region))
        except Exception:
            log.exception("what was measured of %s is lost", arn)

    def _evaluate_alarms(self) -> None:
        now = self.now()
        with self._services.lock:
            for region in (region for region in REGIONS if not self._faults.is_down(region)):
                self._services.cloudwatch(region).evaluate_alarms(now)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ.get("REQUEST_URI", environ.get("PATH_INFO", "/")).partition("?")[0]
        if path == ADMIN or path.startswith(f"{ADMIN}/"):
            status, headers, answer = self._administer(environ, path.removeprefix(ADMIN).strip("/"), body)
        else:
            status, headers, answer = self._dispatch(environ, path, body)
        known = {name.lower() for name, _ in headers}
        if "content-length" not in known and answer:
            headers = [*headers, ("Content-Length", str(len(answer)))]
        if "x-amzn-requestid" not in known:
            headers = [*headers, ("x-amzn-RequestId", str(uuid.uuid4()))]
        start_response(f"{status} {'OK' if status < 400 else 'Error'}", headers)
        return [answer]

    def _dispatch(self, environ: Mapping[str, Any], path: str, body: bytes) -> Answer:
        scope = _scope(environ)
        if scope is None:
            return _error(environ, body, 403, "MissingAuthenticationToken", "The request has no AWS signature.")
        signed_region, name = scope
        if signed_region not in REGIONS:
            known = " and ".join(REGIONS)
            return _error(environ, body, 400, "InvalidRegion", f"The sandbox has {known}, not {signed_region}.")
        if name != "kafka" and name not in SERVICES:
            return _error(environ, body, 501, "NotImplemented", f"The sandbox has no service {name}.")
        region = GLOBAL if name == "iam" else signed_region
        request = Request(service=name, region=signed_region, environ=environ, body=body)
        method = environ["REQUEST_METHOD"]
        action = service.operation_name(method, path) if name == "kafka" else request.action
        operation = f"{name}:{action}"
        answer = self._fault(environ, body, operation, region)
        if answer is None and name == "kafka":
            query = environ.get("QUERY_STRING", "")
            status, headers, content = service.answer(self._msk, region, method, path, query, body)
            answer = status, list(headers.items()), content
        elif answer is None:
            answer = self._moto(request)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._calls.append(Call(time=now, region=region, operation=operation, status=answer[0]))
        return answer

    def _moto(self, request: Request) -> Answer:
        try:
            return self._services.answer(request)
        except Exception as error:
            log.exception("%s:%s failed", request.service, request.action)
            message = f"{type(error).__name__}: {error}"
            return _error(request.environ, request.body, 500, "InternalFailure", message)

    def _fault(self, environ: Mapping[str, Any], body: bytes, operation: str, region: str) -> Answer | None:
        if self._faults.is_down(region):
            return _error(environ, body, 503, "ServiceUnavailableException", f"{region} is down.")
        if fault := self._faults.due(operation, region):
            return _error(environ, body, fault.status, fault.code, fault.message)
        return None

    def _administer(self, environ: Mapping[str, Any], path: str, body: bytes) -> Answer:
        """Not part of AWS: faults and what there is. A web page cannot get at it, for want of host and content type."""
        method, parts = environ["REQUEST_METHOD"], path.split("/")
        host = environ.get("HTTP_HOST", "").rpartition(":")[0]
        if host not in {HOST, "localhost"}:
            return _json(403, {"error": f"host is {host}; it must be {HOST}."})
        if method == "POST" and environ.get("CONTENT_TYPE") != "application/json":
            return _json(415, {"error": "the content type must be application/json."})
        try:
            match method, parts:
                case "GET", ["status"]:
                    return _json(200, self.status())
                case "GET", ["calls"]:
                    return _json(200, {"calls": [asdict(call) for call in self.calls()]})
                case "POST", ["regions", region, "fail"]:
                    self.fail(region)
                case "POST", ["regions", region, "heal"]:
                    self.heal(region)
                case "POST", ["hurry"]:
                    self.hurry()
                case "POST", ["faults"]:
                    self.fail_once(Fault(**json.loads(body)))
                case "DELETE", ["faults"]:
                    self.clear_faults()
                case _:
                    return _json(404, {"error": f"there is no {method} {ADMIN}/{path}."})
        except (ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})
        return _json(200, self.status())


class _Quiet(WSGIRequestHandler):
    """Requests are recorded by `Api.calls`, not printed."""

    def log(self, type: str, message: str, *args: Any) -> None:
        log.debug(message, *args)


def _scope(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Region and service of the signature, from the header or the query."""
    presigned = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential")
    text = environ.get("HTTP_AUTHORIZATION") or (f"Credential={presigned[0]}" if presigned else "")
    found = _SCOPE.search(text)
    return (found[1], found[2]) if found else None


def _error(environ: Mapping[str, Any], body: bytes, status: int, code: str, message: str) -> Answer:
    """An error in the protocol of the request."""
    headers = [("x-amzn-ErrorType", code)]
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        # CBOR for {"__type": code, "message": message}; texts are all that it needs.
        content = b"\xa2" + b"".join(map(_cbor_text, ("__type", code, "message", message)))
        return status, [*headers, ("smithy-protocol", "rpc-v2-cbor"), ("Content-Type", "application/cbor")], content
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        if b"Version=2016-11-15" in body:  # EC2's own form
            text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>sandbox</RequestID></Response>"
        else:
            text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>"
        return status, [*headers, ("Content-Type", "text/xml")], text.encode()
    content = json.dumps({"__type": code, "message": message}).encode()
    return status, [*headers, ("Content-Type", "application/json")], content


def _cbor_text(text: str) -> bytes:
    data = text.encode()
    return b"\x7a" + len(data).to_bytes(4, "big") + data


def _json(status: int, content: dict[str, Any]) -> Answer:
    return status, [("Content-Type", "application/json")], json.dumps(content).encode()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _check_region(region: str) -> None:
    if region not in {*REGIONS, GLOBAL}:
        raise ValueError(f"region is {region}; it must be one of {', '.join((*REGIONS, GLOBAL))}.")


def _run(closing: ExitStack, target: Callable[[], None], stop: Callable[[], None]) -> None:
    """A thread that ends when `stop` has been called."""
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    closing.callback(thread.join)
    closing.callback(stop)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps a second API out of the same state."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(
                f"folder is {folder}; another API works on it. Stop that one, or take another folder."
            ) from error
        yield
