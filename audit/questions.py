"""What a scan asks of one noisy table: which groups, of whom, in which statistic. No judgement is made here.

Levels share the scan's error rate (`audit.judging`): single groups in exposure and reward are the first; intersections, strata and
what single groups experience are further ones.
Odds stand apart: they follow from exposure and reward, so no verdict waits for them. The cell `other` of a group dimension is nobody's
group and compared with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from audit.differences import Level
from audit.pairs import Floats, Tallies
from tacit.core.declaration import HOLDOUT, OTHER, Dimension, Measure

EXPOSURE, REWARD, REWARD_OF_ARM = "exposure", "reward", "reward_of_arm"
"""Share of a group that was shown an arm; share that gave the reward; the same among those who were shown one arm."""

REWARDED, UNREWARDED = "exposure_of_rewarded", "exposure_of_unrewarded"
"""Share shown an arm among those who gave the reward (equal opportunity), and among those who did not (with it: equalised odds)."""

OFFERED, INTENSITY = "offered", "intensity"
"""Share of a group whose arm has a parameter; mean of a numeric parameter, from 0 for its smallest declared value to 1 for its largest."""


@dataclass(frozen=True, slots=True)
class Comparing:
    """What an audit declares beyond its groups."""

    intersections: tuple[tuple[str, ...], ...] = ()
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Each arm's parameters, the first arm being the default one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One statistic of all named groups."""

    level: Level
    names: tuple[str, ...]
    """The group dimensions."""
    labels: tuple[tuple[str, ...], ...]
    """For each group its value in each of them."""
    statistic: str
    groups: Tallies
    rest: Tallies
    same: tuple[Any, ...]
    """Equal for questions that are the same or mirror images of each other."""
    arm: str | None = None
    parameter: str | None = None
    stratum: tuple[str, str] | None = None
    span: tuple[float, float] | None = None
    """Smallest and largest declared value of the parameter whose mean is asked for."""
    dispersion: float = 1.0
    randomised: tuple[float, float] = (1.0, 0.0)
    """Probabilities that a person is reported under the own and under any one other group."""

    @property
    def dimension(self) -> str:
        """The dimension's name, or those of an intersection."""
        return " x ".join(self.names)


@dataclass(frozen=True, slots=True)
class Rows:
    """Counts of the named groups by arm and reward, (groups, arms, 2), and the noise variance of each cell."""

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    counts: Floats
    variance: float
    outside: float
    """Everybody whose group is unknown."""
    outside_variance: float
    stratum: tuple[str, str] | None = None


def rows_of(
    measure: Measure, values: Sequence[float], variance: float, names: tuple[str, ...], stratum: tuple[str, str] | None = None
) -> Rows:
    """The table summed over everything that is not asked for."""
    *dimensions, arms, rewards = measure.dimensions
    table = np.asarray(values, dtype=np.float64).reshape([d.size for d in measure.dimensions])
    if rewards.labels != ("0", "1"):
        raise AssertionError("an audit's last dimension is the reward")
    for at, dimension in reversed(list(enumerate(dimensions))):
        if stratum is not None and dimension.name == stratum[0]:
            table = np.take(table, [dimension.labels.index(stratum[1])], axis=at)
    summed = tuple(at for at, d in enumerate(dimensions) if d.name not in names)
    cells = int(np.prod([table.shape[at] for at in summed], dtype=int))
    here = [d for d in dimensions if d.name in names]
    margin = table.sum(axis=summed).reshape(-1, arms.size, 2)
    labels = _crossed(here)
    named = np.array([OTHER not in label for label in labels])
    outside = margin[~named]
    noise = variance * cells
    chosen = tuple(label for label in labels if OTHER not in label)
    return Rows(tuple(d.name for d in here), chosen, margin[named], noise, float(outside.sum()), noise * outside.size, stratum)


