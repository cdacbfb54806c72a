"""The services beside MSK: moto's own, in this process, for one account and both Regions.

moto keeps everything in memory. Each request that changes something is therefore written down, and at the next start
all of them are made again in their order, each under the same random seed, so that every id comes out as it was. What
does not survive: times of creation, key material of KMS, and metrics, which are not written down at all.
"""

import base64
import io
import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from moto.backends import get_backend
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import create_environ, run_wsgi_app

from sandbox.api.account import ACCOUNT, REGIONS, Opening, Role, SecurityGroup, Subnet
from sandbox.api.metrics import CloudWatch, install

log = logging.getLogger("sandbox.api")

SERVICES: Final[Mapping[str, str]] = {
    "ec2": "ec2",
    "iam": "iam",
    "kms": "kms",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "sns": "sns",
    "ssm": "ssm",
    "sts": "sts",
}
"""What is served, by the name in a signature, and moto's name for it."""

_READS: Final = re.compile(r"(Describe|Get|List|Lookup|Search|Filter|Start|Test|Simulate|Assume|Decode)")
_NOT_KEPT: Final = frozenset({"PutMetricData", "PutLogEvents", "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey"})
_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_KEPT_HEADERS: Final = ("HTTP_X_AMZ_TARGET", "HTTP_X_AMZN_QUERY_MODE", "HTTP_SMITHY_PROTOCOL", "HTTP_ACCEPT")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to one of the services, its body read."""

    service: str
    """As in the signature's scope."""
    region: str
    environ: Mapping[str, Any]
    body: bytes

    @property
    def action(self) -> str:
        """The operation's name, wherever the protocol puts it."""
        if target := self.environ.get("HTTP_X_AMZ_TARGET"):
            return str(target).rpartition(".")[2]
        path = str(self.environ.get("PATH_INFO", ""))
        if "/operation/" in path:
            return path.rpartition("/")[2]
        query = str(self.environ.get("QUERY_STRING", ""))
        for form in (self.body.decode(errors="replace"), query):
            if action := parse_qs(form).get("Action"):
                return action[0]
        return ""

    @property
    def changes_something(self) -> bool:
        return not _READS.match(self.action) and self.action not in _NOT_KEPT


