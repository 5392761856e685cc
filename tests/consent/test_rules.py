"""Rules are data with a version: none changes without a new one, unknown places have the strictest, nothing is presumed by default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent.ages import too_young
from consent.gate import Decision, Outcome
from consent.jurisdictions import JURISDICTIONS, Regime, jurisdiction_of
from consent.models import Signals
from consent.purposes import BIAS_DETECTION, RULE_SHA256, RULE_VERSION, TERMS
from consent.rules import OPT_OUT_REGIME, Rules, SiteRules
from tacit.core.configuration import parse
from tacit.core.declaration import PURPOSES, Necessity
from tacit.core.errors import ConfigurationInvalid
from tacit.ropa import ropa
from tests.consent.support import CANARY, NOTICE, SITE, START_MS, Room, asking, room, states_of

DAY_MS = 86_400_000
HASHES = {"2026-11.2": "ab3c6cad7f8e98ca100ca285c1a22892764395cf6e7a517e5a94c90eb7ce85dc"}
"""Every version's hash: a change of the rules without a new version fails here."""

CALIFORNIA = SiteRules("us-ca", opt_out=True)
STATEMENT = Necessity("Regulation (EU) 2024/1689", START_MS - DAY_MS, START_MS + DAY_MS, "because", "listed", "because")


def outcome(here: Room, purpose: str, **sent: bool) -> tuple[str, str]:
    decision = here.gate.check(SITE, "user", CANARY, purpose, **sent)
    return decision.outcome.value, str(decision.reason)


def test_a_version_of_the_rules_is_its_content() -> None:
    assert HASHES[RULE_VERSION] == RULE_SHA256


def test_every_place_covers_every_purpose_and_names_its_source() -> None:
    for place in JURISDICTIONS.values():
        assert set(place.expiry_days) == set(PURPOSES)
        assert place.source
        assert set(place.gpc) <= set(PURPOSES)


def test_the_twelve_states_that_recognise_a_signal_are_marked() -> None:
    binding = {code for code, place in JURISDICTIONS.items() if place.gpc}
    assert binding == {f"us-{state}" for state in ("ca", "co", "ct", "de", "md", "mn", "mt", "ne", "nh", "nj", "or", "tx")}


@pytest.mark.parametrize("code", [None, "", "us", "xx", "us-zz", "EU", "mars"])
def test_an_unknown_place_has_the_strictest_rules(code: str | None) -> None:
    place = jurisdiction_of(code)
    assert place.regime is Regime.OPT_IN
    assert place.minimum_age == max(one.minimum_age for one in JURISDICTIONS.values())
    assert all(days == min(one.expiry_days[p] for one in JURISDICTIONS.values()) for p, days in place.expiry_days.items())


def test_the_audit_always_has_an_explicit_route_and_the_other_is_not_in_force() -> None:
    assert [route.name for route in TERMS["fairness_audit"].routes] == ["explicit_consent", "bias_detection"]
    assert [condition.name for condition in BIAS_DETECTION.conditions] == list("abcdef")
    assert BIAS_DETECTION.in_force is None


@pytest.mark.parametrize(
    "declared", ["{default: us-ca}", "{default: us-ca, opt_out: false}", "{default: eu, opt_out: true}", "{opt_out: true}"]
)
def test_nobody_is_presumed_to_agree_unless_law_and_declaration_say_so(declared: str) -> None:
    text = f"sites: {{newsroom: {{privacy: {{epsilon: 1, delta: 1.0e-6}}, jurisdiction: {declared}}}}}"
    assert not Rules.declared(parse(text)).of(SITE).presumed(now_ms=START_MS)


def test_a_declared_opt_out_regime_admits_the_silent_but_never_to_the_audit(tmp_path: Path) -> None:
    here = room(tmp_path, here=CALIFORNIA)
    assert outcome(here, "measurement") == ("allow", "opt_out_regime")
    assert outcome(here, "personalisation") == ("allow", "opt_out_regime")
    assert outcome(here, "fairness_audit") == ("deny", "no_consent")
    assert here.gate.states("elsewhere", [here.subjects.pseudonym("elsewhere", "user", CANARY)]) == {}
    here.close()


