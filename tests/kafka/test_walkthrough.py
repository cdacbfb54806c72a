"""The data part of the published procedure, as `python -m sandbox.kafka walkthrough` runs it."""

import dataclasses
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.kafka import DataPlane
from sandbox.kafka.pair import FORWARD_SPEC, REVERSE_SPEC, BarePair
from sandbox.kafka.walkthrough import Walkthrough
from tests.kafka.test_processes import ROOT, processes_of

pytestmark = pytest.mark.kafka


def test_the_walkthrough_holds_within_three_minutes_and_leaves_nothing(folder: Path) -> None:
    began = time.monotonic()
    command = [sys.executable, "-m", "sandbox.kafka", "walkthrough", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 180
    assert "holds" in done.stdout and "FAILS" not in done.stdout
    assert processes_of(folder) == []


def test_the_walkthrough_fails_when_the_loop_filter_is_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, reverse = (dataclasses.replace(spec, drop_returning=False) for spec in (FORWARD_SPEC, REVERSE_SPEC))
    monkeypatch.setattr("sandbox.kafka.walkthrough.PATIENCE", 10)
    with DataPlane(folder) as plane:
        checks = Walkthrough(plane, Console(file=StringIO()), BarePair(plane, forward, reverse)).run()
    failed = {check.what for check in checks if not check.holds}
    assert "Primary: twice" in failed
