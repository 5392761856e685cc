"""A machine that lets two sanitisers on the same databases meet everything that may happen to them.

The databases, the ledger, the releases, the presence, the blocks and the evidence log are the real ones; events come from memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from ingest.secrets import FOLDER
from privacy import tables
from privacy.errors import EpochEnded
from privacy.models import Window
from privacy.releases import FAILED, FINISHED
from privacy.service import Sanitiser
from tacit.core.db import reading
from tacit.core.declaration import Site
from tests.privacy.declared import ALL, CELLS, CROWD, EPOCHS, PEOPLE, SETS, START, site_of
from tests.privacy.homes import Home
from tests.privacy.interruptions import BLOCK_STEPS, STEPS, Killed, dying_in, met_in
from tests.privacy.promises import Seen, Vaults, check, check_secrets, check_sums
from tests.privacy.witness import Staged, Truth, process_in
from tests.privacy.world import WINDOW, FixedClock

CRASHES = [*STEPS, *BLOCK_STEPS, ("releases", "fail"), ("evidence", "append"), ("releases", "of_window")]
MEETINGS = [step for step in CRASHES if step[0] != "evidence"]  # in the middle of a transaction nobody else can act

NUMBER = st.integers(0, 1)
VISITS = st.tuples(
    st.integers(0, PEOPLE - 1), st.integers(0, len(ALL) - 1), st.integers(0, CELLS - 1), st.integers(0, 12), st.integers(-9, 9)
)
"""Who, the number of the measure, the cell, the value and the order."""


class Closing(RuleBasedStateMachine):
    """Windows are filled, closed, interrupted and repaired. `home` is given by a subclass."""

    home: ClassVar[Home]

    def __init__(self) -> None:
        super().__init__()
        self.home.empty()
        self.clock = FixedClock(START)
        self.staged = Staged(self.clock, first_ms=START)
        self.truth, self.seen = Truth(), Seen()
        site = site_of(SETS[0], "200", EPOCHS[0])
        self.processes = [process_in(self.home, number, self.staged, self.truth, site) for number in range(2)]
        self.messages = 0
        self.changed = False
        self.sound = True

    # What people and operators do.

    @rule(
        visits=st.lists(VISITS, min_size=1, max_size=6),
        late=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def people_come(self, visits: list[tuple[int, int, int, int, int]], late: int) -> None:
        """`late` is how many windows ago; what comes to a window that was published must change nothing."""
        at = max(START, self.staged.open_ms - late * WINDOW)
        for person, measure, cell, value, h in visits:
            self.messages += 1
            chosen = list(ALL.values())[measure]
            last = 0 if chosen.keys else value  # of an undeclared key it is a part
            self.staged.put(at, *[(person * CROWD + n, h, self.messages, chosen.id, cell, last) for n in range(CROWD)])

    @rule(windows=st.sampled_from([0.5, 1, 1, 1, 1, 2, 2, 6, -3]))
    def time_goes_on(self, windows: float) -> None:
        """Also over whole epochs at once, and back."""
        self.clock.now = max(START, self.clock.now + int(windows * WINDOW))

    @rule(number=NUMBER, measures=st.integers(0, len(SETS) - 1), epsilon=st.sampled_from(["200", "150"]), epoch=st.sampled_from(EPOCHS))
    def declaration_changes(self, number: int, measures: int, epsilon: str, epoch: int) -> None:
        """In one process, as in a rolling restart: the other one may still work with its own."""
        self.processes[number].site = site_of(SETS[measures], epsilon, epoch)

    @rule(person=st.integers(0, PEOPLE - 1), late=st.integers(0, 2))
    def somebody_withdraws(self, person: int, late: int) -> None:
        """Just when the window has been counted."""
        self.staged.withdrawing[max(START, self.staged.open_ms - late * WINDOW)] = person

    @rule()
    def secrets_are_lost(self) -> None:
        for path in self._secret_files():
            path.unlink()

    @rule(late=st.integers(0, 2))
    def staging_breaks(self, late: int) -> None:
        self.staged.broken.add(max(START, self.staged.open_ms - late * WINDOW))

    # What sanitisers do.

    @rule(number=NUMBER)
    def what_is_due_is_closed(self, number: int) -> None:
        self._close_due(number)

    @rule(number=NUMBER, at=st.sampled_from(CRASHES), after=st.booleans())
    def a_sanitiser_dies(self, number: int, at: tuple[str, str], after: bool) -> None:
        process = self.processes[number]
        target = self._next(number)
        if target is not None:
            self._close(dying_in(process.sanitiser, *at, after=after), process.site, target)

    @rule(number=NUMBER, at=st.sampled_from(MEETINGS), death=st.none() | st.sampled_from(CRASHES))
    def two_sanitisers_meet(self, number: int, at: tuple[str, str], death: tuple[str, str] | None) -> None:
        """One closes a window, the other one everything that is due, in the middle of it; then the first may die as well."""
        process = self.processes[number]
        target = self._next(number)
        if target is not None:
            mortal = process.sanitiser if death is None else dying_in(process.sanitiser, *death, after=True)
            self._close(met_in(mortal, *at, lambda: self._close_due(1 - number)), process.site, target, met=True)

    @precondition(lambda self: self.staged.broken)
    @rule(number=NUMBER, at=st.none() | st.just(("presence", "record")) | st.sampled_from(MEETINGS))
    def staging_is_repaired(self, number: int, at: tuple[str, str] | None) -> None:
        """And what failed is closed again; the other process may close what is due in the middle of it."""
        self.staged.broken.clear()
        process = self.processes[number]
        for window in self._failed():
            met = met_in(process.sanitiser, *at, lambda: self._close_due(1 - number)) if at else process.sanitiser
            self._close(met, process.site, window, met=True)

    def _next(self, number: int) -> Window | None:
        due = self.processes[number].sanitiser.due("shop")
        return due[0] if due else next(iter(self._failed()), None)

    def _close_due(self, number: int) -> None:
        process = self.processes[number]
        for window in process.sanitiser.due("shop"):
            self._close(process.sanitiser, process.site, window)

    def _close(self, sanitiser: Sanitiser, site: Site, window: Window, *, met: bool = False) -> None:
        """Close a window; that it is too late for its epoch is an answer only for a repair, or where somebody else ended it meanwhile."""
        self.changed, self.sound = True, False
        late = met or window in self._failed()
        try:
            sanitiser.close(site, window)
        except EpochEnded:
            assert late
        except Killed:
            pass
        self.sound = True

    def _failed(self) -> list[Window]:
        with reading(self.home.engines[0][1]) as connection:
            found = connection.execute(select(tables.closings).where(tables.closings.c.state == FAILED)).all()
        return [Window(r.site, r.window_ms, r.window_end_ms, r.epoch_ms) for r in found]

    def _secret_files(self) -> list[Path]:
        folder = self.home.custody / "shop" / FOLDER
        return sorted(folder.iterdir()) if folder.is_dir() else []

    # What must hold at any time.

    @invariant()
    def promises_are_kept(self) -> None:
        if self.changed:
            self.changed = self.sound = False
            check(Vaults.read(self.home), self.seen, self.truth)
            self.sound = True

    def teardown(self) -> None:
        """Everything is repaired and closed until all epochs are over; then nothing is left of anybody, and the sums are the truth."""
        if not self.sound:
            return  # what was found already is what should be reported
        self.staged.broken.clear()
        self.staged.withdrawing.clear()
        self.clock.now = (max(self.clock.now, self.staged.open_ms) // max(EPOCHS) + 1) * max(EPOCHS)
        self._close_due(0)
        vaults = Vaults.read(self.home)
        check(vaults, self.seen, self.truth)
        assert all(c.state in (FINISHED, FAILED) for c in vaults.closings)
        assert self.processes[1].sanitiser.due("shop") == []
        assert vaults.presence == []
        assert all(e.ended_ms is not None and e.destroyed_ms is not None for e in vaults.epochs)
        assert self.processes[0].evidence.verify() is None
        check_secrets([path.name for path in self._secret_files()], vaults.releases, self.processes[0].site.measures, self.clock.now)
        check_sums(vaults.releases, self.truth)
