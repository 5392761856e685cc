"""Blocks of correlated noise: from which secret state a window's row continues, and when a state is destroyed.

A state is kept before its row is published and named by that row, so that a crash at any point leaves the published row and its state
together, or neither. A state that is lost, a block that is full and noise that no longer fits the budget are followed by a new block.
The invariant: no two published rows come from one state (the vault's unique index sees to it), so a person is in no row that was not
paid for.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privacy import accounting
from privacy.accounting import Plan
from privacy.errors import Overtaken
from privacy.models import NoisyCount, Release, Row
from privacy.ports import Published, SecretStore
from privacy.strategy import Strategy, inverse
from privacy.stream import State, advance
from tacit.core.declaration import Measure
from tacit.core.errors import StorageUnavailable
from tacit.core.evidence import Entry
from tacit.core.ids import new_id

_PREFIX = "block-"


@dataclass(frozen=True, slots=True)
class Step:
    """One window's place in a block, and its row before noise."""

    plan: Plan
    exact: npt.NDArray[np.int64]
    strategy: Strategy
    block: str
    position: int
    state: str

    def row(self, vector: Sequence[NoisyCount], before: Sequence[bytes]) -> Row:
        """What is published of the place: with the window's own estimates, from this noisy row and the block's earlier ones."""
        rows = np.frombuffer(b"".join(before), dtype="<i8").reshape(len(before), len(vector))
        weights = np.array(inverse(self.strategy)[: len(before) + 1]) / self.strategy.unit
        estimate = weights[0] * np.array(vector, dtype=np.float64) + weights[:0:-1] @ rows
        return Row(self.strategy, self.block, self.position, tuple(estimate.tolist()), self.state)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Running blocks of all measures."""

    store: SecretStore
    releases: Published

    def step(self, measure: Measure, plan: Plan, exact: npt.NDArray[np.int64], *, now_ms: int) -> Step:
        """The window's row, from the newest published state or a new block's; the state after it is kept.

        Raises `StorageUnavailable`, and `Overtaken` where another process went on from that state meanwhile.
        """
        running = self._running(measure, plan)
        if running is not None:
            plan, place, state = running
            strategy, block, position = place.strategy, place.block, place.position + 1
        else:
            plan, strategy = self._begun(measure, plan)
            block, position, state = new_id("blk", now_ms=now_ms), 0, State.empty(strategy, measure.length)
        row, after = advance(strategy, state, exact)
        token = ""
        if position + 1 < strategy.length:
            token = secrets.token_hex(8)
            self._keep(measure, _name(measure.id, block, position, token), after)
        return Step(plan, row, strategy, block, position, token)

    def _keep(self, measure: Measure, name: str, state: State) -> None:
        before = self.releases.last_row(measure.site, measure.id)
        try:
            self.store.keep(measure.site, name, state.packed())
        except StorageUnavailable:
            if self.releases.last_row(measure.site, measure.id) == before:
                raise
            raise Overtaken() from None  # another process published meanwhile, and destroyed this state as one that leads nowhere

    def clean(self, site: str, measures: Collection[int]) -> None:
        """Destroy every state that no next row will continue from. Safe to repeat, and at any time."""
        for name in self.store.secrets(site, _PREFIX):
            measure_id, block, position, token = _parts(name)
            last = self.releases.last_row(site, measure_id) if measure_id in measures else None
            newest = last.row if last else None
            pending = measure_id in measures and (newest is None or (block == newest.block and position > newest.position))
            if not (pending or (newest is not None and newest.state == token)):
                self.store.destroy_secrets(site, name)

    def ended(self, releases: Sequence[Release]) -> list[Entry]:
        """Evidence of the blocks that these releases of one window ended: the full ones, and those that a new one replaces."""
        found = []
        for release in releases:
            if release.row is None:
                continue
            before = self.releases.row_before(release) if release.row.position == 0 else None
            if before is not None and before.state:  # a full one was entered when it ended
                found.append(_destroyed(release, before.block, reason="replaced"))
            if not release.row.state:
                found.append(_destroyed(release, release.row.block, reason="full"))
        return found

    def _begun(self, measure: Measure, plan: Plan) -> tuple[Plan, Strategy]:
        """The noise of a new block: as long as declared, or of prefix sums over unknown times twice as long as the last that was filled."""
        length = measure.block
        if measure.over_time == "prefix" and not measure.whole:
            last = self.releases.last_row(measure.site, measure.id)
            row = last.row if last else None
            length = min(accounting.FIRST_BLOCK if row is None else row.strategy.length * (1 if row.state else 2), measure.block)
        strategy = accounting.strategy_of(measure, length)
        begun = accounting.plan_with(measure, plan.rho_pico, strategy)
        if begun is None or strategy is None:
            raise AssertionError("independent noise has no blocks")
        return begun, strategy

    def _running(self, measure: Measure, plan: Plan) -> tuple[Plan, Row, State] | None:
        """The block that goes on, if its state is there and its noise is what the budget asks for now."""
        last = self.releases.last_row(measure.site, measure.id)
        if last is None or last.row is None or not last.row.state:
            return None
        same = accounting.plan_with(measure, plan.rho_pico, last.row.strategy)
        if same is None or same.mechanism != last.mechanism:
            return None
        content = self.store.secret(measure.site, _name(measure.id, last.row.block, last.row.position, last.row.state))
        if content is None and self.releases.last_row(measure.site, measure.id) != last:
            raise Overtaken()  # it is not lost: another process has gone on from it
        state = State.unpacked(content) if content is not None else None
        if state is None or not state.fits(last.row.strategy, measure.length):
            return None
        return same, last.row, state


def _name(measure_id: int, block: str, position: int, token: str) -> str:
    return f"{_PREFIX}{measure_id}-{block}-{position}-{token}"


def _parts(name: str) -> tuple[int, str, int, str]:
    measure_id, block, position, token = name.removeprefix(_PREFIX).split("-")
    return int(measure_id), block, int(position), token


def _destroyed(release: Release, block: str, *, reason: str) -> Entry:
    body = {"scope": "block", "block": block, "measure": release.measure.name, "end": release.window.end_ms, "reason": reason}
    return Entry("key.destroyed", release.site, body)
