"""What signals mean for our purposes: who grants, who removes, and that the most restrictive one wins."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from consent.signals import consent_mode, gpp, mapping, tcf
from consent.signals.errors import SignalInvalid
from consent.signals.gpp_tables import UNITED_STATES, Layout
from consent.signals.mapping import REMOVED, SILENCE, Effect
from tacit.core.declaration import FAIRNESS_AUDIT, MEASUREMENT, PERSONALISATION, PURPOSES
from tests.consent.signals.encoder import Tc, base64url, disclosed, gpp_string, state, uint

NOW_MS = 1_795_478_400_000
GRANTS, REMOVES, SILENT = Effect.GRANTS, Effect.REMOVES, Effect.SILENT


def of_tcf(device_id: bool = False, **content: Any) -> tuple[Effect, ...]:
    effects = mapping.from_tcf(tcf.decode(Tc(**content).text()), now_ms=NOW_MS, device_id=device_id)
    return tuple(effects[purpose] for purpose in (MEASUREMENT, PERSONALISATION, FAIRNESS_AUDIT))


def of_gpp(text: str) -> mapping.Effects:
    return mapping.from_gpp(gpp.decode(text), now_ms=NOW_MS, device_id=False)


@pytest.mark.parametrize(
    ("consents", "measurement", "personalisation"),
    [
        ([], REMOVES, REMOVES),
        ([8], REMOVES, REMOVES),
        ([9], REMOVES, REMOVES),
        ([8, 9], GRANTS, REMOVES),
        ([5], REMOVES, REMOVES),
        ([6], REMOVES, REMOVES),
        ([5, 6], REMOVES, GRANTS),
        ([11], REMOVES, GRANTS),
        ([1, 2, 3, 4, 7, 10], REMOVES, REMOVES),
        (list(range(1, 25)), GRANTS, GRANTS),
    ],
)
def test_each_purpose_needs_its_own_tcf_purposes(consents: list[int], measurement: Effect, personalisation: Effect) -> None:
    assert of_tcf(consents=consents) == (measurement, personalisation, SILENT)


def test_an_identifier_from_the_device_needs_purpose_1_as_well() -> None:
    assert of_tcf(device_id=True, consents=[5, 6, 8, 9]) == (REMOVES, REMOVES, SILENT)
    assert of_tcf(device_id=True, consents=[1, 5, 6, 8, 9]) == (GRANTS, GRANTS, SILENT)


def test_legitimate_interest_and_the_publishers_own_segment_grant_nothing() -> None:
    assert of_tcf(interests=list(range(1, 25)), others=[("publisherTC", "011" + "1" * 48 + "0" * 6)]) == (REMOVES, REMOVES, SILENT)


def test_limited_data_is_no_purpose_before_tcf_2_2() -> None:
    assert of_tcf(consents=[11], policy=2, created_ms=0) == (REMOVES, REMOVES, SILENT)


def test_a_string_that_does_not_count_removes() -> None:
    everything = list(range(1, 12))
    assert of_tcf(consents=everything, created_ms=1_772_323_200_000, updated_ms=1_772_323_200_000) == (REMOVES, REMOVES, SILENT)
    content = {"consents": everything, "created_ms": 1_772_323_200_000, "updated_ms": 1_772_323_200_000, "others": [disclosed()]}
    assert of_tcf(**content) == (GRANTS, GRANTS, SILENT)


def test_nothing_ever_grants_the_fairness_audit() -> None:
    assert of_tcf(consents=list(range(1, 25)))[2] is SILENT
    assert consent_mode.read(dict.fromkeys((*consent_mode.TABLE, *consent_mode.OTHERS), "granted"))[FAIRNESS_AUDIT] is SILENT


@pytest.mark.parametrize("layout", UNITED_STATES.values(), ids=lambda layout: layout.name)
def test_a_states_opt_out_removes_everything_and_its_absence_says_nothing(layout: Layout) -> None:
    names = {one.name for one in next(iter(layout.cores.values()))}
    assert of_gpp(state(layout)) == SILENCE
    for field in names & set(mapping.OPT_OUTS):
        assert of_gpp(state(layout, **{field: 1})) == REMOVED
        assert of_gpp(state(layout, **{field: 2})) == SILENCE
    assert names & set(mapping.OPT_OUTS)
    if mapping.CHILDREN in names:
        assert of_gpp(state(layout, **{mapping.CHILDREN: 1})) == REMOVED
        assert of_gpp(state(layout, **{mapping.CHILDREN: 2})) == SILENCE
    if mapping.SENSITIVE in names:
        assert of_gpp(state(layout, **{mapping.SENSITIVE: 1})) == {**SILENCE, FAIRNESS_AUDIT: REMOVES}
        assert of_gpp(state(layout, **{mapping.SENSITIVE: 2})) == SILENCE


def test_a_gpc_segment_removes_when_it_is_set_and_says_nothing_otherwise() -> None:
    assert of_gpp(state(UNITED_STATES[7], optional="011")) == REMOVED
    assert of_gpp(state(UNITED_STATES[7], optional="010")) == SILENCE


@pytest.mark.parametrize(("section", "effects"), [("1YYN", REMOVED), ("1YNN", SILENCE), ("1---", SILENCE)])
def test_a_us_privacy_string_removes_with_an_opt_out_of_sale(section: str, effects: mapping.Effects) -> None:
    assert of_gpp(gpp_string({6: section})) == effects


def test_canada_grants_with_express_consent_only() -> None:
    def canada(express: str, implied: str) -> mapping.Effects:
        return of_gpp(gpp_string({5: base64url(uint(1, 6) + "0" * 145 + express + implied + uint(0, 46), 8)}))

    assert canada("1" * 24, "0" * 24) == {MEASUREMENT: GRANTS, PERSONALISATION: GRANTS, FAIRNESS_AUDIT: SILENT}
    assert canada("0" * 24, "1" * 24) == {MEASUREMENT: REMOVES, PERSONALISATION: REMOVES, FAIRNESS_AUDIT: SILENT}


def test_an_opt_out_beside_a_tcf_consent_wins() -> None:
    consenting = Tc(consents=list(range(1, 12))).text()
    assert of_gpp(gpp_string({2: consenting}))[MEASUREMENT] is GRANTS
    assert of_gpp(gpp_string({2: consenting, 6: "1YYN"})) == REMOVED


def test_the_most_restrictive_signal_wins() -> None:
    given = {effect: dict.fromkeys(PURPOSES, effect) for effect in Effect}
    for signals in itertools.product(Effect, repeat=3):
        combined = mapping.combine(*(given[effect] for effect in signals))
        wanted = REMOVES if REMOVES in signals else GRANTS if GRANTS in signals else SILENT
        assert combined == dict.fromkeys(PURPOSES, wanted)
    assert mapping.combine() == SILENCE
    assert mapping.from_gpc(True) == REMOVED
    assert mapping.from_gpc(False) == SILENCE


def test_consent_mode_says_what_the_table_says() -> None:
    assert consent_mode.states({MEASUREMENT: True, PERSONALISATION: False}) == {
        "ad_storage": "denied",
        "ad_user_data": "denied",
        "ad_personalization": "denied",
        "analytics_storage": "granted",
        "personalization_storage": "denied",
    }
    assert set(consent_mode.states(dict.fromkeys(PURPOSES, True)).values()) == {"granted", "denied"}
    assert set(consent_mode.states({}).values()) == {"denied"}
    assert consent_mode.read({"analytics_storage": "granted", "personalization_storage": "denied", "ad_storage": "granted"}) == {
        MEASUREMENT: GRANTS,
        PERSONALISATION: REMOVES,
        FAIRNESS_AUDIT: SILENT,
    }
    assert consent_mode.read({"security_storage": "denied"}) == SILENCE


@pytest.mark.parametrize("choices", list(itertools.product([True, False], repeat=2)))
def test_consent_mode_out_and_in_agree(choices: tuple[bool, bool]) -> None:
    read = consent_mode.read(consent_mode.states({MEASUREMENT: choices[0], PERSONALISATION: choices[1]}))
    assert [read[purpose] is GRANTS for purpose in (MEASUREMENT, PERSONALISATION)] == list(choices)


@pytest.mark.parametrize("states", [{"analytics_storage": "yes"}, {"analytics_storage": True}, {"analytics": "granted"}, {"ad_storage": 1}])
def test_what_is_not_consent_mode_is_refused(states: dict[str, object]) -> None:
    with pytest.raises(SignalInvalid) as refused:
        consent_mode.read(states)
    assert refused.value.code == "bad_value"
