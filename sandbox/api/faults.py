"""Faults on request: Regions that refuse every call until they are healed, and calls that fail once."""

import fnmatch
import threading
from dataclasses import asdict, dataclass, replace

from sandbox.api.store import Store

GLOBAL = "global"
"""The pretended Region of IAM, which is one service for all Regions. At AWS its control plane is in us-east-1, so that
`us-east-1` and `global` may well fail together; here that is two requests."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that happens to the `nth` matching call from now on, once.

    `operation` is like `kafka:CreateReplicator`, with `*` as a glob.
    """

    operation: str
    region: str = "*"
    nth: int = 1
    code: str = "InternalServerErrorException"
    message: str = "the sandbox was asked to let this call fail once"
    status: int = 500

    def matches(self, operation: str, region: str) -> bool:
        return fnmatch.fnmatchcase(operation, self.operation) and fnmatch.fnmatchcase(region, self.region)


class Faults:
    """The faults asked for; they outlive the process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        kept = store.get("faults", "", "") or {"down": [], "once": []}
        self._down = frozenset(kept["down"])
        self._once = tuple(Fault(**fault) for fault in kept["once"])

    @property
    def down(self) -> frozenset[str]:
        """Regions that refuse every call."""
        return self._down

    @property
    def once(self) -> tuple[Fault, ...]:
        """What is still to happen."""
        return self._once

    def is_down(self, region: str) -> bool:
        return region in self._down

    def fail(self, region: str) -> None:
        with self._lock:
            self._save(self._down | {region}, self._once)

    def heal(self, region: str) -> None:
        with self._lock:
            self._save(self._down - {region}, self._once)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._save(self._down, (*self._once, fault))

    def clear(self) -> None:
        """Takes back the faults that have not happened; Regions stay as they are."""
        with self._lock:
            self._save(self._down, ())

    def due(self, operation: str, region: str) -> Fault | None:
        """The fault that this call meets, which is then spent; the others come one call nearer."""
        with self._lock:
            hit: Fault | None = None
            left = []
            for fault in self._once:
                if hit is None and fault.matches(operation, region):
                    if fault.nth == 1:
                        hit = fault
                        continue
                    fault = replace(fault, nth=fault.nth - 1)
                left.append(fault)
            if tuple(left) != self._once:
                self._save(self._down, tuple(left))
        return hit

    def _save(self, down: frozenset[str], once: tuple[Fault, ...]) -> None:
        self._down, self._once = down, once
        record = {"down": sorted(down), "once": [asdict(fault) for fault in once]}
        self._store.put("faults", "", "", record)
