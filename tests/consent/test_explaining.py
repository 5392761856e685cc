"""An explanation is the gate's own decision taken apart, and a simulation is what would be recorded. Neither leaves a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from consent.errors import UnknownPurpose
from consent.explaining import decision_of, inputs_of
from consent.gate import Outcome, Reason, decide
from consent.hearing import hear
from consent.models import Cause, Signals, Standing, State
from consent.notice_tables import served_notices
from consent.notices import Text
from consent.rules import OPT_OUT_REGIME, PRESUMED_NECESSARY, SiteRules
from consent.tables import consent_records, consent_state, idempotency
from tacit.core.db import reading
from tacit.core.declaration import FAIRNESS_AUDIT, PURPOSES
from tests.consent.support import CANARY, NOTICE, SITE, START_MS, Room, asking, room, states_of, tcf
from tests.consent.test_signals_in_requests import answers, request, signals

SAID = [*State, *Cause, "requested", "", "GRANTED", "opt_out_regime", "bias_detection"]
standings = (
    st.none()
    | st.sampled_from([OPT_OUT_REGIME, PRESUMED_NECESSARY])
    | st.tuples(st.sampled_from([str(said) for said in SAID]), st.none() | st.integers(0, 2000))
)


@given(standings, st.booleans(), st.sampled_from(PURPOSES))
def test_an_explanation_comes_to_what_the_gate_decides(standing: Standing | None, gpc: bool, purpose: str) -> None:
    if standing == PRESUMED_NECESSARY and purpose != FAIRNESS_AUDIT:
        return
    inputs = inputs_of(purpose, standing, hear(Signals(gpc=gpc), id_type="user", now_ms=1000), now_ms=1000)
    assert decision_of(standing, inputs, now_ms=1000) == decide(standing, gpc=gpc, now_ms=1000)


@given(standings, signals, st.sampled_from(PURPOSES))
def test_signals_never_turn_a_refusal_into_an_admission(standing: Standing | None, heard: Signals, purpose: str) -> None:
    def outcome(said: Signals) -> Outcome:
        inputs = inputs_of(purpose, standing, hear(said, id_type="user", now_ms=1000), now_ms=1000)
        return decision_of(standing, inputs, now_ms=1000).outcome

    if outcome(heard) is Outcome.ALLOW:
        assert outcome(Signals()) is Outcome.ALLOW


def test_every_reason_is_in_the_document_for_developers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"| `{reason}` |" not in text] == []
    assert [cause for cause in Cause if f"`{cause}`" not in text] == []


def test_each_input_says_its_part_and_one_decides(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True, personalisation=True))
    heard = Signals(tcf=tcf(8, 9))
    found = here.explanations.explain(SITE, "user", CANARY, signals=heard)["purposes"]
    assert {p: (a["outcome"], a["reason"]) for p, a in found.items()} == {
        "measurement": ("allow", "granted"),
        "personalisation": ("deny", "tcf"),
        "fairness_audit": ("deny", "no_consent"),
    }
    said = [(i["input"], i["said"], i["effect"], i["decided"]) for i in found["personalisation"]["inputs"]]
    assert said == [
        ("withdrawal", "none", "silent", False),
        ("gpc", "silent", "silent", False),
        ("tcf", "removes", "removes", True),
        ("gpp", "silent", "silent", False),
        ("record", "granted", "grants", False),
        ("expiry", "holds", "silent", False),
        ("notice", "holds", "silent", False),
        ("opt_out_regime", "not_presumed", "silent", False),
    ]
    assert [i["input"] for i in found["fairness_audit"]["inputs"] if i["decided"]] == ["default"]
    assert [i["input"] for i in found["measurement"]["inputs"] if i["decided"]] == ["record"]


def test_a_stale_grant_is_explained_by_its_notice(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    here.notices.put(SITE, NOTICE.id, Text("4", "en-GB", text="new", material=True), by="key")
    found = here.explanations.explain(SITE, "user", CANARY, ["measurement"])["purposes"]["measurement"]
    assert (found["state"], found["outcome"], found["reason"]) == ("stale", "deny", "stale")
    assert [i["input"] for i in found["inputs"] if i["decided"]] == ["notice"]
    assert found["ask_again_after"] is None


def test_a_presumption_is_explained(tmp_path: Path) -> None:
    here = room(tmp_path, here=SiteRules("us-ca", opt_out=True))
    found = here.explanations.explain(SITE, "user", CANARY)
    assert found["purposes"]["measurement"]["reason"] == "opt_out_regime"
    assert found["rules"]["opt_out"] is True
    assert [i["input"] for i in found["purposes"]["measurement"]["inputs"] if i["decided"]] == ["opt_out_regime"]
    here.close()


@pytest.mark.parametrize("purposes", [["ads"], ["measurement", CANARY]])
def test_an_unknown_purpose_is_not_explained(here: Room, purposes: list[str]) -> None:
    with pytest.raises(UnknownPurpose):
        here.explanations.explain(SITE, "user", CANARY, purposes)


@pytest.mark.parametrize("material", [False, True])
def test_a_simulation_is_what_would_be_recorded_and_leaves_no_trace(here: Room, material: bool) -> None:
    here.notices.put(SITE, NOTICE.id, Text("4", "en-GB", text="new", material=material), by="key")
    for number, heard in enumerate([Signals(), Signals(tcf=tcf(8, 9)), Signals(gpc=True), Signals(tcf="--")]):
        asked = request({"measurement": True, "personalisation": True, "fairness_audit": False}, signals=heard)
        expected = {d["purpose"]: (d["state"], d["reason"]) for d in here.explanations.simulate(SITE, asked)["decisions"]}
        with reading(here.engine) as connection:
            for table in (consent_records, consent_state, idempotency, served_notices):
                found = connection.scalar(select(func.count()).select_from(table)) or 0
                assert found == (0 if table in (idempotency, served_notices) or not number else found)
            assert connection.scalar(select(func.count()).select_from(consent_records)) == 3 * number
        receipt = here.service.record(SITE, asked)
        assert states_of(receipt, here.receipts) == expected


@given(answers, signals)
def test_a_simulation_marks_the_input_that_decides(purposes: dict[str, bool], heard: Signals) -> None:
    from consent.weighing import considered, decider, judged

    asked = request(purposes, signals=heard)
    said = hear(heard, id_type="user", now_ms=START_MS)
    from consent.jurisdictions import jurisdiction_of

    place = jurisdiction_of("eu")
    for change in judged(asked, said, place, now_ms=START_MS):
        inputs = considered(asked, change.purpose, said, place)
        decided = decider(inputs)
        assert decided is not None
        assert inputs[decided].code == change.cause


def test_explanations_name_nobody(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    text = json.dumps([here.explanations.explain(SITE, "user", CANARY), here.explanations.simulate(SITE, asking())])
    assert CANARY not in text
    assert here.subjects.pseudonym(SITE, "user", CANARY).hex()[:12] not in text
