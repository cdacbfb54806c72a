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
        self._changed = threading.Condition()
        self._stopping = False
        self._hurries = 0
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
                with self._changed:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        with self._changed:
            self._threads.add(thread)
        thread.start()

    def wait(self, seconds: float, region: str) -> None:
        """Waits, and then for the Region to be up; raises Stopped when the API stops meanwhile."""
        with self._changed:
            hurries = self._hurries
            self._changed.wait_for(lambda: self._stopping or self._hurries != hurries, seconds)
            while self._is_down(region) and not self._stopping:
                self._changed.wait(_POLL)
            if self._stopping:
                raise Stopped

    def hurry(self) -> None:
        """Ends every wait that is under way."""
        with self._changed:
            self._hurries += 1
            self._changed.notify_all()

    def stop(self, timeout: float = 60) -> None:
        """Lets what is under way come to an end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout)