def test_gpc_binds_the_silent_under_an_opt_out_regime(tmp_path: Path) -> None:
    here = room(tmp_path, here=CALIFORNIA)
    assert outcome(here, "measurement", gpc=True) == ("deny", "gpc")
    here.service.withdraw(SITE, "user", CANARY, ["measurement"], jurisdiction="us-ca")
    assert outcome(here, "measurement") == ("deny", "withdrawn")
    assert outcome(here, "personalisation") == ("allow", "opt_out_regime")
    here.close()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"signals": Signals(gpc=True)}, "gpc"),
        ({"signals": Signals(gpp="garbage")}, "signal_unreadable"),
        ({"age_band": "under_13"}, "minor"),
    ],
)
def test_whoever_sent_an_opt_out_or_is_too_young_is_not_silent_about_what_was_not_asked(
    tmp_path: Path, said: dict[str, Any], cause: str
) -> None:
    here = room(tmp_path, here=replace(CALIFORNIA, necessity=STATEMENT))
    here.service.record(SITE, replace(asking(measurement=True), jurisdiction="us-ca", **said))
    assert {outcome(here, purpose) for purpose in PURPOSES} == {("deny", cause)}
    here.close()


def test_what_was_not_asked_stays_open_where_nothing_removes_or_nothing_is_presumed(tmp_path: Path) -> None:
    here = room(tmp_path, here=CALIFORNIA)
    here.service.record(SITE, replace(asking(measurement=False), jurisdiction="us-ca"))
    assert outcome(here, "personalisation") == ("allow", "opt_out_regime")
    here.close()
    (tmp_path / "plain").mkdir()
    plain = room(tmp_path / "plain")
    receipt = plain.service.record(SITE, asking(measurement=True, gpc=True))
    assert states_of(receipt, plain.receipts) == {"measurement": ("refused", "gpc")}
    plain.close()


def test_somebody_known_to_be_under_opt_in_rules_is_never_presumed_to_agree(tmp_path: Path) -> None:
    here = room(tmp_path, here=CALIFORNIA)
    here.service.record(SITE, asking(measurement=True))  # says it is in eu
    assert outcome(here, "measurement") == ("allow", "granted")
    assert outcome(here, "personalisation") == ("deny", "no_consent")
    here.close()


def test_a_withdrawal_that_names_no_place_leaves_the_place_known(tmp_path: Path) -> None:
    here = room(tmp_path, here=CALIFORNIA)
    here.service.record(SITE, asking(measurement=True))  # says it is in eu
    here.service.withdraw(SITE, "user", CANARY, ["measurement"], jurisdiction="us-ca")
    assert outcome(here, "personalisation") == ("deny", "no_consent"), "withdrawing one purpose must not open another"
    here.close()


def test_a_stored_state_cannot_pretend_to_be_presumed() -> None:
    from consent.gate import decide

    assert decide((OPT_OUT_REGIME[0], None), gpc=False, now_ms=0).outcome is Outcome.GAP
    assert decide(("bias_detection", START_MS), gpc=False, now_ms=0).outcome is Outcome.GAP


@pytest.mark.parametrize("rules", [None, CALIFORNIA])
def test_withdrawing_the_audit_changes_nothing_for_personalisation(tmp_path: Path, rules: SiteRules | None) -> None:
    here = room(tmp_path, here=rules)
    for before in (None, {"personalisation": True, "fairness_audit": True}, {"personalisation": False, "fairness_audit": True}):
        if before is not None:
            here.service.record(SITE, asking(**before))
        was = outcome(here, "personalisation")
        here.staged.calls.clear()
        here.service.withdraw(SITE, "user", CANARY, ["fairness_audit"], jurisdiction="us-ca")
        assert outcome(here, "personalisation") == was
        assert outcome(here, "fairness_audit") == ("deny", "withdrawn")
        assert here.staged.calls == [("withdraw", CANARY, ["fairness_audit"], here.staged.calls[0][3])]
    here.close()


