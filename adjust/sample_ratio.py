"""Whether people are where they were sent: the observed shares of arms against the declared ones, the privacy noise counted.

A mismatch says that something between the decision and the count is broken (a client that forgets trials of one arm, a redirect, a bot
filter); every figure of the experiment is then in doubt. Learned weights change with every window, so their arms are not tested one by one:
the holdout's share never changes, and is tested always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ALARM = 0.001
"""p-value below which shares are said not to match, as is usual for this check (Fabijan and others 2019)."""


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """The check's outcome."""

    p: float | None
    """None where there are too few people beside the noise."""
    expected: Mapping[str, float]
    observed: Mapping[str, float]

    @property
    def matches(self) -> bool | None:
        """False: something is broken. None: cannot tell."""
        return None if self.p is None else self.p >= ALARM

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {"matches": self.matches, "p": self.p, "expected": dict(self.expected), "observed": dict(self.observed)}


def check(trials: Mapping[str, float], expected: Mapping[str, float], *, noise_sd: Mapping[str, float]) -> SampleRatio:
    """A chi-square test of trials by place against their expected shares, which sum to 1; `noise_sd` is that of each.

    The deviations d = trials - share · total have covariance total (diag(share) - share shareᵀ) + A diag(noise²) Aᵀ with A = 1 - share 1ᵀ.
    """
    from scipy.special import chdtrc

    names: Sequence[str] = list(expected)
    share = np.array([expected[name] for name in names])
    counts = np.array([trials[name] for name in names])
    total = float(counts.sum())
    observed = {name: float(count) / total if total > 0 else 0.0 for name, count in zip(names, counts, strict=True)}
    noise = np.array([noise_sd[name] for name in names])
    if total * float(share.min()) < max(5.0, 3 * float(noise.max())):
        return SampleRatio(None, dict(expected), observed)
    off = counts - share * total
    spread = np.eye(len(names)) - np.outer(share, np.ones(len(names)))
    covariance = total * (np.diag(share) - np.outer(share, share)) + spread @ np.diag(noise**2) @ spread.T
    statistic = float(off @ np.linalg.pinv(covariance, rcond=1e-10) @ off)
    return SampleRatio(float(chdtrc(len(names) - 1, statistic)), dict(expected), observed)
