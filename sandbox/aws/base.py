"""The interface of a resource type, and the part that most types share.

A handler is stateless and knows one type. The provider calls it in the order `check`, `create`, `read`, …; nothing but
`Aws` reaches the cloud, so a type can be moved from the sandbox's own records to a real API by a handler of its own.
"""

from __future__ import annotations

import abc
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pulumi

from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.diff import merged
from sandbox.regions import ACCOUNT
from sandbox.rules import Rules
from sandbox.schema import Schema, resource_schema
from sandbox.wire import UNKNOWN, Props


class Incomplete(Exception):
    """A create or update that left something behind: the engine keeps the resource, and the error with it."""

    def __init__(self, id_: str, reason: Exception) -> None:
        super().__init__(str(reason))
        self.id = id_


@contextmanager
def having_made(id_: str, what: str) -> Iterator[None]:
    """Calls that finish a resource which is there already: when one fails, the engine must know that it is."""
    try:
        yield
    except AwsError as error:
        raise Incomplete(id_, RuntimeError(f"{what}: {error}")) from error


class Handler(abc.ABC):
    """One resource type."""

    resource: ClassVar[type[pulumi.CustomResource]]
    label: ClassVar[str]
    """What the real provider calls the type in its errors."""
    rules: ClassVar[Rules] = Rules()

    @property
    def schema(self) -> Schema:
        return resource_schema(self.resource)

    @property
    def kind(self) -> str:
        """The type's token, under which its records are kept."""
        return self.schema.token

    def check(self, inputs: Props) -> Iterable[Failure]:
        """What the provider itself refuses, before anything is created. Inputs may hold unknown values."""
        return ()

    def replacing(self, state: Props, inputs: Props) -> Iterable[str]:
        """Paths that need a replacement for this very change, beyond `rules.replace`."""
        return ()

    def title(self, inputs: Props) -> str:
        """How the provider's errors name the resource when it has no id yet."""
        name = self.rules.autoname and inputs.get(self.rules.autoname.property)
        return f"{self.label} ({name})" if name else self.label

    @abc.abstractmethod
    def create(self, aws: Aws, inputs: Props) -> str:
        """Makes the resource and returns its id. Raises AwsError, or Incomplete when something was left behind."""

    @abc.abstractmethod
    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        """The outputs as the cloud has them, or None. `known` is what was known of the resource before."""

    @abc.abstractmethod
    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """Applies the inputs in place, as far as the service can."""

    @abc.abstractmethod
    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        """Deletes the resource; one that is gone already is no error."""


def admit_tags(inputs: Props) -> None:
    """The rules that all services have for tags, each in words of its own; raises AwsError."""
    tags = inputs.get("tagsAll", {})
    if len(tags) > 50:
        raise AwsError("InvalidTag", f"there are {len(tags)} tags; at most 50 are allowed")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise AwsError("InvalidTag", f"tag {key} is too long; keys have 1 to 128 characters, values at most 256")
        if key.lower().startswith("aws:") or not re.fullmatch(r"[\w\s.:/=+\-@]*", key + value):
            reason = "keys must not begin with aws:, and only letters, digits, spaces and _.:/=+-@ are allowed"
            raise AwsError("InvalidTag", f"tag {key} has the value {value}; {reason}")


def described_tags(known: Props, found: Mapping[str, str]) -> Props:
    """Tags as an API has them; the provider's default tags are not the resource's own."""
    own = known.get("tags", {})
    defaults = known.get("tagsAll", {}).keys() - own.keys()
    tags = {key: value for key, value in found.items() if key not in defaults}
    return {**({"tags": tags} if tags or "tags" in known else {}), "tagsAll": dict(found)}


