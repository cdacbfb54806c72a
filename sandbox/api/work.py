"""Things that take time: one thread for each, which waits, does its work, and ends with the API."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("sandbox.api")

_POLL = 0.05


class Stopped(Exception):
    """The API stops while a task waits; the task is to be taken up at the next start."""


class Work:
    """Runs tasks after a while. What was not done when the API stops is taken up from the state at the next start."""

    def __init__(self, is_down: Callable[[str], bool]) -> None:
        self._is_down = is_down
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def after(self, seconds: float, region: str, task: Callable[[], None]) -> None:
        """Runs the task in the background; not before the Region is up. A task handles its own failures."""

        def run() -> None:
            try:
                self.wait(seconds, region)
                task()
            except Stopped:
                pass
            except Exception:
                log.exception("background work in %s failed", region)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def wait(self, seconds: float, region: str) -> None:
        """Waits, and then for the Region to be up; raises Stopped when the API stops meanwhile."""
        if self._stopping.wait(seconds):
            raise Stopped
        while self._is_down(region):
            if self._stopping.wait(_POLL):
                raise Stopped

    def stop(self, timeout: float = 60) -> None:
        """Lets what is under way come to an end."""
        self._stopping.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout)
