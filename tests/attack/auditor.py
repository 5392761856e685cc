"""The auditor: lower bounds on what a mechanism tells about one person, from its answers alone.

Two ways. `Auditor.paired` calls a mechanism many times on two neighbouring inputs, learns attacks on one part of the answers and measures
them on the rest, with one-sided Clopper-Pearson bounds. `Auditor.one_run` looks at a single release in which many canaries were present
or absent by independent fair coins (Steinke, Nasr and Jagielski 2023).
The invariant: where a mechanism keeps its claim, all findings of one auditor together exceed it with probability at most `FALSE_ALARMS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

FALSE_ALARMS = 1e-6
"""The chance that anything sound is called unsound in one run of all audits."""

AUDITS = 250
"""How many audits may share it."""

LEARNING = 0.25
"""The part of the answers that attacks are learnt on. They are measured on the others."""

ORDERS = np.concatenate([1 + np.geomspace(1e-3, 1e3, 49)])
"""Rényi orders at which zCDP is tested."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is promised: (epsilon, delta)-privacy and, unless infinite, rho-zCDP up to a chance of `uncertain` (approximate zCDP)."""

    epsilon: float
    delta: float = 0.0
    rho: float = math.inf
    uncertain: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is certain about a mechanism: its true epsilon (at the claim's delta) and its true rho are at least these."""

    epsilon: float
    rho: float
    attack: str

    def refutes(self, claim: Claim) -> bool:
        """Whether the claim is false."""
        return self.epsilon > claim.epsilon or self.rho > claim.rho


@dataclass(frozen=True, slots=True)
class Answers:
    """A mechanism's answers to one input: numbers (n, d), and a code for everything else that is seen (sizes, keys, order), (n,)."""

    numbers: Floats
    codes: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, which: slice) -> Answers:
        """Some of the answers."""
        return Answers(self.numbers[which], None if self.codes is None else self.codes[which])


Score = Callable[[Answers], Floats]
"""Higher where the person seems to be present."""


class Attack(Protocol):
    """Learns a score from answers with and without the person."""

    @property
    def name(self) -> str: ...
    def learn(self, present: Answers, absent: Answers) -> Score: ...


