"""Faults on request: Regions that are down, calls that fail, engines that die.

They live in one small file in the sandbox's folder, so that a test in the same process, `python -m sandbox fail` in
another one, and a restarted server all mean the same thing.
"""

from __future__ import annotations

import fnmatch
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

Action = Literal["fail", "crash"]
When = Literal["before", "after"]


@dataclass(frozen=True)
class Trigger:
    """Something that happens to the `nth` matching call from now on, once.

    `operation` is an API operation (`kafka:CreateReplicator`) or a provider's step (`create`), with `*` as a glob.
    """

    action: Action
    operation: str
    region: str = "*"
    name: str = "*"
    nth: int = 1
    when: When = "before"
    message: str = "the sandbox was asked to let this call fail once"

    def matches(self, operation: str, region: str, name: str, when: When) -> bool:
        return (
            self.when == when
            and fnmatch.fnmatchcase(operation, self.operation)
            and fnmatch.fnmatchcase(region, self.region)
            and fnmatch.fnmatchcase(name, self.name)
        )


class Faults:
    """The faults asked for. Not thread-safe: the cloud's lock guards it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._down: frozenset[str] = frozenset()
        self._triggers: tuple[Trigger, ...] = ()

    @property
    def down(self) -> frozenset[str]:
        """Regions that refuse every call."""
        self._reread()
        return self._down

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """What is still to happen."""
        self._reread()
        return self._triggers

    def fail(self, region: str) -> None:
        self._save(self.down | {region}, self._triggers)

    def heal(self, region: str) -> None:
        self._save(self.down - {region}, self._triggers)

    def add(self, trigger: Trigger) -> None:
        self._save(self.down, (*self._triggers, trigger))

    def clear(self) -> None:
        self._save(frozenset(), ())

    def due(self, operation: str, region: str, name: str, when: When) -> Trigger | None:
        """The trigger that this call sets off, which is then spent; the others come one call nearer."""
        if not self.triggers:
            return None
        left = []
        hit = None
        for trigger in self._triggers:
            if hit is None and trigger.matches(operation, region, name, when):
                if trigger.nth == 1:
                    hit = trigger
                    continue
                trigger = replace(trigger, nth=trigger.nth - 1)
            left.append(trigger)
        if tuple(left) != self._triggers:
            self._save(self._down, tuple(left))
        return hit

    def _reread(self) -> None:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            self._seen, self._down, self._triggers = None, frozenset(), ()
            return
        mark = (status.st_mtime_ns, status.st_ino)
        if mark != self._seen:
            content: dict[str, Any] = json.loads(self._file.read_text())
            self._down = frozenset(content["down"])
            self._triggers = tuple(Trigger(**trigger) for trigger in content["triggers"])
            self._seen = mark

    def _save(self, down: frozenset[str], triggers: tuple[Trigger, ...]) -> None:
        content = {"down": sorted(down), "triggers": [asdict(trigger) for trigger in triggers]}
        fresh = self._file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(fresh, self._file)
        self._reread()
