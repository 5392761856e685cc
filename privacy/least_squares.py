"""Reads the strategy rows themselves: independent noise of known variance, which is what learners and tests should fit.

A rate mu of rewards per exposure makes the rewards of window j about mu n_j, hence a row about mu a_t with a_t = sum_j c_(t-j) n_j.
Weighted least squares over rows gives mu = sum a_t y_t / sum a_t², with noise variance sigma² / sum a_t²: less noise than any reading of
prefix sums, from the same releases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import toeplitz

from privacy.models import Release
from privacy.strategy import coefficients

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one block, or of all windows with independent noise.

    `values` is (rows, numbers), counted in contributions. `weights` is (rows, windows): how much of each window is in a row; None where
    each row is a window. `starts` is (windows,): when each of these windows starts. `scale` is the standard deviation of the noise of a
    count in a row.
    """

    values: Floats
    weights: Floats | None
    starts: tuple[int | None, ...]
    scale: Floats
    """(rows,)"""

    def weigh(self, exposures: Floats) -> Floats:
        """(windows, …) to (rows, …): what rows hold of something that was there in each window."""
        return exposures if self.weights is None else np.tensordot(self.weights, exposures, axes=1)


def rows(releases: Iterable[Release]) -> list[Rows]:
    """The rows of these releases, block by block, each with all windows of the block up to the last one given.

    A window whose release is not among them has the start None: something must be assumed about it, since later rows hold part of it.
    """
    blocks: dict[str | None, list[Release]] = {}
    for release in releases:
        blocks.setdefault(release.row.block if release.row else None, []).append(release)
    return [_alone(found) if block is None else _block(found) for block, found in blocks.items()]


def rate(several: Iterable[Rows], exposures: Iterable[Floats], cell: int) -> tuple[float, float]:
    """A rate per exposure from one cell's rows, and its noise's standard deviation. `exposures` are (windows,) for each of `several`.

    Where there are no exposures at all the standard deviation is infinite.
    """
    top = bottom = 0.0
    for one, exposed in zip(several, exposures, strict=True):
        expected = one.weigh(exposed)
        precision = 1 / one.scale**2
        top += float((precision * expected * one.values[:, cell]).sum())
        bottom += float((precision * expected**2).sum())
    return (top / bottom, bottom**-0.5) if bottom > 0 else (0.0, float("inf"))


def _alone(releases: list[Release]) -> Rows:
    values = np.array([r.vector for r in releases], dtype=np.float64)
    scale = np.array([r.mechanism.scale for r in releases])
    return Rows(values, None, tuple(r.window.start_ms for r in releases), scale)


def _block(releases: list[Release]) -> Rows:
    placed = {r.row.position: r for r in releases if r.row is not None}
    strategy = next(r.row.strategy for r in releases if r.row is not None)
    length = max(placed) + 1
    every = np.tril(toeplitz(np.array(coefficients(strategy)[:length])))
    here = sorted(placed)
    values = np.array([placed[at].vector for at in here], dtype=np.float64) / strategy.unit
    starts = tuple(placed[at].window.start_ms if at in placed else None for at in range(length))
    return Rows(values, every[here], starts, np.array([placed[at].mechanism.scale for at in here]))