@dataclass(frozen=True, slots=True)
class Fisher:
    """Fisher's linear discriminant; a direction without any noise gets nearly all the weight."""

    name: str = "learnt direction"

    def learn(self, present: Answers, absent: Answers) -> Score:
        between = present.numbers.mean(0) - absent.numbers.mean(0)
        within = sum(np.atleast_2d(np.cov(a.numbers, rowvar=False)) for a in (present, absent)) / 2
        ridge = 1e-6 * float(np.trace(within)) / len(between) + 1e-9
        direction = np.linalg.solve(within + ridge * np.eye(len(between)), between)
        return lambda answers: np.asarray(answers.numbers @ direction, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Along:
    """A direction known beforehand: for Gaussian noise the most powerful test looks along the change divided by the variance."""

    direction: Floats
    name: str = "known direction"

    def learn(self, present: Answers, absent: Answers) -> Score:
        return lambda answers: np.asarray(answers.numbers @ self.direction, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Shapes:
    """How much more often something other than the numbers (a size, an order, a set of keys) was seen with the person than without."""

    name: str = "shape"

    def learn(self, present: Answers, absent: Answers) -> Score:
        counts: list[dict[int, int]] = []
        for answers in (present, absent):
            codes, times = np.unique(_codes(answers), return_counts=True)
            counts.append(dict(zip(codes.tolist(), times.tolist(), strict=True)))
        known = {c: math.log((counts[0].get(c, 0) + 0.5) / (counts[1].get(c, 0) + 0.5)) for c in {*counts[0], *counts[1]}}
        return lambda answers: np.array([known.get(c, 0.0) for c in _codes(answers).tolist()])


class Auditor:
    """Makes audits, each with its part of the false alarms that all of them may give together."""

    def __init__(self, *, false_alarms: float = FALSE_ALARMS, audits: int = AUDITS) -> None:
        self._alpha, self._left = false_alarms / audits, audits

    def paired(self, present: Answers, absent: Answers, claim: Claim, *, attacks: Sequence[Attack] = (Fisher(),)) -> Finding:
        """The best of the attacks. Each is tried from both sides, with the threshold that is best for epsilon and the one best for rho.

        Every bound holds with the audit's part of the false alarms divided by their number (Bonferroni), so all hold together.
        """
        alpha = self._next() / (2 * 4 * len(attacks))
        halves = [(a.part(slice(0, cut := int(LEARNING * len(a)))), a.part(slice(cut, None))) for a in (present, absent)]
        (learn_present, test_present), (learn_absent, test_absent) = halves
        best = Finding(0.0, 0.0, "none")
        for attack in attacks:
            score = attack.learn(learn_present, learn_absent)
            for rule in _rules(score(learn_present), score(learn_absent), (len(test_present), len(test_absent)), claim, alpha):
                found = rule.measure(score(test_present), score(test_absent), claim, alpha)
                best = Finding(max(best.epsilon, found[0]), max(best.rho, found[1]), _better(best, found, attack.name, claim))
        return best

    def one_run(self, included: npt.NDArray[np.bool_], scores: Floats, claim: Claim, *, guesses: int) -> Finding:
        """Guesses `included` for the highest scores and not for the lowest, half of `guesses` each, and abstains on the rest."""
        if not 0 < guesses <= len(scores):
            raise ValueError("as many guesses as canaries at most")
        order = np.argsort(scores, kind="stable")
        low, high = order[: guesses // 2], order[len(order) - (guesses - guesses // 2) :]
        correct = int(included[high].sum() + (~included[low]).sum())
        epsilon = one_run_epsilon(len(scores), guesses, correct, delta=claim.delta, alpha=self._next())
        return Finding(epsilon, 0.0, f"{correct} of {guesses} guesses")

    def silence(self, shift: float, claim: Claim, *, answers: int, attacks: int = 2) -> float:
        """The chance, at most, that `paired` misses a Gaussian change of so many standard deviations: the power of the audit, worked out.

        For a cut in the middle, which is the best one where rho is tested and which the learnt threshold comes near.
        """
        alpha, tested = self._alpha / (2 * 4 * attacks), answers - int(LEARNING * answers)
        right = np.arange(tested + 1)
        _, rho = losses(at_least(right, tested, alpha), at_most(tested - right, tested, alpha), claim)
        enough = int(np.argmax(rho > claim.rho)) if (rho > claim.rho).any() else tested + 1
        return 2 * float(stats.binom.cdf(enough - 1, tested, stats.norm.cdf(shift / 2)))

    def _next(self) -> float:
        if not self._left:
            raise RuntimeError("more audits than share the false alarms: raise AUDITS")
        self._left -= 1
        return self._alpha


def one_run_p_value(canaries: int, guesses: int, correct: int, *, epsilon: float, delta: float) -> float:
    """The chance of so many correct guesses under (epsilon, delta)-privacy, at most: theorem 5.2 of Steinke, Nasr and Jagielski (2023).

    beta + 2 m delta · max_i P[v - i <= W < v] / i, with W binomial over the guesses with success 1 / (1 + exp(-epsilon)) and
    beta = P[W >= v]. Abstaining costs nothing, so only the guesses count, but all canaries may lose by delta.
    """
    success = 1 / (1 + math.exp(-epsilon))
    beta = float(stats.binom.sf(correct - 1, guesses, success))
    if delta == 0 or correct == 0:
        return min(1.0, beta)
    below = stats.binom.pmf(np.arange(correct - 1, -1, -1), guesses, success)
    worst = float((np.cumsum(below) / np.arange(1, correct + 1)).max())
    return min(1.0, beta + 2 * canaries * delta * worst)


def one_run_epsilon(canaries: int, guesses: int, correct: int, *, delta: float, alpha: float) -> float:
    """The largest epsilon that these guesses rule out at level alpha; 0 where they rule out none."""
    low, high = 0.0, 1.0
    if one_run_p_value(canaries, guesses, correct, epsilon=0.0, delta=delta) > alpha:
        return 0.0
    while one_run_p_value(canaries, guesses, correct, epsilon=high, delta=delta) <= alpha:
        low, high = high, 2 * high
    while high - low > 1e-6:
        middle = (low + high) / 2
        if one_run_p_value(canaries, guesses, correct, epsilon=middle, delta=delta) <= alpha:
            low = middle
        else:
            high = middle
    return low


def at_least(successes: Any, trials: int, alpha: float) -> Floats:
    """Lower Clopper-Pearson bound on a probability, one-sided."""
    k = np.asarray(successes, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        found = stats.beta.ppf(alpha, k, trials - k + 1)
    return np.where(k <= 0, 0.0, found)


def at_most(successes: Any, trials: int, alpha: float) -> Floats:
    """Upper Clopper-Pearson bound on a probability, one-sided."""
    k = np.asarray(successes, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        found = stats.beta.isf(alpha, k + 1, trials - k)
    return np.where(k >= trials, 1.0, found)


def losses(more: Any, less: Any, claim: Claim) -> tuple[Floats, Floats]:
    """The least epsilon and rho with which an event of probability `more` on one input can have probability `less` on its neighbour.

    epsilon = ln((p - delta) / q). For rho the event as a coin must be within alpha·rho in Rényi divergence of every order alpha
    (data processing), so rho is at least the largest quotient; where zCDP is approximate, p - u and q / (1 - u) are compared.
    """
    p, q = np.asarray(more, dtype=np.float64), np.asarray(less, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        epsilon = np.where(p > claim.delta, np.log(np.maximum(p - claim.delta, 1e-300) / np.maximum(q, 1e-300)), 0.0)
    p = np.clip(p - claim.uncertain, 1e-300, 1 - 1e-12)[..., None]
    q = np.clip(q / (1 - claim.uncertain), 1e-300, 1 - 1e-12)[..., None]
    divergence = np.logaddexp(ORDERS * np.log(p) + (1 - ORDERS) * np.log(q), ORDERS * np.log1p(-p) + (1 - ORDERS) * np.log1p(-q)) / (
        ORDERS - 1
    )
    rho = np.where(p[..., 0] > q[..., 0], (divergence / ORDERS).max(-1), 0.0)
    return np.maximum(epsilon, 0.0), np.maximum(rho, 0.0)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Says `present` where the score is at least the threshold, or the other way round; `flipped` looks for the person's absence."""

    threshold: float
    flipped: bool

    def measure(self, present: Floats, absent: Floats, claim: Claim, alpha: float) -> tuple[float, float]:
        here, there = (present >= self.threshold), (absent >= self.threshold)
        if self.flipped:
            here, there = ~there, ~here
        more, less = at_least(here.sum(), len(here), alpha), at_most(there.sum(), len(there), alpha)
        epsilon, rho = losses(more, less, claim)
        return float(epsilon), float(rho)


def _rules(present: Floats, absent: Floats, sizes: tuple[int, int], claim: Claim, alpha: float) -> list[_Rule]:
    """For each side, the thresholds that promise most at the size of the test, for epsilon and for rho."""
    values = np.unique(np.concatenate([present, absent]))
    thresholds = values[np.unique(np.linspace(0, len(values) - 1, 200).astype(int))]
    above = [_part_above(part, thresholds) for part in (present, absent)]
    found = []
    for flipped in (False, True):
        here, there = (1 - above[1], 1 - above[0]) if flipped else (above[0], above[1])
        n, m = sizes[::-1] if flipped else sizes
        more, less = at_least(np.floor(here * n), n, alpha), at_most(np.ceil(there * m), m, alpha)
        for promised in losses(more, less, claim):
            found.append(_Rule(float(thresholds[int(promised.argmax())]), flipped))
    return found


def _part_above(scores: Floats, thresholds: Floats) -> Floats:
    """Smoothed, so that what few answers never showed is not taken for impossible."""
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    found: Floats = (len(scores) - below + 0.5) / (len(scores) + 1)
    return found


def _better(best: Finding, found: tuple[float, float], attack: str, claim: Claim) -> str:
    """The attack that comes nearest to refuting the claim, or goes farthest beyond it."""

    def reach(epsilon: float, rho: float) -> float:
        return max(epsilon / claim.epsilon, 0.0 if math.isinf(claim.rho) else rho / claim.rho)

    return attack if reach(*found) > reach(best.epsilon, best.rho) else best.attack


def _codes(answers: Answers) -> npt.NDArray[np.int64]:
    if answers.codes is None:
        raise ValueError("these answers have nothing but numbers")
    return answers.codes