class Journal:
    """The requests that made the state, one JSON line each, in one file."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text() if file.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a crash cut the last line off
            file.write_text(whole)
        self._past: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        self._file = file.open("a")

    def past(self) -> list[dict[str, Any]]:
        """What was written before the journal was opened, oldest first."""
        return self._past

    def append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class MotoServices:
    """Answers requests one at a time. moto's state belongs to the process: one object of this class at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.RLock()
        self._seed = 0
        self._app = DomainDispatcherApplication(create_backend_app)
        self._start_anew()
        for entry in journal.past():
            self._replay(entry)

    def answer(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        with self._lock:
            if not request.changes_something:
                return self._call(request.environ, request.body)
            self._seed += 1
            mock_random.seed(self._seed)
            status, headers, body = self._call(request.environ, request.body)
            if status < 400:
                self._journal.append(_entry(request, self._seed))
            return status, headers, body

    def cloudwatch(self, region: str) -> CloudWatch:
        """CloudWatch of a Region; use it under `lock`."""
        backend = get_backend("cloudwatch")[ACCOUNT][region]
        assert isinstance(backend, CloudWatch)
        return backend

    @property
    def lock(self) -> threading.RLock:
        return self._lock

    def close(self) -> None:
        self._journal.close()

    def _start_anew(self) -> None:
        """An empty account, the same one every time: default networks are made of random ids as well."""
        # What moto's own reset does, for what is served here: it would make every backend anew only to drop it.
        for service in SERVICES.values():
            get_backend(service).clear()  # type: ignore[call-overload]
        reset_model_data()
        install()
        mock_random.seed(self._seed)
        # AWS's managed policies (the clients' roles have one) for the one partition that is used: they take a while.
        default_user_config["iam"]["load_aws_managed_policies"] = True
        get_backend("iam")[ACCOUNT]["aws"]
        default_user_config["iam"]["load_aws_managed_policies"] = False
        for service in SERVICES.values():
            backends = get_backend(service)[ACCOUNT]  # type: ignore[call-overload]
            for region in REGIONS:
                backends[region if region in backends.regions else "aws"]
        # The first request of all makes moto look through every partition's IAM, which takes random numbers too.
        environ = create_environ(
            method="POST", headers=_HEADERS | {"Authorization": _authorization("us-east-1", "sts")}
        )
        self._call(environ, b"Action=GetCallerIdentity&Version=2011-06-15")

    def _replay(self, entry: Mapping[str, Any]) -> None:
        self._seed = entry["seed"]
        mock_random.seed(self._seed)
        body = base64.b64decode(entry["body"])
        environ = create_environ(
            path=entry["path"], query_string=entry["query"], method=entry["method"], data=body, headers=None
        )
        status, _, answer = self._call({**environ, **entry["environ"]}, body)
        if status >= 400:
            log.error("a request kept from before is refused now: %s", answer.decode(errors="replace"))

    def _call(self, environ: Mapping[str, Any], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        own = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        chunks, status, headers = run_wsgi_app(self._app, own)
        return int(status.split()[0]), list(headers.items()), b"".join(chunks)


class MotoAccount:
    """What MSK looks at, read from moto's own records."""

    def __init__(self, services: MotoServices) -> None:
        self._lock = services.lock

    def subnet(self, region: str, id_: str) -> Subnet | None:
        with self._lock:
            for zones in self._ec2(region).subnets.values():
                if found := zones.get(id_):
                    return Subnet(
                        id=found.id,
                        vpc_id=found.vpc_id,
                        zone_id=found._availability_zone.zone_id,
                        cidr=str(found.cidr_block),
                    )
        return None

    def security_group(self, region: str, id_: str) -> SecurityGroup | None:
        with self._lock:
            return _group(self._ec2(region).get_security_group_from_id(id_))

    def default_security_group(self, region: str, vpc_id: str) -> SecurityGroup | None:
        with self._lock:
            return _group(self._ec2(region).get_default_security_group(vpc_id))

    def role(self, arn: str) -> Role | None:
        with self._lock:
            iam: Any = get_backend("iam")[ACCOUNT]["aws"]
            role = next((role for role in iam.get_roles() if role.arn == arn), None)
            if role is None:
                return None
            attached = [
                version.document
                for policy in role.managed_policies.values()
                for version in policy.versions
                if version.version_id == policy.default_version_id
            ]
            return Role(
                arn=arn,
                trust=json.loads(role.assume_role_policy_document),
                policies=tuple(json.loads(text) for text in [*role.policies.values(), *attached]),
            )

    def _ec2(self, region: str) -> Any:
        return get_backend("ec2")[ACCOUNT][region]


def _group(group: Any) -> SecurityGroup | None:
    if group is None:
        return None
    return SecurityGroup(
        id=group.id,
        vpc_id=group.vpc_id,
        ingress=tuple(_openings(group.ingress_rules)),
        egress=tuple(_openings(group.egress_rules)),
    )


def _openings(rules: Iterable[Any]) -> Iterator[Opening]:
    for rule in rules:
        if rule.ip_protocol not in {"tcp", "6", "-1"}:
            continue
        group = (rule.source_group or {}).get("GroupId")
        yield Opening(
            first_port=rule.from_port,
            last_port=rule.to_port,
            cidr=None if group else (rule.ip_range or {}).get("CidrIp"),
            group_id=group,
        )


def _authorization(region: str, service: str) -> str:
    """A signature's header without the signature, which nobody looks at."""
    return f"AWS4-HMAC-SHA256 Credential=sandbox/20260101/{region}/{service}/aws4_request, SignedHeaders=, Signature="


def _entry(request: Request, seed: int) -> dict[str, Any]:
    """A request as it is kept: without the key that it was signed with."""
    kept = {name: request.environ[name] for name in _KEPT_HEADERS if name in request.environ}
    return {
        "seed": seed,
        "method": request.environ["REQUEST_METHOD"],
        "path": request.environ.get("PATH_INFO", "/"),
        "query": request.environ.get("QUERY_STRING", ""),
        "environ": {
            **kept,
            "CONTENT_TYPE": request.environ.get("CONTENT_TYPE", ""),
            "HTTP_AUTHORIZATION": _authorization(request.region, request.service),
        },
        "body": base64.b64encode(request.body).decode(),
    }
