"""What a benchmark measured, and how long a command takes."""

import time
from collections.abc import Callable
from typing import NamedTuple

from sandbox.cli import Result


class Figure(NamedTuple):
    """One measured figure; `goal` is the most that it may be."""

    name: str
    value: float
    unit: str
    detail: str = ""
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal


def timed(command: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds that a command took, and its result. Raises PulumiError when it fails."""
    began = time.perf_counter()
    result = command().check()
    return time.perf_counter() - began, result
