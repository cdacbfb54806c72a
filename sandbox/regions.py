"""The Regions that the sandbox knows, and their Availability Zones.

Zone names are each account's own; zone ids mean the same place for everybody. The mapping below is that of the one
pretended account. (AWS Regional zones as listed in November 2026; Local and Wavelength Zones are left out.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ACCOUNT = "123456789012"
"""The pretended account; AWS uses this number in its documentation."""


@dataclass(frozen=True)
class Zone:
    """One Availability Zone, by this account's name and by its id."""

    name: str
    id: str


def _zones(region: str, prefix: str, ids: Mapping[str, int]) -> tuple[Zone, ...]:
    return tuple(Zone(f"{region}{letter}", f"{prefix}-az{number}") for letter, number in ids.items())


ZONES: Mapping[str, tuple[Zone, ...]] = {
    # us-east-1e is use1-az3, which takes no Express brokers: a program that takes "the first three names" gets away
    # with it here, one that takes the last three does not.
    "us-east-1": _zones("us-east-1", "use1", {"a": 4, "b": 6, "c": 1, "d": 2, "e": 3, "f": 5}),
    "us-east-2": _zones("us-east-2", "use2", {"a": 1, "b": 2, "c": 3}),
    "us-west-1": _zones("us-west-1", "usw1", {"a": 1, "c": 3}),
    "us-west-2": _zones("us-west-2", "usw2", {"a": 2, "b": 1, "c": 3, "d": 4}),
    "ca-central-1": _zones("ca-central-1", "cac1", {"a": 1, "b": 2, "d": 4}),
    "sa-east-1": _zones("sa-east-1", "sae1", {"a": 1, "b": 2, "c": 3}),
    "eu-west-1": _zones("eu-west-1", "euw1", {"a": 3, "b": 1, "c": 2}),
    "eu-west-2": _zones("eu-west-2", "euw2", {"a": 2, "b": 3, "c": 1}),
    "eu-west-3": _zones("eu-west-3", "euw3", {"a": 1, "b": 2, "c": 3}),
    "eu-central-1": _zones("eu-central-1", "euc1", {"a": 2, "b": 3, "c": 1}),
    "eu-north-1": _zones("eu-north-1", "eun1", {"a": 1, "b": 2, "c": 3}),
    "ap-south-1": _zones("ap-south-1", "aps1", {"a": 1, "b": 3, "c": 2}),
    "ap-southeast-1": _zones("ap-southeast-1", "apse1", {"a": 1, "b": 2, "c": 3}),
    "ap-southeast-2": _zones("ap-southeast-2", "apse2", {"a": 1, "b": 3, "c": 2}),
    "ap-northeast-1": _zones("ap-northeast-1", "apne1", {"a": 4, "c": 1, "d": 2}),
    "ap-northeast-2": _zones("ap-northeast-2", "apne2", {"a": 1, "b": 2, "c": 3, "d": 4}),
}


def zone_id(region: str, name: str) -> str | None:
    """The id of the zone that this account calls `name`."""
    return next((zone.id for zone in ZONES[region] if zone.name == name), None)
