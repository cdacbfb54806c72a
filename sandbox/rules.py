"""What a resource type's properties do: defaults, names, replacement, comparison. One table per type, no behaviour.

A rule names a property by its path without indexes: `kafkaClusters[].vpcConfig.subnetIds`. A path in `computed` or
`kept` covers everything below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class AutoName:
    """A property that gets the resource's logical name and seven random hex digits when the program leaves it out."""

    property: str
    maximum: int = 255
    prefix: str = ""


@dataclass(frozen=True)
class Rules:
    """How the provider treats the inputs of one resource type."""

    autoname: AutoName | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values for properties left out, applied where the object around them is present."""
    replace: frozenset[str] = frozenset()
    """A change here needs a new resource (`ForceNew` in the real provider)."""
    computed: frozenset[str] = frozenset()
    """Left out, the cloud decides; taken out of the program later, the old value stays (`Optional` and `Computed`)."""
    kept: frozenset[str] = frozenset()
    """Taken out of the program later, the old value stays, though the cloud sets nothing at creation."""
    sets: frozenset[str] = frozenset()
    """Lists whose order does not matter."""
    documents: frozenset[str] = frozenset()
    """JSON texts, compared by meaning."""
    recomputed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Outputs that a change of one of the given inputs makes unknown at preview; an empty set means any change."""
    delete_before_replace: bool = False
    plugin_framework: bool = False
    """Written on Terraform's newer framework, whose bridge does not look at names to order a replacement
    (pulumi-terraform-bridge#823)."""

    def is_kept(self, path: str) -> bool:
        """Whether leaving out `path` leaves the value that is already there."""
        return _covers(self.computed, path) or _covers(self.kept, path)

    def is_computed(self, path: str) -> bool:
        return _covers(self.computed, path)


def _covers(paths: frozenset[str], path: str) -> bool:
    if path in paths:
        return True
    return any(path.startswith(prefix) and path[len(prefix)] in ".[" for prefix in paths if len(prefix) < len(path))
