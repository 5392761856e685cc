from __future__ import annotations

import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from privacy.accounting import rho_of
from privacy.budget import BudgetView
from privacy.errors import EpochEnded, EpochMismatch
from privacy.ledger import Charge, Ledger
from privacy.tables import charges, spends
from tacit.core.db import connect, reading, released_metadata
from tacit.core.declaration import Bounds
from tests.privacy.world import EPOCH, WINDOW, FixedClock, World, count, shop, window

RHO = rho_of(Decimal(1), Decimal("1e-6"))


def spent(engine: Engine, epoch_ms: int = 0) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(func.coalesce(func.sum(spends.c.rho_pico), 0)).where(spends.c.epoch_ms == epoch_ms)) or 0)


def charge_at_once(engine: Engine) -> None:
    """Twelve configurations that are each allowed alone charge two windows at once, from eight threads."""
    sites = [shop(count(f"m{i}", share="0.3"), count("common", share="0.2")) for i in range(12)]
    ledger = Ledger(engine, FixedClock())
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(ledger.charge, site, window(at), site.measures) for site in sites for at in (0, WINDOW)]
        admitted = [job.result() for job in jobs]
    assert 0 < spent(engine) <= RHO
    common = sites[0].measures[1].id
    assert all(common in one for one in admitted), "the common measure came first or found its reservation"
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(charges).where(charges.c.measure_id == common)) == 2
    assert BudgetView(engine).epochs("shop")[0].spent_pico == spent(engine)


def test_concurrent_charges_never_exceed_the_epoch(house: World) -> None:
    house.ledger.charge(shop(count("common", share="0.2")), window(0), [count("common", share="0.2")])
    charge_at_once(house.released)


def test_concurrent_charges_never_exceed_the_epoch_on_postgres(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a container without XDG_RUNTIME_DIR makes the server's package warn at import
        from tests import postgres
    with postgres.server() as url:
        engine = connect(postgres.empty_database(url, "ledger"))
        released_metadata.create_all(engine)
        Ledger(engine, FixedClock()).charge(shop(), window(0), [count("common", share="0.2")])
        charge_at_once(engine)
        engine.dispose()


def test_a_charge_that_stands_is_answered_again(house: World) -> None:
    site = shop(count(share="0.5", bounds=Bounds(windows=2)))
    first = house.ledger.charge(site, window(0), site.measures)
    assert house.ledger.charge(site, window(0), site.measures) == first
    assert first == {site.measures[0].id: Charge(int(RHO * Decimal("0.5")) // 2)}
    assert spent(house.released) == int(RHO * Decimal("0.5"))


def test_every_window_of_an_epoch_shares_one_reservation(house: World) -> None:
    site = shop(count(share="1"))
    for start in range(0, EPOCH, WINDOW):
        assert len(house.ledger.charge(site, window(start), site.measures)) == 1
    assert spent(house.released) == RHO


_FRESH = itertools.count(1)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["0.1", "0.35", "0.7", "1"]), st.sampled_from(["0.5", "1", "3"])), min_size=1, max_size=6),
)
def test_no_change_of_configuration_exceeds_the_promise(house: World, changes: list[tuple[str, str]]) -> None:
    epoch_ms = next(_FRESH) * EPOCH  # the examples share one database, and an epoch's promise is made once
    promised = 0
    for share, epsilon in changes:
        site = shop(count(share=share), epsilon=epsilon)
        house.ledger.charge(site, window(epoch_ms), site.measures)
        promised = promised or rho_of(Decimal(epsilon), Decimal("1e-6"))
        assert spent(house.released, epoch_ms) <= promised


def test_a_smaller_epsilon_rules_what_is_admitted_from_then_on(house: World) -> None:
    house.ledger.charge(shop(epsilon="1"), window(0), [])
    smaller = shop(count(share="1"), epsilon="0.5")
    assert house.ledger.charge(smaller, window(0), smaller.measures)
    assert spent(house.released) == rho_of(Decimal("0.5"), Decimal("1e-6"))


def test_a_refusal_names_the_measure_and_spends_nothing(house: World) -> None:
    house.ledger.charge(shop(), window(0), [count("a", share="0.8")])
    assert house.ledger.charge(shop(), window(0), [count("b", share="0.3")]) == {}
    assert house.ledger.charge(shop(), window(EPOCH), [count("b", share="0.3")]), "the next epoch has room"
    _, first = BudgetView(house.released).epochs("shop")
    assert [(r.measure, r.reason) for r in first.refusals] == [("b", "budget_exhausted")]
    assert [s.measure for s in first.spends] == ["a"]
    assert first.to_json()["epsilon"]["promised"] == 1.0


def test_an_epoch_of_another_length_may_not_overlap_a_promise(house: World) -> None:
    house.ledger.open_epoch(shop(), 0)
    longer, shorter = shop(epoch_ms=2 * EPOCH), shop(epoch_ms=EPOCH // 2)
    for site in (longer, shorter):
        with pytest.raises(EpochMismatch):
            house.ledger.open_epoch(site, 0)
    with pytest.raises(EpochMismatch):
        house.ledger.open_epoch(shorter, EPOCH // 2)
    assert house.ledger.open_epoch(longer, 2 * EPOCH).end_ms == 4 * EPOCH


def test_an_ended_epoch_admits_nothing(house: World) -> None:
    house.ledger.open_epoch(shop(), 0)
    house.ledger.end_epoch("shop", 0)
    with pytest.raises(EpochEnded):
        house.ledger.charge(shop(), window(0), [count()])
