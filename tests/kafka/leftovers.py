"""What a program leaves running: nothing, also when it is interrupted."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).resolve().parents[2]


def processes_of(folder: Path) -> list[int]:
    """Programs that were started with this folder as their working directory or below it."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder.resolve()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def interrupted(command: Sequence[str], folder: Path, sent: signal.Signals = signal.SIGINT) -> int:
    """Exit code of a command that gets a signal as soon as it has started a broker somewhere in `folder`."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not any(psutil.Process(pid).name() == "java" for pid in processes_of(folder)):
            assert process.poll() is None and time.monotonic() < deadline, "no broker was started"
            time.sleep(0.2)
        os.kill(process.pid, sent)
        return process.wait(60)
    finally:
        process.kill()
        process.wait()
