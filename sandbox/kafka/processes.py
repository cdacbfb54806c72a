"""Processes that never outlive the one that started them.

Each runs in a session of its own, so that Ctrl-C in a terminal reaches only the program that can stop them in order.
On Linux the kernel kills them when that program dies, however it dies; elsewhere, and after a crash of the machine,
the next run finds what is left by the record in the process's folder and ends it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psutil

LOG: Final = "process.log"
_RECORD: Final = "process.json"

_LAUNCHER: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: the one signal that also ends a frozen process
    if os.getppid() != int(sys.argv[1]):
        sys.exit("The parent has gone already.")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs first in the new process and becomes the program. Unlike code between fork and exec it is safe with threads."""

_STARTER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starts-processes")
"""The kernel watches the thread that forked, not the process: this one lives as long as the program."""


class Process:
    """One program with its folder, which holds its log and the record of its process id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._ended = False

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Starts the command unless it runs already. What an earlier run left behind is ended first."""
        with self._lock:
            if self._ended:
                raise RuntimeError(f"{self.folder} is closed; nothing starts there any more. Open it again.")
            if self.running:
                return
            self.end_leftover()
            self._child = _STARTER.submit(self._spawn, [str(part) for part in command], environment).result()
            known = {"pid": self._child.pid, "started": psutil.Process(self._child.pid).create_time()}
            (self.folder / _RECORD).write_text(json.dumps(known))

    def _spawn(self, arguments: list[str], environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
        with (self.folder / LOG).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Alive, frozen or not."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or when it was not started."""
        return self._child.poll() if self._child else None

    def freeze(self) -> None:
        if self._child and self.running:
            self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._child and self.running:
            self._child.send_signal(signal.SIGCONT)

    def stop(self, *, grace: float, for_good: bool = False) -> None:
        """Ends the process: asks for `grace` seconds, then kills. `grace` 0 kills at once.

        `for_good`: a start that another thread is about to make is refused.
        """
        with self._lock:
            self._ended |= for_good
            if self._child is not None:
                if self.running and grace > 0:
                    self._child.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._child.wait(grace)
                if self.running:
                    self._child.kill()
                self._child.wait()
            (self.folder / _RECORD).unlink(missing_ok=True)

    def end_leftover(self) -> None:
        """Kills the process that an earlier run recorded here, if it is still that one."""
        record = self.folder / _RECORD
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
            known = json.loads(record.read_text())
            process = psutil.Process(int(known["pid"]))
            # Process ids are used again; together with the start time they are not.
            if abs(process.create_time() - float(known["started"])) < 1:
                process.kill()
                psutil.wait_procs([process], timeout=10)
        record.unlink(missing_ok=True)

    def last_words(self, lines: int = 3) -> str:
        """The end of its log, on one line."""
        with contextlib.suppress(FileNotFoundError):
            return " | ".join((self.folder / LOG).read_text(errors="replace").splitlines()[-lines:])
        return ""


def wait_for(condition: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
    """Whether the condition came true within the time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(every)
    return True
