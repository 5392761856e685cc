"""The gate admits a current grant and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from consent.gate import Decision, Outcome, Reason, decide
from consent.tables import consent_state
from tacit.core.db import connect, writing
from tacit.core.declaration import PURPOSES
from tacit.core.errors import StorageUnavailable
from tests.consent.support import CANARY, SITE, START_MS, Room, asking


@pytest.mark.parametrize(
    ("state", "gpc", "outcome", "reason"),
    [
        (None, False, "deny", Reason.NO_CONSENT),
        (None, True, "deny", Reason.NO_CONSENT),
        (("refused", None), False, "deny", Reason.REFUSED),
        (("refused", None), True, "deny", Reason.GPC),
        (("withdrawn", None), False, "deny", Reason.WITHDRAWN),
        (("withdrawn", None), True, "deny", Reason.WITHDRAWN),
        (("granted", 999), False, "deny", Reason.EXPIRED),
        (("granted", 1000), False, "deny", Reason.EXPIRED),
        (("granted", 1001), False, "allow", Reason.GRANTED),
        (("granted", None), False, "allow", Reason.GRANTED),
        (("granted", 1001), True, "deny", Reason.GPC),
        (("requested", None), False, "gap", Reason.UNKNOWN_STATE),
        (("GRANTED", None), False, "gap", Reason.UNKNOWN_STATE),
        (("", None), True, "gap", Reason.UNKNOWN_STATE),
    ],
)
def test_each_state_has_its_outcome_and_reason(state: tuple[str, int | None] | None, gpc: bool, outcome: str, reason: Reason) -> None:
    assert decide(state, gpc=gpc, now_ms=1000) == Decision(Outcome(outcome), reason)


@pytest.mark.parametrize("state", [None, ("granted", None), ("granted", 0), ("refused", None), ("withdrawn", None), ("other", None)])
def test_gpc_never_admits_what_would_be_refused_without_it(state: tuple[str, int | None] | None) -> None:
    with_signal = decide(state, gpc=True, now_ms=1000)
    assert with_signal.outcome is not Outcome.ALLOW


def test_nobody_is_admitted_by_default(here: Room) -> None:
    for purpose in PURPOSES:
        assert here.gate.check(SITE, "user", CANARY, purpose) == Decision(Outcome.DENY, Reason.NO_CONSENT)


def test_a_grant_admits_its_own_purpose_site_and_id_type_alone(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    assert here.gate.check(SITE, "user", CANARY, "measurement").outcome is Outcome.ALLOW
    assert here.gate.check(SITE, "user", CANARY, "personalisation").reason == Reason.NO_CONSENT
    assert here.gate.check("other", "user", CANARY, "measurement").reason == Reason.NO_CONSENT
    assert here.gate.check(SITE, "email", CANARY, "measurement").reason == Reason.NO_CONSENT


def test_a_grant_lapses_at_its_expiry(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    here.clock.at_ms = START_MS + 180 * 86_400_000 - 1
    assert here.gate.check(SITE, "user", CANARY, "measurement").outcome is Outcome.ALLOW
    here.clock.at_ms += 1
    assert here.gate.check(SITE, "user", CANARY, "measurement").reason == Reason.EXPIRED


def test_a_state_nobody_knows_is_a_gap_and_not_an_admission(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    with writing(here.engine) as connection:
        connection.execute(update(consent_state).values(state="legacy"))
    assert here.gate.check(SITE, "user", CANARY, "measurement") == Decision(Outcome.GAP, Reason.UNKNOWN_STATE)


def test_a_withdrawal_is_seen_by_a_gate_that_looked_before(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    with ThreadPoolExecutor(1) as other_thread:

        def look() -> Decision:
            return other_thread.submit(here.gate.check, SITE, "user", CANARY, "measurement").result()

        assert look().outcome is Outcome.ALLOW
        here.service.withdraw(SITE, "user", CANARY)
        assert look().reason == Reason.WITHDRAWN


@pytest.mark.parametrize("people", [0, 1, 2, 3, 50, 1000, 1001, 2300])
def test_one_look_answers_for_a_whole_batch(here: Room, people: int) -> None:
    pseudonyms = [here.subjects.pseudonym(SITE, "user", f"u{n}") for n in range(people)]
    for n in range(0, min(people, 3)):
        here.service.record(SITE, asking(f"u{n}", measurement=True, personalisation=False))
    found = here.gate.states(SITE, pseudonyms)
    expires = START_MS + 180 * 86_400_000
    assert found == {p: {"measurement": ("granted", expires), "personalisation": ("refused", None)} for p in pseudonyms[:3]}


def test_a_store_that_cannot_be_read_admits_nobody(here: Room, tmp_path: object) -> None:
    pseudonym = here.subjects.pseudonym(SITE, "user", CANARY)
    broken = connect("sqlite:///:memory:")
    gate = type(here.gate)(broken, here.subjects, here.clock)
    with pytest.raises(StorageUnavailable) as problem:
        gate.states(SITE, [pseudonym])
    assert CANARY not in problem.value.diagnostics()
    gate.close()
    broken.dispose()
