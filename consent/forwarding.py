"""People whom the door meets under an older lookup key are moved to the newest one, beside the traffic and not in its way.

An event is contact too: whoever only sends events must not become unknown when the older key is destroyed.
"""

from __future__ import annotations

import threading

from consent.subjects import Subjects
from tacit.core import logs

MOST = 10_000
"""People who wait at once; who does not fit is noted again with the next event."""
AT_ONCE = 50
"""Moved in one transaction, so that no withdrawal waits long."""

logs.allow(["forwarding.failed"])
_log = logs.Log("forwarding")


class Forwarding:
    """For one process. The thread lives as long as somebody waits."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        self._waiting: dict[tuple[str, bytes], None] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, site: str, people: list[bytes]) -> None:
        """Move these people, from `subject_bytes`, soon. Returns at once."""
        with self._lock:
            room = MOST - len(self._waiting)
            self._waiting.update(dict.fromkeys([(site, person) for person in people[:room]]))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True, name="forwarding")
                self._thread.start()

    def settled(self) -> None:
        """Wait until nobody waits any more. For tests and the end of a process."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                site = next(iter(self._waiting))[0]
                people = [person for at, person in self._waiting if at == site][:AT_ONCE]
                for person in people:
                    del self._waiting[site, person]
            try:
                self._subjects.bring_forward(site, people)
            except Exception as error:  # they are noted again with their next event
                _log.fault("forwarding.failed", error)
