"""False findings, coverage and detection of `tacit scan --tables` over simulated services, beside a naive z-test and a plug-in flag."""

from __future__ import annotations

import io
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import services
from benchmarks.result import Result
from benchmarks.services import GROUPS, LIMIT, MECHANISMS, RATE, SHARES

EACH, PEOPLE, EPSILONS = 2_000, (1_000, 10_000, 100_000), (0.25, 1.0, 4.0)
GENERATOR = np.random.default_rng()
NAIVE = 500
"""Tables of each entry that the naive test sees."""

POWER = (
    ("discrete_laplace", 1_000, 0.18),
    ("discrete_gaussian", 1_000, 0.14),
    ("discrete_laplace", 10_000, 0.98),
    ("discrete_gaussian", 10_000, 0.98),
)


def run() -> Iterator[Result]:
    """The auditor's lines."""
    for mechanism in MECHANISMS:
        for epsilon in EPSILONS if mechanism != "none" else (math.inf,):
            for people in PEOPLE:
                yield from _entry(mechanism, epsilon, people)
    for mechanism, people, goal in POWER:
        found = _flags(scanned(list(services.tables(GENERATOR, mechanism, 1.0, people, 0.05, EACH))))
        yield Result(f"a 5-point difference found, {mechanism}, eps 1, {people:,}", f"{found:.3f}", f">= {goal}", found >= goal)
    yield from _seconds()


def scanned(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the command answers, one object a table."""
    import typer

    from tacit.cli import app

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "tables.ndjson"
        services.written(path, lines)
        answered = io.StringIO()
        with redirect_stdout(answered):
            try:
                typer.main.get_command(app)(["scan", "--tables", str(path)], standalone_mode=False)
            except SystemExit as left:
                if left.code not in (0, 3):
                    raise
    return [json.loads(line) for line in answered.getvalue().splitlines()]


def _entry(mechanism: str, epsilon: float, people: int) -> Iterator[Result]:
    lines = list(services.tables(GENERATOR, mechanism, epsilon, people, 0.0, EACH))
    answers = scanned(lines)
    unfair = scanned(list(services.tables(GENERATOR, mechanism, epsilon, people, 0.1, EACH // 4)))
    at = f"{mechanism}, eps {epsilon:g}, {people:,}"
    assessed = np.mean([[g["interval"] is not None for g in a["groups"]] for a in answers], axis=0)
    share = ", ".join(f"{100 * part:.0f}" for part in assessed)
    fair, covered = _flags(answers), _coverage(unfair)
    few = assessed.max() < 0.9  # the size rule leaves too few tables to speak of a rate
    yield Result(
        f"false findings, {at}",
        f"{100 * fair:.1f} % (z {100 * _naive(lines):.0f}, plug-in {100 * _plug_in(lines):.0f})",
        "3-7 %",
        None if few else 0.03 <= fair <= 0.07,
    )
    yield Result(
        f"  intervals that cover; groups assessed {share} %", f"{100 * covered:.1f} %", ">= 94 %", None if few else covered >= 0.94
    )


def _flags(answers: Sequence[dict[str, Any]]) -> float:
    return float(np.mean([any(g["p"] is not None and g["p"] < 0.05 for g in a["groups"]) for a in answers]))


def _coverage(answers: Sequence[dict[str, Any]]) -> float:
    rates = np.array([RATE, RATE + 0.1, RATE, RATE])
    shares = np.array(SHARES)
    true = [rates[g] - (shares @ rates - shares[g] * rates[g]) / (1 - shares[g]) for g in range(len(GROUPS))]
    held = [g["interval"][0] <= true[at] <= g["interval"][1] for a in answers for at, g in enumerate(a["groups"]) if g["interval"]]
    return float(np.mean(held)) if held else math.nan


def _counts(line: dict[str, Any]) -> Any:
    return np.maximum(np.array([c["value"] for c in line["cells"]]).reshape(2, -1), 0.0)


def _naive(lines: Sequence[dict[str, Any]]) -> float:
    """The same tests and Holm's correction, the counts taken for exact."""
    exact = [line | {"mechanism": {"name": "none"}} for line in lines[:NAIVE]]
    return _flags(scanned(exact))


def _plug_in(lines: Sequence[dict[str, Any]]) -> float:
    """How often the difference that fairlearn calls demographic parity is above the limit. Checked with fairlearn on the first tables."""
    from fairlearn.metrics import demographic_parity_difference

    flags = []
    for at, line in enumerate(lines):
        hits, misses = _counts(line)
        people = hits + misses
        present = people > 0
        gap = float(np.ptp(hits[present] / people[present]))
        if at < 3:
            cells = np.tile(np.arange(len(GROUPS))[present], 2)
            chosen = np.repeat([1, 0], present.sum())
            weights = np.concatenate([hits[present], misses[present]])
            theirs = demographic_parity_difference(chosen, chosen, sensitive_features=cells, sample_weight=weights)
            if abs(theirs - gap) > 1e-9:
                raise AssertionError("the plug-in is not fairlearn's")
        flags.append(gap > LIMIT)
    return float(np.mean(flags))


def _seconds() -> Iterator[Result]:
    """2,000 tables through the command, and one policy's inference beside fairlearn's MetricFrame on the rows it stands for."""
    lines = list(services.tables(GENERATOR, "discrete_laplace", 1.0, 1_000, 0.0, EACH))
    began = time.perf_counter()
    scanned(lines)
    took = time.perf_counter() - began
    yield Result("2,000 tables of 4 groups through the command", f"{took:.1f} s", "<= 20 s", took <= 20)
    ours, theirs = _one_policy()
    yield Result("one policy's inference and point metrics, processor time", f"{1000 * ours:.0f} ms", "< 50 ms", ours < 0.05)
    yield Result("fairlearn's MetricFrame on a million rows, the same", f"{theirs:.1f} s, {theirs / ours:.0f} x")


def _one_policy() -> tuple[float, float]:
    """Seconds of processor time, so that other work on the machine does not count."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    from audit.inference import NoisyTable, infer
    from audit.metrics import point_metrics
    from tacit.core.configuration import parse

    site = parse(_SITE).sites["bench"]
    measure = site.measures[-1]
    counts = GENERATOR.multinomial(1_000_000, np.full(measure.cells, 1 / measure.cells)).astype(float)
    table = NoisyTable(measure, tuple(counts.tolist()), 9.0, 1)
    took = []
    for _ in range(7):
        began = time.process_time()
        infer(table, LIMIT)
        point_metrics(table)
        took.append(time.process_time() - began)
    groups = GENERATOR.integers(0, 8, 1_000_000)
    shown, rewarded = GENERATOR.integers(0, 2, (2, 1_000_000))
    metrics = {"selected": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate}
    began = time.process_time()
    MetricFrame(metrics=metrics, y_true=rewarded, y_pred=shown, sensitive_features=groups)
    return statistics.median(took), time.process_time() - began


_SITE = """
sites:
  bench:
    privacy: {epsilon: 1, delta: 1.0e-6}
    policies:
      p:
        zone: z
        arms: {control: {scale: 1.0}, larger: {scale: 1.1}, largest: {scale: 1.2}}
        reward: {event: click}
        share: 0.5
    audits:
      a: {policy: p, groups: {age: [a, b, c, d, e, f, g, h]}, share: 0.5}
"""

if __name__ == "__main__":
    for result in run():
        print(result.what, "|", result.measured, "|", result.goal, "|", result.met, file=sys.stdout, flush=True)
