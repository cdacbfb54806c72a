"""What a check sees: the properties of one resource, or of a whole stack, read without surprises.

Pulumi hands policies proxies that raise on any touch of a value that is not known before the update. `plain` turns
them into ordinary values once, with UNKNOWN in their place, and `Props` tells apart what is absent, known and unknown,
so that no check needs a `try` of its own.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pulumi_policy import PolicyResource, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

UNKNOWN: Final = object()
"""Stands for a value that only the update knows."""


class UnknownValue(Exception):
    """A check needs a value that only the update knows; what it found before stands."""


def plain(value: Any) -> Any:
    """The proxies of `pulumi_policy` as dicts and lists, with UNKNOWN for what they refuse to show."""
    if value is None or isinstance(value, str | float | int):
        return value
    if isinstance(value, Mapping):
        return {key: _shown(value, key) for key in value}
    if isinstance(value, Sequence):
        return [_shown(value, index) for index in range(len(value))]
    return value


def _shown(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


@dataclass(frozen=True)
class Props:
    """A part of a resource's properties. Paths are dotted; `missing` collects the paths that were unknown when read.

    Values of an unexpected type read as absent: the provider has checked types before a policy runs.
    """

    values: Any
    where: str = ""
    missing: list[str] = field(default_factory=list)

    def raw(self, path: str) -> Any:
        """The value at a path: None when absent, UNKNOWN when it, or what holds it, is unknown."""
        value = self.values
        for key in path.split(".") if path else ():
            if value is UNKNOWN:
                break
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path, `default` when absent. Raises UnknownValue when it is unknown."""
        value = self.raw(path)
        if value is UNKNOWN:
            self.note(path)
            raise UnknownValue
        return default if value is None else value

    def note(self, path: str) -> None:
        """Remember that a value was unknown."""
        full = f"{self.where}.{path}".strip(".")
        if full not in self.missing:
            self.missing.append(full)

    def has(self, path: str) -> bool:
        """Whether the property is set; a value that is not known yet counts as set."""
        self.get(path.rpartition(".")[0])
        return self.raw(path) is not None

    def text(self, path: str, default: str = "") -> str:
        value = self.get(path, default)
        return value if isinstance(value, str) else default

    def known(self, path: str) -> str:
        """The text at a path, empty when absent; when it is unknown, empty too and noted."""
        value = self.raw(path)
        if value is UNKNOWN:
            self.note(path)
        return value if isinstance(value, str) else ""

    def flag(self, path: str, default: bool = False) -> bool:
        value = self.get(path, default)
        return value.lower() == "true" if isinstance(value, str) else value is True

    def number(self, path: str) -> float | None:
        value = self.get(path)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def texts(self, path: str) -> list[str]:
        """The known strings of a list, or the one string where a list may be written as one; unknown ones are noted."""
        found = []
        for value in _listed(self.get(path)):
            if value is UNKNOWN:
                self.note(path)
            elif isinstance(value, str):
                found.append(value)
        return found

    def count(self, path: str) -> int:
        """How many entries a list has, known or not."""
        return len(_listed(self.get(path)))

    def items(self, path: str) -> list["Props"]:
        """The objects of a list, or the one object where a list of at most one is written without brackets."""
        entries = _listed(self.get(path))
        return [Props(entry, f"{self.where}.{path}[{n}]".lstrip("."), self.missing) for n, entry in enumerate(entries)]

    def document(self, path: str) -> "Props":
        """A property that holds JSON text, read as properties of its own; empty when it is not JSON."""
        value = self.get(path, {})
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                value = {}
        return Props(value, f"{self.where}.{path}".lstrip("."), self.missing)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


@dataclass(frozen=True, kw_only=True)
class Resource(Props):
    """One resource: its properties, its options, and what the user configured for the rule at work."""

    type: str
    name: str
    urn: str
    protect: bool
    timeouts: tuple[float, float, float]
    """Create, update and delete, in seconds; 0 where the provider's default holds."""
    provider_region: Any
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URNs that each top-level property was computed from; known for stacks only."""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The Region it is created in. Raises UnknownValue when neither it nor its provider says."""
        found = self.raw("region") or self.provider_region
        if isinstance(found, str):
            return found
        self.note("region")
        raise UnknownValue


def resource_of(args: ResourceValidationArgs | PolicyResource, options: Mapping[str, Any]) -> Resource:
    """The resource that the SDK hands to a policy; in a stack its properties are its outputs."""
    depends_on = getattr(args, "property_dependencies", {})
    timeouts = args.opts.custom_timeouts
    return Resource(
        plain(args.props),
        type=args.resource_type,
        name=args.name,
        urn=args.urn,
        protect=bool(args.opts.protect),
        timeouts=(timeouts.create_seconds, timeouts.update_seconds, timeouts.delete_seconds),
        provider_region=plain(args.provider.props).get("region") if args.provider else None,
        depends_on={key: tuple(r.urn for r in found) for key, found in depends_on.items()},
        options=options,
    )


class Resources:
    """All resources of a stack, with their outputs; `missing` collects what was unknown in any of them."""

    def __init__(self, resources: Iterable[PolicyResource]) -> None:
        self.resources = tuple(resources)
        self.missing: list[str] = []
        self._read: dict[str, Resource] = {}

    def of(self, *types: str) -> Iterator[Resource]:
        """The resources of some types."""
        for source in self.resources:
            if source.resource_type in types:
                if source.urn not in self._read:
                    self._read[source.urn] = replace(resource_of(source, {}), missing=self.missing)
                yield self._read[source.urn]

    def targets(self, of: Resource, holder: Props, path: str, keys: Sequence[str], *types: str) -> list[Resource]:
        """The resources that the value or values at `path` of `holder`, a part of `of`, stand for.

        Those with an output among `keys` of that value; while the value is unknown, or where they lack such an output,
        those that the property was computed from. Raises UnknownValue when an unknown value comes from nowhere known.
        """
        values = _listed(holder.raw(path))
        top = re.split(r"[.\[]", holder.where or path)[0]
        sources = of.depends_on.get(top, ()) if values else ()
        if not sources and any(value is UNKNOWN for value in values):
            holder.note(path)
            raise UnknownValue
        return [
            r
            for r in self.of(*types)
            if any((found := r.raw(key)) not in (None, UNKNOWN) and found in values for key in keys)
            or (r.urn in sources and all(r.raw(key) in (None, UNKNOWN) for key in keys))
        ]
