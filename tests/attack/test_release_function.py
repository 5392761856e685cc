"""The release function on neighbouring inputs: the exact counts of a crowd with and without one person, bounded by the real code, given the
real noise a thousand times over.

Silence: all audits together call sound code unsound with probability below `FALSE_ALARMS` = 1e-6 a run.
Alarm: a planted fault of true loss rho' moves the best linear score by sqrt(2 rho') standard deviations. A cut in the middle tells the two
inputs apart with probability Phi(sqrt(rho' / 2)) on each side; `Auditor.silence` turns this into the chance that the audit misses it, and
each test of a fault asserts that this chance is below 1e-6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from privacy.accounting import FIRST_BLOCK, Plan, plan_with
from privacy.presence import PresenceBook
from tacit.core.declaration import Bounds, Measure
from tests.attack import faults
from tests.attack.auditor import Along, Answers, Auditor, Claim, Finding, Fisher, Floats
from tests.attack.frozen import Ints, Place, answers, attacks, before_noise, changed, counted, loss, matched, plan_of, released, terms
from tests.attack.people import MEASURES, NOTHING, PEOPLE, WINDOWS, Event, Staged, crowd, staged
from tests.privacy.world import WINDOW, count, shop, world

SOUND = 1_200
"""Releases of each input for a sound mechanism: enough to find half the noise with a chance above 0.9."""

FAULTY = 2_400
"""And for half the noise: missed with a chance below 1e-6."""

GROSS = 600
"""For faults that cost eight times what was charged, and more."""

WORST = "in every window"
"""The person who reaches every bound."""


@dataclass
class Inputs:
    """Exact vectors with each of the people and without, and releases of the input without, which all audits of a measure share."""

    book: PresenceBook
    exact: dict[str, dict[str, Ints]]
    drawn: dict[str, tuple[list[Place], np.ndarray]] = field(default_factory=dict)

    def present(self, person: str, measure: Measure, plan: Plan) -> Ints:
        return before_noise(plan, self.exact[person][measure.name])

    def absent(self, measure: Measure, plan: Plan) -> Ints:
        return before_noise(plan, self.exact[""][measure.name])

    def answers_without(self, measure: Measure, plan: Plan, places: Sequence[Place]) -> Answers:
        nobody = self.absent(measure, plan)
        if measure.name not in self.drawn:
            everywhere = sorted({p for person in PEOPLE for p in changed(measure, self.present(person, measure, plan), nobody)})
            self.drawn[measure.name] = everywhere, released(measure, plan, nobody, everywhere, SOUND)
        everywhere, numbers = self.drawn[measure.name]
        at = np.array([everywhere.index(p) for p in places])
        return Answers(numbers[:, at if measure.value is None else np.concatenate([at, at + len(everywhere)])])


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    book = world(tmp_path_factory.mktemp("frozen")).sanitiser.presence
    everybody = list(MEASURES.values())

    def exact(person: str) -> dict[str, Ints]:
        rows: Staged = [[] for _ in range(WINDOWS)]
        for measure in everybody:
            mine = PEOPLE[person](measure.bounds.windows) if person else []
            rows = [[*before, *more] for before, more in zip(rows, staged([measure], *crowd(), mine=mine), strict=True)]
        return counted(everybody, rows, book)

    return Inputs(book, {person: exact(person) for person in ("", *PEOPLE)})


def audit(auditor: Auditor, measure: Measure, plan: Plan, claim: Claim, pair: tuple[Ints, Ints], times: int) -> Finding:
    """Releases of both inputs, drawn now."""
    places = changed(measure, *pair)
    one, other = (answers(measure, plan, exact, places, times) for exact in pair)
    return auditor.paired(one, other, claim, attacks=attacks(measure, plan, *pair, places))


def require_alarm(auditor: Auditor, measure: Measure, plan: Plan, claim: Claim, pair: tuple[Ints, Ints], times: int = FAULTY) -> None:
    """That the auditor calls this unsound, and that it was certain to."""
    shift = math.sqrt(2 * loss(measure, plan, *pair))
    assert auditor.silence(shift, claim, answers=times) < 1e-6
    assert audit(auditor, measure, plan, claim, pair, times).refutes(claim)


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_audited_is_what_the_service_releases(inputs: Inputs, tmp_path: Path, name: str) -> None:
    """The whole sanitiser, once: the same mechanism, and numbers within eight standard deviations of those that noise is added to here
    (of 64 numbers, all of them but for a chance below 1e-12)."""
    measure, house = MEASURES[name], world(tmp_path)
    plan = plan_of(measure, terms(measure).charge)
    for number, rows in enumerate(staged([measure], *crowd(), mine=PEOPLE[WORST](measure.bounds.windows))):
        house.source.put(number * WINDOW, *rows)
    house.clock.now = WINDOWS * WINDOW
    house.close_due(shop(measure, epsilon="8"))
    exact = inputs.present(WORST, measure, plan)
    found = house.releases.since("shop", measure.id, -1)
    assert [(r.mechanism, r.rho_pico) for r in found] == [(plan.mechanism, plan.rho_pico)] * WINDOWS
    for release, row in zip(found, exact, strict=True):
        assert (abs(np.array(release.vector[: measure.cells]) - row[: measure.cells]) < 8 * plan.count_scale * plan.unit).all()
        if plan.mechanism.sum_scale is not None:
            sums = row[measure.cells :] + plan.centre * row[: measure.cells]
            assert (abs(np.array(release.vector[measure.cells :]) - sums) < 8 * plan.mechanism.sum_scale * plan.unit).all()
    house.intake.dispose()
    house.released.dispose()


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("name", MEASURES)
def test_no_attack_finds_more_about_a_person_than_was_charged(auditor: Auditor, inputs: Inputs, name: str, person: str) -> None:
    measure = MEASURES[name]
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    present, absent = inputs.present(person, measure, plan), inputs.absent(measure, plan)
    assert loss(measure, plan, present, absent) <= sold.claim.rho * (1 + 1e-12)
    places = changed(measure, present, absent)
    if (name, person) in NOTHING:
        assert not places
        return
    one, other = answers(measure, plan, present, places, SOUND), inputs.answers_without(measure, plan, places)
    found = auditor.paired(one, other, sold.claim, attacks=attacks(measure, plan, present, absent, places))
    assert not found.refutes(sold.claim), found


@pytest.mark.parametrize("name", MEASURES)
def test_somebody_costs_nearly_what_is_charged_and_half_the_noise_is_found_out(auditor: Auditor, inputs: Inputs, name: str) -> None:
    """The worst person costs at least 94 % of the charge, so under half the noise at least 3.7 times as much."""
    measure = MEASURES[name]
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    pair = inputs.present(WORST, measure, plan), inputs.absent(measure, plan)
    assert loss(measure, plan, *pair) > 0.94 * sold.claim.rho
    require_alarm(auditor, measure, faults.half_noise(plan), sold.claim, pair)


def test_at_the_default_promise_the_noise_is_enough_and_half_of_it_is_not(auditor: Auditor) -> None:
    """Epsilon 1, delta 1e-6: a count of one more or less, under noise of 4.5."""
    measure = count("pages", share="1", cells=1)
    sold = terms(measure, epsilon="1")
    plan, pair = plan_of(measure, sold.charge), (np.array([[8]]), np.array([[7]]))
    assert loss(measure, plan, *pair) == pytest.approx(sold.claim.rho)
    assert not audit(auditor, measure, plan, sold.claim, pair, 20_000).refutes(sold.claim)
    require_alarm(auditor, measure, faults.half_noise(plan), sold.claim, pair, 45_000)


def test_whoever_comes_where_one_block_ends_and_a_longer_one_begins_costs_no_more(auditor: Auditor, tmp_path: Path) -> None:
    """Prefix sums, three windows a person, in all ways in which they may lie about the border of the first two blocks."""
    measure = count("pages", share="1", cells=1, bounds=Bounds(windows=3), over_time="prefix", block=64)
    sold, house = terms(measure), world(tmp_path)
    house.clock.now = (FIRST_BLOCK + 2) * WINDOW
    house.close_due(shop(measure, epsilon="8"))
    releases = house.releases.since("shop", measure.id, -1)
    lengths, plans = [], []
    for release in (releases[0], releases[FIRST_BLOCK]):
        assert release.row is not None
        plan = plan_with(measure, sold.charge.rho_pico, release.row.strategy)
        assert plan is not None
        assert (plan.mechanism, release.row.position) == (release.mechanism, 0)
        lengths.append(release.row.strategy.length)
        plans.append(plan)
    assert lengths == [FIRST_BLOCK, 2 * FIRST_BLOCK]

    def rows(*windows: int) -> list[Ints]:
        stream = np.zeros((3 * FIRST_BLOCK, 1), dtype=np.int64)
        stream[list(windows)] = 1
        return [before_noise(plan, part) for plan, part in zip(plans, (stream[:FIRST_BLOCK], stream[FIRST_BLOCK:]), strict=True)]

    nobody = rows()
    costs = {}
    for windows in itertools.combinations((0, 1, 2, 8, 13, 14, 15, 16, 17, 18, 30), 3):
        costs[windows] = sum(loss(measure, plan, one, no) for plan, one, no in zip(plans, rows(*windows), nobody, strict=True))
    assert max(costs.values()) <= sold.claim.rho
    worst = max((windows for windows in costs if windows[0] < FIRST_BLOCK <= windows[2]), key=lambda windows: costs[windows])
    assert costs[worst] > 0.6 * sold.claim.rho
    parts = [(changed(measure, one, no), one, no, plan) for plan, one, no in zip(plans, rows(*worst), nobody, strict=True)]
    with_me, without = (
        Answers(np.hstack([released(measure, plan, pair[side], places, SOUND) for places, *pair, plan in parts])) for side in (0, 1)
    )
    known = np.concatenate([matched(measure, plan, one, no, places) for places, one, no, plan in parts])
    found = auditor.paired(with_me, without, sold.claim, attacks=[Fisher(), Along(known)])
    assert not found.refutes(sold.claim), (worst, found)


@pytest.mark.parametrize("shares", ["0.2", "1"])
def test_five_measures_together_cost_what_their_shares_say_and_are_found_out_with_a_whole_budget_each(
    auditor: Auditor, inputs: Inputs, shares: str
) -> None:
    """One person in five measures at once, under one claim for the site. With a whole budget each the loss is five times the promise."""
    claim = terms(MEASURES["count"]).claim
    answered: list[list[Answers]] = [[], []]
    known: list[Floats] = []
    cost = 0.0
    for name in ("count", "sum", "people", "steps", "sliding"):
        measure = replace(MEASURES[name], share=Decimal(shares))
        plan = plan_of(measure, terms(measure).charge)
        present, absent = inputs.present(WORST, measure, plan), inputs.absent(measure, plan)
        places = changed(measure, present, absent)
        for answers_, exact in zip(answered, (present, absent), strict=True):
            answers_.append(answers(measure, plan, exact, places, SOUND))
        known.append(matched(measure, plan, present, absent, places))
        cost += loss(measure, plan, present, absent)
    one, other = (Answers(np.hstack([a.numbers for a in parts])) for parts in answered)
    found = auditor.paired(one, other, claim, attacks=[Fisher(), Along(np.concatenate(known))])
    unsound = shares == "1"
    assert (cost > claim.rho) == unsound
    assert found.refutes(claim) == unsound
    if unsound:
        assert auditor.silence(math.sqrt(2 * cost), claim, answers=SOUND) < 1e-6


@pytest.mark.parametrize("name", ["count", "sum", "prefix", "sliding"])
def test_people_without_caps_are_found_out(auditor: Auditor, inputs: Inputs, name: str) -> None:
    measure, uncapped = MEASURES[name], faults.without_caps(MEASURES[name])
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    mine = PEOPLE["fills one cell"](1)
    pair = tuple(before_noise(plan, _one(uncapped, inputs.book, mine=m)) for m in (mine, []))
    require_alarm(auditor, measure, plan, sold.claim, pair, GROSS)


def test_values_taken_as_they_come_are_found_out(auditor: Auditor, inputs: Inputs) -> None:
    measure, unclipped = MEASURES["sum"], faults.without_clipping(MEASURES["sum"])
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    mine = [Event(0, 0, 1, 600)]
    pair = tuple(_one(unclipped, inputs.book, mine=m) for m in (mine, []))
    require_alarm(auditor, measure, plan, sold.claim, pair, GROSS)


def test_one_windows_budget_for_ten_is_found_out(auditor: Auditor, inputs: Inputs) -> None:
    measure = MEASURES["count"]
    ten = faults.in_windows(measure, 10)
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    mine = [Event(window, message % 2, 10 * window + message) for window in range(10) for message in range(6)]
    pair = tuple(counted([ten], staged([ten], mine=m, windows=10), inputs.book, in_epoch=10)[ten.name] for m in (mine, []))
    require_alarm(auditor, measure, plan, sold.claim, pair, GROSS)


def test_a_person_with_two_pseudonyms_in_an_epoch_is_found_out(auditor: Auditor, inputs: Inputs) -> None:
    """As if the keys had changed in mid-epoch: the second pseudonym is a new person to the bounding."""
    measure = MEASURES["count"]
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    mine = PEOPLE["fills several cells"](1)
    again = [(3, event) for event in mine]
    present, absent = (counted([measure], staged([measure], *more, mine=m), inputs.book)["count"] for m, more in ((mine, again), ([], [])))
    require_alarm(auditor, measure, plan, sold.claim, (present, absent))


def test_order_by_row_position_is_found_out(auditor: Auditor, inputs: Inputs) -> None:
    """My few rows move everybody's behind them, and so which of theirs are kept."""
    measure = MEASURES["count"]
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    mine = [Event(window, 0, window) for window in range(8)]
    rows = (faults.by_position(staged([measure], *crowd(), mine=m)) for m in (mine, []))
    present, absent = (counted([measure], some, inputs.book)["count"] for some in rows)
    require_alarm(auditor, measure, plan, sold.claim, (present, absent), GROSS)


