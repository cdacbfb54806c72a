"""What the demo costs: how long it takes, and how much memory everything it starts needs together."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from bench.figure import Figure

ROOT: Final = Path(__file__).resolve().parent.parent
_EVERY: Final = 0.5  # seconds between two looks


def demo() -> Iterator[Figure]:
    """The demo once, whole."""
    command = [sys.executable, "-m", "sandbox.demo", "--folder", str(ROOT / ".sandbox" / "bench")]
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(_EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    yield Figure("demo, without its set-up", time.perf_counter() - began, "s", goal=240)
    yield Figure("demo: peak memory of all its processes", peak / 2**20, "MB", "shared pages counted once", goal=3072)


def _memory(pid: int) -> int:
    """Bytes that a process and all below it hold at the moment, shared ones divided among those who share (Linux)."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
    return total
