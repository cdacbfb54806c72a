"""Policy documents of IAM, read for the rules that judge them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .reader import Props

KAFKA_SERVICE: Final = "kafka.amazonaws.com"


@dataclass(frozen=True)
class Grant:
    """A statement that allows something."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    services: tuple[str, ...]
    accounts: tuple[str, ...]
    """Account numbers, ARNs or `*`: whatever stands in `Principal` that is no service."""
    excludes: tuple[str, ...]
    """Those of NotAction, NotResource and NotPrincipal that are used: they allow everything but what they list."""
    statement: Props


def grants(document: Props) -> Iterator[Grant]:
    """The statements of a policy document that allow something; those that deny only narrow them."""
    for statement in document.items("Statement"):
        if statement.text("Effect").lower() != "allow":
            continue
        principal = statement.raw("Principal")
        named = principal if isinstance(principal, dict) else {"AWS": principal}
        people = Props({"people": [p for kind in named if kind != "Service" for p in _listed(named[kind])]})
        yield Grant(
            actions=tuple(statement.texts("Action")),
            resources=tuple(statement.texts("Resource")),
            services=tuple(Props(named).texts("Service")),
            accounts=tuple(people.texts("people")),
            excludes=tuple(key for key in ("NotAction", "NotResource", "NotPrincipal") if statement.has(key)),
            statement=statement,
        )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Arn:
    """The parts of an ARN; `resource` is everything after the account."""

    service: str
    region: str
    account: str
    resource: str

    @property
    def cluster(self) -> tuple[str, str, str] | None:
        """Region, account and name of the cluster that an ARN of Kafka's is about or inside of."""
        parts = self.resource.split("/")
        return (self.region, self.account, parts[1]) if self.service == "kafka" and len(parts) > 1 else None


def arn(text: str) -> Arn | None:
    """The parts of a text, None when it is no ARN."""
    found = re.fullmatch(r"arn:[^:]*:([^:]*):([^:]*):([^:]*):(.*)", text, re.DOTALL)
    return Arn(*found.groups()) if found else None
