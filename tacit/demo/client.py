"""The newsroom's front end: consents, decisions, page views and trials of one visitor after the other, over HTTP.

Everything is sent for everybody; what may be counted is the service's decision, and its answers are counted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tacit.core.clock import SystemClock, iso
from tacit.core.declaration import HOLDOUT
from tacit.demo.arrivals import Arrivals, Visitor
from tacit.demo.door import Door, Tally

POLICY = "headline"
SITE = "newsroom"


class Newsroom:
    """A front end that sends what a browser would."""

    def __init__(self, door: Door, arrivals: Arrivals, *, default_arm: str, fair: bool) -> None:
        self._door, self._fair = door, fair
        self._arrivals, self._default_arm = arrivals, default_arm
        self._clock = SystemClock()

    def serve(self, visitors: Sequence[Visitor]) -> Tally:
        """Let these people come, choose, see a headline, read and click. Raises `Problem` if the service does not answer as it should."""
        tally = Tally()
        events: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for visitor in visitors:
            if any(visitor.purposes.values()):  # the others leave the banner alone, and so have no record at all
                self._door.consent(visitor.subject, visitor.purposes, opted_out=visitor.gpc, age_band=visitor.age_band)
                tally.consents += 1
            events[visitor.gpc] += self._visit(visitor, tally)
        for opted_out, group in events.items():
            self._door.send(group, tally, opted_out=opted_out)
        return tally

    def _visit(self, visitor: Visitor, tally: Tally) -> list[dict[str, Any]]:
        """One visit: the decision is asked with a unit that lives for this visit only."""
        context = {"device": visitor.device, "daypart": visitor.daypart}
        decision = self._door.decide(context)
        decided = str(decision["arm"])
        shown = visitor.shown(decided, fair=self._fair)
        tally.decisions.append((visitor, decided))
        tally.misshown += shown != decided
        at = iso(self._clock.now_ms())
        head = {"subject": visitor.subject, "at": at}
        events = [
            {"id": f"{visitor.subject}-{number}", "type": "page", **head, "properties": {"category": category}}
            for number, category in enumerate(visitor.pages)
        ]
        trial = {
            "policy": POLICY,
            "context": context,
            "arm": shown,
            "reward": visitor.clicks(self._arrivals.rates[self._default_arm if shown == HOLDOUT else shown]),
            "bundle": decision["bundle"],
            "groups": {"age_band": visitor.age_band},
        }
        return [*events, {"id": f"{visitor.subject}-trial", "type": "trial", **head, "properties": trial}]