class RecordHandler(Handler):
    """A type whose resources are records of the sandbox: outputs are inputs plus what `outputs` computes."""

    creates: ClassVar[str]
    """API operation that creates, and so on."""
    reads: ClassVar[str]
    updates: ClassVar[str] = ""
    """Empty for a type of which nothing can be changed in place."""
    deletes: ClassVar[str]

    def admit(self, aws: Aws, inputs: Props) -> None:
        """The service's rules for a new resource; raises AwsError."""

    @abc.abstractmethod
    def identify(self, aws: Aws, inputs: Props) -> str:
        """The id of a new resource."""

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        """What the cloud adds to the inputs of a new resource."""
        return {}

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        """Further calls that the provider makes to finish a new resource."""
        return ()

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """The service's rules for a change in place; raises AwsError. `state` is what the cloud has."""

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        """The service's rules for a deletion, and what goes with the resource; raises AwsError."""

    def create(self, aws: Aws, inputs: Props) -> str:
        with aws.call(self.creates):
            admit_tags(inputs)
            self.admit(aws, inputs)
            id_ = self.identify(aws, inputs)
            aws.put(self.kind, id_, {**inputs, **self.outputs(aws, id_, inputs)})
        with having_made(id_, f"creating {self.title(inputs)}"):
            aws.touch(*self.follow_up(inputs))
        return id_

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        aws.touch(self.reads)
        return aws.get(self.kind, id_)

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        with aws.call(self.updates):
            record = self.existing(aws, id_)
            admit_tags(inputs)
            self.revise(aws, id_, record, inputs)
            aws.put(self.kind, id_, merged(self.schema, self.rules, record, inputs))

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        with aws.call(self.deletes):
            record = aws.get(self.kind, id_)
            if record is not None:
                self.release(aws, id_, record)
                aws.remove(self.kind, id_)

    def existing(self, aws: Aws, id_: str) -> Props:
        record = aws.get(self.kind, id_)
        if record is None:
            raise AwsError("NotFoundException", f"{self.label} {id_} does not exist", status=404)
        return record


def kind_of(resource: type[pulumi.CustomResource]) -> str:
    return resource_schema(resource).token


def arn(service: str, region: str, rest: str) -> str:
    """An ARN in the pretended account."""
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def uuid_of(digest: str) -> str:
    """A UUID made of hex digits."""
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def dig(props: Props, path: str) -> Any:
    """A nested value, or None."""
    value: Any = props
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def one_of(inputs: Props, path: str, allowed: Sequence[str]) -> Iterator[Failure]:
    """A text that the provider itself compares with a list; absent and unknown pass."""
    value = dig(inputs, path)
    if value is not None and value != UNKNOWN and value not in allowed:
        choices = " ".join(f'"{choice}"' for choice in allowed)
        yield Failure(path, f"expected {path} to be one of [{choices}], got {value}")


def in_range(inputs: Props, path: str, low: int, high: int) -> Iterator[Failure]:
    """A number that the provider itself compares with limits; absent and unknown pass."""
    value = dig(inputs, path)
    if value is not None and value != UNKNOWN and not low <= value <= high:
        yield Failure(path, f"expected {path} to be in the range ({low} - {high}), got {value}")


def exactly_one(inputs: Props, *names: str) -> Iterator[Failure]:
    given = [name for name in names if name in inputs]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        yield Failure(given[-1] if given else names[0], f"{found} is given; exactly one of {', '.join(names)} must be")


def cidr_block(value: str) -> ipaddress.IPv4Network:
    """An IPv4 block whose host bits are zero; raises ValueError."""
    return ipaddress.IPv4Network(value)


def json_failures(inputs: Props, name: str) -> Iterator[Failure]:
    value = inputs.get(name)
    if value is None or value == UNKNOWN:
        return
    try:
        json.loads(value)
    except ValueError as error:
        yield Failure(name, f'"{name}" contains an invalid JSON: {error}')


def statements(document: str) -> list[dict[str, Any]]:
    """The statements of a policy that parses; raises ValueError with what is wrong."""
    parsed = json.loads(document)
    if not isinstance(parsed, dict):
        raise ValueError("a policy is a JSON object")
    listed = parsed.get("Statement")
    found = [listed] if isinstance(listed, dict) else listed
    if not isinstance(found, list) or not found:
        raise ValueError("a policy has a Statement")
    for statement in found:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise ValueError("every statement has the Effect Allow or Deny")
        if "Action" not in statement and "NotAction" not in statement:
            raise ValueError("every statement has an Action")
    return found


def listed(value: Any) -> list[str]:
    """What IAM writes as one text or a list of them."""
    return [value] if isinstance(value, str) else list(value or [])


def glob(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """IAM's own matching: `*` and `?`, and no character classes."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.IGNORECASE if ignore_case else 0) is not None
