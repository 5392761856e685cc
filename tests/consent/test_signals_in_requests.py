"""What a request becomes when signals, age and notice are weighed: the most restrictive wins, and a signal never adds to a choice."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import NothingSaid
from consent.hearing import hear
from consent.jurisdictions import jurisdiction_of
from consent.models import ConsentRequest, Signals, State
from consent.signals.gpp_tables import UNITED_STATES
from consent.weighing import judged
from tacit.core.declaration import FAIRNESS_AUDIT, PURPOSES
from tests.consent.signals.encoder import Tc, gpp_string, state
from tests.consent.support import CANARY, NOTICE, SITE, START_MS, Room, room, states_of, tcf

EVERYTHING, NOTHING = tcf(*range(1, 12)), tcf()
CALIFORNIA = UNITED_STATES[8]
OPTED_OUT, SENSITIVE = state(CALIFORNIA, SaleOptOut=1), state(CALIFORNIA)
STRINGS = {
    "none": None,
    "everything": EVERYTHING,
    "nothing": NOTHING,
    "statistics": tcf(8, 9),
    "future": Tc(consents=list(range(1, 12))).text(),
    "cut": EVERYTHING[:20],
    "noise": "----",
}
SECTIONS = {"none": None, "opted_out": OPTED_OUT, "says nothing": SENSITIVE, "europe": gpp_string({2: EVERYTHING}), "noise": "DBA"}


def request(purposes: dict[str, bool], **changes: Any) -> ConsentRequest:
    return replace(ConsentRequest(CANARY, purposes, NOTICE, "banner"), **changes)


def states(asked: ConsentRequest) -> dict[str, State]:
    heard = hear(asked.signals, id_type=asked.id_type, now_ms=START_MS)
    return {c.purpose: c.state for c in judged(asked, heard, jurisdiction_of(asked.jurisdiction), now_ms=START_MS)}


answers = st.dictionaries(st.sampled_from(PURPOSES), st.booleans(), min_size=1)
signals = st.builds(
    Signals,
    tcf=st.sampled_from([*STRINGS.values()]) | st.text("ABCabc_-.", min_size=1, max_size=60),
    gpp=st.sampled_from([*SECTIONS.values()]) | st.text("DBAMa~.-", min_size=1, max_size=40),
    gpc=st.booleans(),
)
who = st.fixed_dictionaries(
    {
        "id_type": st.sampled_from(["user", "cookie"]),
        "jurisdiction": st.sampled_from(["eu", "us-ca", "mars"]),
        "age_band": st.sampled_from([None, "under_13", "13_to_15", "under_35"]),
        "parental": st.booleans(),
    }
)


@given(answers, signals, who)
def test_a_signal_never_adds_to_a_choice(purposes: dict[str, bool], heard: Signals, about: dict[str, Any]) -> None:
    without = states(request(purposes, **about))
    with_signals = states(request(purposes, signals=heard, **about))
    assert set(with_signals) == set(without) == set(purposes)
    for purpose, said in with_signals.items():
        assert said is without[purpose] or said is State.REFUSED


@given(signals, signals, who)
def test_a_further_signal_never_adds_to_another(first: Signals, second: Signals, about: dict[str, Any]) -> None:
    both = Signals(first.tcf, second.gpp, first.gpc or second.gpc)
    alone = states(request({}, signals=Signals(tcf=first.tcf, gpp=None, gpc=first.gpc), **about))
    other = states(request({}, signals=Signals(gpp=second.gpp), **about))
    for purpose, said in states(request({}, signals=both, **about)).items():
        if said is State.GRANTED:
            assert State.GRANTED in (alone.get(purpose), other.get(purpose))
            assert State.REFUSED not in (alone.get(purpose), other.get(purpose))


@given(signals, who)
def test_no_signal_ever_grants_the_audit(heard: Signals, about: dict[str, Any]) -> None:
    assert states(request({}, signals=heard, **about)).get(FAIRNESS_AUDIT) is not State.GRANTED
    assert FAIRNESS_AUDIT not in states(request({"measurement": True}, signals=heard, **about))


@settings(max_examples=25)
@given(answers, signals, st.booleans())
def test_what_is_recorded_is_what_the_gate_then_says(purposes: dict[str, bool], heard: Signals, gpc: bool) -> None:
    with TemporaryDirectory() as place:
        here = room(Path(place))
        receipt = here.service.record(SITE, request(purposes, signals=heard))
        for purpose, (said, cause) in states_of(receipt, here.receipts).items():
            decision = here.gate.check(SITE, "user", CANARY, purpose, gpc=gpc)
            assert (decision.outcome.value == "allow") == (said == "granted" and not gpc)
            if not gpc:
                assert decision.reason == {"choice": said}.get(cause, cause)
        here.close()


def test_each_signal_that_removes_is_named(here: Room) -> None:
    cases = {
        "tcf": Signals(tcf=NOTHING),
        "gpp": Signals(gpp=OPTED_OUT),
        "gpc": Signals(tcf=NOTHING, gpc=True),
        "signal_unreadable": Signals(tcf="----"),
        "signal_invalid": Signals(tcf=STRINGS["future"]),
    }
    for cause, heard in cases.items():
        receipt = here.service.record(SITE, request({"measurement": True}, signals=heard))
        assert states_of(receipt, here.receipts) == {"measurement": ("refused", cause)}
        assert here.gate.check(SITE, "user", CANARY, "measurement").reason == cause
        assert here.service.query(SITE, "user", CANARY)["purposes"]["measurement"]["state"] == "refused"


def test_a_string_of_tcf_2_3_without_disclosed_vendors_makes_no_new_grant(here: Room) -> None:
    here.clock.at_ms = 1_795_478_400_000
    day = here.clock.at_ms - here.clock.at_ms % 86_400_000
    text = Tc(created_ms=day, updated_ms=day, policy=5, consents=list(range(1, 12))).text()
    receipt = here.service.record(SITE, request({"measurement": True}, signals=Signals(tcf=text)))
    [decision] = here.receipts.verify(receipt)["decisions"]
    assert (decision["state"], decision["reason"], decision["details"]) == ("refused", "signal_invalid", ["vendors_disclosed_missing"])


def test_signals_alone_record_what_the_mapping_gives_and_never_the_audit(here: Room) -> None:
    receipt = here.service.record(SITE, request({}, signals=Signals(tcf=tcf(8, 9))))
    assert states_of(receipt, here.receipts) == {"measurement": ("granted", "tcf"), "personalisation": ("refused", "tcf")}
    assert here.gate.check(SITE, "user", CANARY, "measurement").outcome.value == "allow"


def test_an_identifier_of_the_device_needs_consent_to_reading_it(here: Room) -> None:
    assert states(request({}, signals=Signals(tcf=tcf(8, 9)), id_type="cookie"))["measurement"] is State.REFUSED
    assert states(request({}, signals=Signals(tcf=tcf(1, 8, 9)), id_type="cookie"))["measurement"] is State.GRANTED


def test_signals_that_say_nothing_record_nothing(here: Room) -> None:
    with pytest.raises(NothingSaid):
        here.service.record(SITE, request({}, signals=Signals(gpp=SENSITIVE)))
    assert here.service.history(SITE, "user", CANARY)["records"] == []


@pytest.mark.parametrize(("place", "refused"), [("eu", True), ("at", False), ("us-ca", False)])
def test_who_is_too_young_where_they_are_cannot_grant(here: Room, place: str, refused: bool) -> None:
    young = request({"measurement": True, "fairness_audit": True}, age_band="14_to_15", jurisdiction=place)
    here.service.record(SITE, young)
    assert (here.gate.check(SITE, "user", CANARY, "measurement").reason == "minor") is refused
    receipt = here.service.record(SITE, replace(young, parental=True))
    assert here.receipts.verify(receipt)["parental"] is True
    assert here.gate.check(SITE, "user", CANARY, "measurement").reason == "granted"
    assert here.service.history(SITE, "user", CANARY)["records"][-1]["signals"]["parental"] is True


@pytest.mark.parametrize("order", list(product(["grant", "gpc", "withdraw"], repeat=3)))
def test_the_last_word_rules_in_every_order(here: Room, order: tuple[str, ...]) -> None:
    """With a clock that goes back between any two of them."""
    expected = {"grant": "granted", "gpc": "gpc", "withdraw": "withdrawn"}
    for step in order:
        here.clock.at_ms -= 3_600_000
        if step == "withdraw":
            here.service.withdraw(SITE, "user", CANARY, ["measurement"])
        else:
            here.service.record(SITE, request({"measurement": True}, signals=Signals(gpc=step == "gpc")))
        assert here.gate.check(SITE, "user", CANARY, "measurement").reason == expected[step]


def test_a_person_who_said_no_is_not_asked_again_for_as_long_as_their_place_says(here: Room) -> None:
    def again() -> str | None:
        found: str | None = here.service.query(SITE, "user", CANARY)["purposes"]["measurement"]["ask_again_after"]
        return found

    assert again() is None
    here.service.record(SITE, request({"measurement": False}))
    assert again() == "2024-05-12T22:13:20.000Z"
    here.service.record(SITE, request({"measurement": False}, jurisdiction="us-ca"))
    assert again() == "2024-11-13T22:13:20.000Z"
    here.clock.at_ms += 365 * 86_400_000
    assert again() is None
    here.clock.at_ms = START_MS
    here.service.record(SITE, request({"measurement": True}, signals=Signals(gpc=True)))
    assert again() == "2024-05-12T22:13:20.000Z"
    here.service.record(SITE, request({"measurement": True}, signals=Signals(tcf="----")))
    assert again() is None, "a fault of the platform is no answer of the person"
    here.service.record(SITE, request({"measurement": True}))
    assert again() == "2024-05-12T22:13:20.000Z", "nothing to ask until the grant lapses"