def test_the_bias_route_holds_for_its_declared_time_and_yields_to_every_refusal(tmp_path: Path) -> None:
    here = room(tmp_path, here=SiteRules(necessity=STATEMENT))
    assert outcome(here, "fairness_audit") == ("allow", "bias_detection")
    assert outcome(here, "fairness_audit", gpc=True) == ("deny", "gpc")
    assert outcome(here, "measurement") == ("deny", "no_consent")
    for at_ms in (START_MS - 2 * DAY_MS, START_MS + DAY_MS):
        here.clock.at_ms = at_ms
        assert outcome(here, "fairness_audit") == ("deny", "no_consent")
    here.clock.at_ms = START_MS
    here.service.record(SITE, asking(fairness_audit=False))
    assert outcome(here, "fairness_audit") == ("deny", "refused")
    here.close()


STATED = (
    "{law: Regulation (EU) 2024/1689 as amended, from: 2026-08-02, until: 2026-12-31, other_data: synthetic data does not have the groups, "
    "access: two named auditors under confidentiality, reason: the policy decides about reach}"
)


def test_the_bias_route_is_declared_in_full_or_not_at_all() -> None:
    text = f"sites: {{newsroom: {{privacy: {{epsilon: 1, delta: 1.0e-6}}, bias_detection: {STATED}}}}}"
    stated = Rules.declared(parse(text)).of(SITE)
    assert stated.to_json()["bias_detection"]["delete_by"] == "2026-12-31T00:00:00.000Z"
    for missing in ("law", "from", "until", "other_data", "access", "reason"):
        broken = text.replace(f"{missing}: ", f"x_{missing}: ")
        with pytest.raises(ConfigurationInvalid, match=f"bias_detection.{missing}"):
            parse(broken)
    with pytest.raises(ConfigurationInvalid):
        parse(text.replace("until: 2026-12-31", "until: 2026-01-01"))


@pytest.mark.parametrize(
    ("band", "minimum", "expected"),
    [
        ("under_13", 13, True),
        ("13_to_15", 13, False),
        ("13_to_15", 16, True),
        ("13-15", 16, True),
        ("16_to_17", 16, False),
        ("under_18", 16, True),
        ("child", 13, True),
        ("under_35", 16, False),
        ("35_to_54", 16, False),
        ("55_plus", 16, False),
        ("regulars", 16, False),
        (None, 16, False),
    ],
)
def test_a_band_is_too_young_when_all_of_it_are_children_and_some_are_below_the_minimum(
    band: str | None, minimum: int, expected: bool
) -> None:
    assert too_young(band, minimum) is expected


@pytest.mark.parametrize(("place", "days"), [("eu", 180), ("de", 180), ("us-ca", 365), ("us-va", 365), ("mars", 180)])
def test_a_grant_lapses_after_the_days_of_its_place(here: Room, place: str, days: int) -> None:
    request = asking(measurement=True)
    here.service.record(SITE, type(request)(CANARY, {"measurement": True}, NOTICE, "banner", jurisdiction=place))
    here.clock.at_ms = START_MS + days * DAY_MS - 1
    assert here.gate.check(SITE, "user", CANARY, "measurement").outcome is Outcome.ALLOW
    here.clock.at_ms += 1
    assert here.gate.check(SITE, "user", CANARY, "measurement") == Decision(Outcome.DENY, "expired")
    here.clock.at_ms = START_MS - 400 * DAY_MS
    assert here.gate.check(SITE, "user", CANARY, "measurement").outcome is Outcome.ALLOW, "a clock that goes back ends no grant"


@pytest.mark.parametrize("declared", [False, True])
def test_the_record_of_processing_says_who_is_counted_without_consent_and_why(declared: bool) -> None:
    more = f"bias_detection: {STATED}, jurisdiction: {{default: us-ca, opt_out: true}}, " if declared else ""
    measures = "measures: {a: {event: a, share: 0.1}, b: {event: b, purpose: fairness_audit, share: 0.1}}"
    [site] = parse(f"sites: {{newsroom: {{privacy: {{epsilon: 1, delta: 1.0e-6}}, {more}{measures}}}}}").sites.values()
    record = ropa(site, ran=lambda _site, _measure: None, now_ms=START_MS)
    audit = next(one for one in record["activities"] if one["activity"] == "Fairness audit")
    measurement = next(one for one in record["activities"] if one["activity"] == "Measurement")
    assert ("the policy decides about reach" in audit["basis"]) is declared
    assert ("without a record" in audit["subjects"]) is declared
    assert ("without a record" in measurement["subjects"]) is declared
