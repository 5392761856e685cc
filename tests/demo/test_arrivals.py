"""The visitors are the same for the same seed, and drawn at the rates that are stated.

False failures of the statistical tests: below 1e-6 for each run (Hoeffding's inequality, shared between all rates that are compared).
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from pathlib import Path

import pytest

from tacit.core.errors import Problem
from tacit.demo import arrivals as module
from tacit.demo.arrivals import DEFAULT_DATA, PAGES_FILE, TESTS_FILE, Arrivals, arrive
from tacit.demo.run import declared

PEOPLE = 20_000
COMPARED = 30
"""More than the rates compared below."""
BOUND = math.sqrt(math.log(2 * COMPARED / 1e-6) / (2 * PEOPLE))

real_data = pytest.mark.skipif(
    not all((DEFAULT_DATA / name).is_file() for name in (PAGES_FILE, TESTS_FILE)),
    reason="the real data files are not beside the project (../shared/data)",
)


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "DEFAULT_DATA", tmp_path / "nothing")


@pytest.mark.usefixtures("without_data")
def test_one_seed_gives_the_same_people_always_and_another_seed_others() -> None:
    assert arrive(500, seed=7) == arrive(500, seed=7)
    assert arrive(500, seed=7).visitors != arrive(500, seed=8).visitors


@pytest.mark.usefixtures("without_data")
def test_the_simulator_says_that_it_simulates() -> None:
    found = arrive(10, seed=1)
    assert not found.real
    assert "Simulated" in found.source


@pytest.mark.usefixtures("without_data")
def test_simulated_visitors_are_drawn_at_the_stated_rates() -> None:
    found = arrive(PEOPLE, seed=secrets.randbits(32))
    people = found.visitors
    compared = {
        "gpc": (module.GPC_RATE, sum(v.gpc for v in people)),
        "measurement": (module.MEASUREMENT_RATE, sum(v.purposes["measurement"] for v in people)),
        "personalisation": (module.PERSONALISATION_RATE, sum(v.purposes["personalisation"] for v in people)),
        "fairness_audit": (module.FAIRNESS_RATE, sum(v.purposes["fairness_audit"] for v in people)),
        "one page": (module.SIMULATED_PAGES_STOP, sum(len(v.pages) == 1 for v in people)),
        "fault": (module.FAULT_RATE, sum(v.fault_luck < module.FAULT_RATE for v in people)),
    }
    for attribute, shares in (("device", module.DEVICES), ("daypart", module.DAYPARTS), ("age_band", module.AGE_BANDS)):
        counts = Counter(getattr(v, attribute) for v in people)
        compared |= {label: (share, counts[label]) for label, share in shares.items()}
    first = Counter(v.pages[0] for v in people)
    compared |= {f"page {name}": (share, first[name]) for name, share in module.SIMULATED_CATEGORIES.items()}
    compared |= {f"click {arm}": (rate, sum(v.clicks(rate) for v in people)) for arm, rate in found.rates.items()}
    assert len(compared) <= COMPARED
    off = {name: (stated, count / PEOPLE) for name, (stated, count) in compared.items() if abs(count / PEOPLE - stated) > BOUND}
    assert not off


def test_stated_shares_are_whole() -> None:
    for shares in (module.AGE_BANDS, module.DEVICES, module.DAYPARTS, module.SIMULATED_CATEGORIES):
        assert math.isclose(sum(shares.values()), 1.0)


@pytest.mark.usefixtures("without_data")
def test_windows_hold_everybody_once_and_in_order() -> None:
    found = arrive(1_003, seed=1)
    parts = found.in_windows(8)
    assert [v for part in parts for v in part] == list(found.visitors)
    assert {len(part) for part in parts} <= {125, 126}


@pytest.mark.usefixtures("without_data")
def test_the_fault_changes_only_what_its_group_is_shown() -> None:
    people = arrive(2_000, seed=3).visitors
    misshown = [v for v in people if v.shown("bold", fair=False) != "bold"]
    assert misshown
    assert {v.age_band for v in misshown} == {module.FAULT_GROUP}
    assert all(v.shown("bold", fair=True) == "bold" for v in people)


def test_a_named_folder_without_the_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="lacks"):
        arrive(10, seed=1, data=tmp_path)


def _fits_the_declaration(found: Arrivals) -> None:
    site = declared()
    assert set(found.rates) == set(site.policies["headline"].arms)
    pages = site.measure("pages")
    assert pages is not None
    assert {page for v in found.visitors for page in v.pages} <= set(pages.dimensions[0].values)


@pytest.mark.usefixtures("without_data")
def test_simulated_visitors_fit_the_declaration() -> None:
    _fits_the_declaration(arrive(1_000, seed=1))


@real_data
def test_real_visitors_fit_the_declaration_and_the_test_is_named() -> None:
    found = arrive(5_000, seed=1)
    assert found.real
    assert "Upworthy headline test" in found.source
    _fits_the_declaration(found)


@real_data
def test_real_arms_have_clear_differences_and_the_faulty_one_is_not_the_best() -> None:
    rates = arrive(10, seed=1).rates
    assert max(rates, key=lambda arm: rates[arm]) not in ("control", module.FAULT_ARM)
    assert max(rates.values()) > 1.5 * sum(rates.values()) / len(rates)


@real_data
def test_real_page_views_are_the_files_own() -> None:
    assert [v.pages for v in arrive(3, seed=1).visitors] == [
        ("frontpage", "frontpage"),
        ("tech", "news", "news", "local", "news", "news", "news", "tech", "tech"),
        ("frontpage",),
    ]