@pytest.mark.parametrize("name", ["prefix-thrice", "sliding-thrice"])
def test_strategy_rows_with_the_noise_of_single_counts_are_found_out(auditor: Auditor, inputs: Inputs, name: str) -> None:
    measure = MEASURES[name]
    sold, plan = terms(measure), plan_of(measure, terms(measure).charge)
    pair = inputs.present(WORST, measure, plan), inputs.absent(measure, plan)
    require_alarm(auditor, measure, faults.without_the_norm(plan, measure), sold.claim, pair)


def test_the_same_noise_in_all_windows_is_found_out(auditor: Auditor) -> None:
    """The difference of two windows has no noise left. 400 releases: missed with probability below 1e-100."""
    measure = count("pages", share="1", cells=1, bounds=Bounds())
    sold = terms(measure, epsilon="1")
    plan = plan_of(measure, sold.charge)
    exact = np.array([[8], [7], [7]]), np.array([[7], [7], [7]])
    present, absent = (faults.one_draw_for_all_windows(measure, plan, e, 0, 400) for e in exact)
    found = auditor.paired(present, absent, sold.claim, attacks=[Fisher(), Along(np.array([1.0, 0, 0]), "the window alone")])
    assert found.refutes(sold.claim)
    assert found.attack == "learnt direction"


def _one(measure: Measure, book: PresenceBook, *, mine: list[Event]) -> Ints:
    return counted([measure], staged([measure], mine=mine), book)[measure.name]
