"""A worker that finds a rights request overdue raises one alert a day, and moves proofs and destructions into the evidence log."""

from __future__ import annotations

from sqlalchemy import select

from audit.log import Log
from audit.tables import alerts
from consent.rights_models import Kind, Level, RightsRequest, Verification
from tacit import wiring
from tacit.core import configuration
from tacit.core.db import connect, reading
from tacit.worker import Worker
from tests.conftest import House
from tests.ingest.world import DAY, FixedClock

SITE = "newsroom"


def test_an_overdue_request_is_told_once_a_day_and_proofs_go_into_evidence(house: House) -> None:
    clock = FixedClock()
    services = wiring.sanitiser(house.settings, configuration.load(house.settings.config), clock=clock)
    released = connect(house.settings.released_location)

    def told() -> list[str]:
        with reading(released) as connection:
            return [row.detail for row in connection.execute(select(alerts)) if row.kind == "rights.overdue"]

    services.rights.ask(SITE, RightsRequest(Kind.ACCESS, "ada"))
    services.rights.ask(SITE, RightsRequest(Kind.EXPORT, "ada", verification=Verification(Level.LOW, "login")))
    services.rotation.rotate(SITE, destroy_after_days=365)
    worker = Worker(services)
    worker._rights(services.declaration.sites[SITE], None)  # type: ignore[arg-type]
    assert told() == []
    clock.at_ms += 366 * DAY
    for _ in range(3):
        worker._rights(services.declaration.sites[SITE], None)  # type: ignore[arg-type]
        clock.at_ms += 60_000
    assert len(told()) == 1
    assert "access" in told()[0]
    clock.at_ms += DAY
    Worker(services)._rights(services.declaration.sites[SITE], None)  # type: ignore[arg-type]
    assert len(told()) == 2
    for _ in range(2):
        worker._consent_evidence()
    kinds = [entry.kind for entry in Log(released, clock).list()[0]]
    assert sorted(kinds) == ["rights.finished", "subject_key.destroyed"]
    released.dispose()
