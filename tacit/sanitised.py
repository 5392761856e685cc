"""A sanitiser in memory for simulations: the product's own plans, blocks and noise, without events, ledger or database.

Only supposed people go through it. The whole budget is one measure's, and everybody contributes once, in one window.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from privacy import accounting
from privacy.blocks import Blocks
from privacy.bounding import Bounded
from privacy.ledger import Charge
from privacy.making import Making
from privacy.models import Mechanism, Release, Row, Window, noisy, packed
from tacit.core.declaration import Dimension, Kind, Measure

HOUR_MS = 3_600_000


def measure_of(runs: int, cells: int, arms: int, *, planned: int | None = None) -> Measure:
    """What counts `runs` policies of one shape beside each other; nobody is in two of them, so their noise is that of one policy.

    `planned` is the declared number of windows, if one is.
    """

    def numbered(name: str, size: int) -> Dimension:
        return Dimension(name, tuple(map(str, range(size))), closed=True)

    dimensions = (numbered("run", runs), numbered("cell", cells), numbered("arm", arms), numbered("reward", 2))
    one = Measure("simulation", "policy.simulated", Kind.POLICY, "trial", "personalisation", dimensions, Decimal(1), over_time="prefix")
    return one if planned is None else replace(one, block=planned, whole=True)


@dataclass
class _Memory:
    """Rows and states of one measure."""

    published: list[Release] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)

    def publish(self, made: Release) -> None:
        self.published.append(made)
        self.vectors.append(packed(made.vector))
        kept = made.row.state if made.row else ""
        self.states = {name: state for name, state in self.states.items() if kept and name.endswith(kept)}

    def last_row(self, site: str, measure_id: int) -> Release | None:  # noqa: ARG002 - there is one measure
        return next((r for r in reversed(self.published) if r.row is not None), None)

    def rows(self, block: str, *, before: int) -> list[bytes]:
        found = [(r.row, v) for r, v in zip(self.published, self.vectors, strict=True) if r.row is not None]
        return [vector for row, vector in found if row.block == block and row.position < before]

    def row_before(self, release: Release) -> Row | None:
        at = self.published.index(release)
        return self.published[at - 1].row if at else None

    def keep(self, site: str, name: str, content: bytes) -> None:  # noqa: ARG002 - there is one site
        self.states[name] = content

    def secret(self, site: str, name: str) -> bytes | None:  # noqa: ARG002 - there is one site
        return self.states.get(name)

    def destroy_secrets(self, site: str, prefix: str) -> int:  # noqa: ARG002 - there is one site
        gone = [name for name in self.states if name.startswith(prefix)]
        for name in gone:
            del self.states[name]
        return len(gone)

    def secrets(self, site: str, prefix: str) -> list[str]:  # noqa: ARG002 - there is one site
        return sorted(name for name in self.states if name.startswith(prefix))


@dataclass
class Sanitised:
    """Makes releases with the noise that (epsilon, delta) asks for."""

    measure: Measure
    epsilon: Decimal
    delta: Decimal
    _memory: _Memory = field(default_factory=_Memory)

    def __call__(self, exact: npt.NDArray[np.int64], /) -> Release:
        """The release of the next window."""
        start = len(self._memory.published) * HOUR_MS
        window = Window(self.measure.site, start, start + HOUR_MS, 0)
        making = Making(window, start + HOUR_MS, Blocks(self._memory, self._memory))
        charge = Charge(accounting.rho_of(self.epsilon, self.delta))
        made = making.release(self.measure, Bounded({self.measure.id: exact}, {}, {}), charge, {})
        self._memory.publish(made)
        return made


@dataclass
class Exact:
    """Counts as they are, in the shape of releases: what the same learner would do without privacy."""

    measure: Measure
    _windows: int = 0

    def __call__(self, exact: npt.NDArray[np.int64], /) -> Release:
        """The counts of the next window, with noise of scale 0."""
        start = self._windows * HOUR_MS
        self._windows += 1
        window = Window(self.measure.site, start, start + HOUR_MS, 0)
        vector = noisy(exact.tolist())
        return Release(f"exact_{start}", self.measure.site, self.measure, window, Mechanism(scale=0.0), 0, vector, start)