def _crossed(dimensions: Sequence[Dimension]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for dimension in dimensions:
        found = [(*before, label) for before in found for label in dimension.labels]
    return found


class Asking:
    """Puts the questions to one set of rows."""

    def __init__(self, rows: Rows, arms: Sequence[str], level: Level) -> None:
        self._rows, self._arms, self._level = rows, tuple(arms), level

    def treatment(self) -> Iterator[Asked]:
        """Exposure of each arm, reward overall, reward of each arm. What the holdout does with its content is not the policy's doing."""
        counts, count = self._rows.counts, len(self._arms)
        if count > 1:
            for at, arm in enumerate(self._arms):
                yield self._shown(EXPOSURE, counts.sum(axis=2), frozenset([at]), per=2, arm=arm)
        yield self._asked(REWARD, counts[:, :, 1].sum(1), counts[:, :, 0].sum(1), count, count, (REWARD,))
        for at, arm in enumerate(self._arms):
            if arm != HOLDOUT and count > 1:
                yield self._asked(REWARD_OF_ARM, counts[:, at, 1], counts[:, at, 0], 1, 1, (REWARD_OF_ARM, arm), arm=arm)

    def odds(self) -> Iterator[tuple[Asked, Asked]]:
        """For each arm its exposure among those who gave the reward and among those who did not."""
        if len(self._arms) < 2:
            return
        for at, arm in enumerate(self._arms):
            if arm != HOLDOUT:
                rewarded, unrewarded = (
                    self._shown(statistic, self._rows.counts[:, :, bin_], frozenset([at]), per=1, arm=arm)
                    for statistic, bin_ in ((REWARDED, 1), (UNREWARDED, 0))
                )
                yield rewarded, unrewarded

    def experience(self, parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[Asked]:
        """What people were shown, by the arms' declared parameters; the holdout sees the default arm's content."""
        default = next(iter(parameters.values()), {})
        declared = [parameters.get(arm, default if arm == HOLDOUT else {}) for arm in self._arms]
        people = self._rows.counts.sum(axis=2)
        for name in dict.fromkeys(name for one in declared for name in one):
            given = [one.get(name) for one in declared]
            if name == "offer" or all(value is None or isinstance(value, bool) for value in given):
                having = frozenset(at for at, value in enumerate(given) if value)
                if 0 < len(having) < len(given):
                    yield self._shown(OFFERED, people, having, per=2, parameter=name)
            elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
                numbers = [float(value) for value in given if value is not None]
                if len(set(numbers)) > 1:
                    yield self._mean(people, np.array(numbers), name)

    def _shown(
        self, statistic: str, people: Floats, having: frozenset[int], *, per: int, arm: str | None = None, parameter: str | None = None
    ) -> Asked:
        """The share of people (groups, arms), of `per` cells each, who were shown one of these arms."""
        inside = np.array([at in having for at in range(len(self._arms))])
        parts = sorted([sorted(having), sorted(set(range(len(self._arms))) - having)])
        kind = statistic if statistic in (REWARDED, UNREWARDED) else EXPOSURE
        return self._asked(
            statistic,
            people[:, inside].sum(1),
            people[:, ~inside].sum(1),
            per * int(inside.sum()),
            per * int((~inside).sum()),
            (kind, str(parts)),
            arm=arm,
            parameter=parameter,
        )

    def _mean(self, people: Floats, numbers: Floats, parameter: str) -> Asked:
        low, high = float(numbers.min()), float(numbers.max())
        span = (low, high)
        unit = (numbers - low) / (high - low)
        if set(unit.tolist()) == {0.0, 1.0}:
            having = frozenset(np.flatnonzero(unit).tolist())
            asked = self._shown(INTENSITY, people, having, per=2, parameter=parameter)
            return replace(asked, span=span)
        noise = 2 * self._rows.variance
        groups = Tallies.of(
            people @ unit,
            people @ (1 - unit),
            noise * float(unit @ unit),
            noise * float((1 - unit) @ (1 - unit)),
            noise * float(unit @ (1 - unit)),
        )
        shares = np.maximum(people.sum(0), 0.0)
        shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(unit), 1 / len(unit))
        mean = float(shares @ unit)
        spread = float(shares @ (unit - mean) ** 2)
        dispersion = spread / (mean * (1 - mean)) if 0 < mean < 1 else 1.0
        asked = self._of(INTENSITY, groups, (INTENSITY, parameter), None, parameter)
        return replace(asked, span=span, dispersion=dispersion)

    def _asked(
        self,
        statistic: str,
        hits: Floats,
        misses: Floats,
        hit_cells: int,
        miss_cells: int,
        same: tuple[Any, ...],
        *,
        arm: str | None = None,
        parameter: str | None = None,
    ) -> Asked:
        noise = self._rows.variance
        return self._of(statistic, Tallies.of(hits, misses, noise * hit_cells, noise * miss_cells), same, arm, parameter)

    def _of(self, statistic: str, groups: Tallies, same: tuple[Any, ...], arm: str | None, parameter: str | None) -> Asked:
        rows = self._rows
        return Asked(
            self._level,
            rows.names,
            rows.labels,
            statistic,
            groups,
            groups.rest(),
            (rows.names, rows.stratum, *same),
            arm=arm,
            parameter=parameter,
            stratum=rows.stratum,
        )
