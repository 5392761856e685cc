"""A damaged string never grants what the intact one did not.

There is no checksum in these formats: a flipped consent bit is another valid string, and no decoder can know. What can be held is that
every other fault, a cut anywhere and a flip of any bit but the consent's own, adds nothing.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.signals import gpp, mapping, tcf
from consent.signals.errors import SignalInvalid
from consent.signals.mapping import Effect
from consent.signals.tcf import TcString
from consent.signals.validity import validity
from tests.consent.signals.encoder import ALPHABET, DAY_MS, Tc, base64url, disclosed, entries, gpp_string, random_gpp, random_tc, uint

NOW_MS = 1_795_478_400_000
PURPOSES_AT = 152  # where PurposesConsent begins in the core, 24 bits
PURPOSES_END = PURPOSES_AT + 24

randoms = st.randoms(use_true_random=False)


def read(text: str) -> TcString | None:
    try:
        return tcf.decode(text)
    except SignalInvalid:
        return None


def granted(string: TcString) -> set[str]:
    return {p for p, effect in mapping.from_tcf(string, now_ms=NOW_MS, device_id=False).items() if effect is Effect.GRANTS}


def flipped(text: str, bit: int) -> str:
    """The text with one bit changed; `bit` counts through the characters, dots left out."""
    at = [index for index, character in enumerate(text) if character != "."][bit // 6]
    value = ALPHABET.index(text[at]) ^ 1 << (5 - bit % 6)
    return text[:at] + ALPHABET[value] + text[at + 1 :]


def current(random: Random) -> Tc:
    """A short string that counts today, with the purposes that matter often given."""
    made = random_tc(random)
    made.created_ms = made.updated_ms = random.randrange(19_700, 20_500) * DAY_MS
    made.policy, made.service_specific = random.choice([4, 5]), True
    made.consents = [number for number in range(1, 12) if random.random() < 0.5]
    made.vendor_consents = uint(9, 16) + random.choice(["0" + uint(random.randrange(512), 9), "1" + entries([(2, 4), (7, 7)])])
    made.vendor_interests = uint(0, 17)
    made.restrictions = [(2, 1, [(3, 4)])] if random.random() < 0.5 else []
    made.others = [disclosed(), *(other for other in made.others if other[0] == "publisherTC")]
    return made


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_a_cut_string_is_refused_or_says_the_same_with_fewer_segments(random: Random) -> None:
    made = random_tc(random)
    text = made.text()
    whole = tcf.decode(text)
    for length in range(len(text)):
        rest = read(text[:length])
        if rest is None:
            continue
        assert text[length:].split(".")[0].strip("A") == "", "only padding and whole segments may be missing"
        assert rest.purpose_consents == whole.purpose_consents
        assert rest.vendor_consents == whole.vendor_consents
        assert rest.segments == whole.segments[: len(rest.segments)]
        assert granted(rest) <= granted(whole)


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_a_flipped_bit_is_refused_or_changes_no_consent_but_its_own(random: Random) -> None:
    text = current(random).text()
    whole = tcf.decode(text)
    assert validity(whole, now_ms=NOW_MS).ok
    for bit in range(6 * (len(text) - text.count("."))):
        other = read(flipped(text, bit))
        if other is None:
            continue
        changed = set(other.purpose_consents) ^ set(whole.purpose_consents)
        if PURPOSES_AT <= bit < PURPOSES_END:
            assert changed == {bit - PURPOSES_AT + 1}
        else:
            assert not changed
            assert granted(other) <= granted(whole)


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_a_vendor_gains_consent_by_a_flip_within_the_vendor_section_only(random: Random) -> None:
    made = current(random)
    text = made.text()
    whole = tcf.decode(text)
    end = 213 + len(made.vendor_consents)
    for bit in [*range(213), *range(end, 6 * len(text.split(".", maxsplit=1)[0]))]:
        other = read(flipped(text, bit))
        assert other is None or other.vendor_consents == whole.vendor_consents


def effects(text: str) -> mapping.Effects:
    try:
        return mapping.from_gpp(gpp.decode(text), now_ms=NOW_MS, device_id=False)
    except SignalInvalid:
        return mapping.REMOVED


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_no_damage_makes_a_gpp_string_without_tcf_grant_anything(random: Random) -> None:
    text = random_gpp(random, tcf=False)
    damaged = [text[:length] for length in range(len(text))]
    damaged += [text[:at] + random.choice(ALPHABET + "~.") + text[at + 1 :] for at in range(len(text))]
    assert not any(Effect.GRANTS in effects(one).values() for one in (text, *damaged))


@settings(max_examples=40, deadline=None)
@given(randoms)
def test_a_cut_gpp_string_grants_no_more_than_the_intact_one(random: Random) -> None:
    text = gpp_string({2: current(random).text(), 7: base64url("000010" + "00" * 29 + "010000", 8)})
    whole = effects(text)
    for length in range(len(text)):
        cut = effects(text[:length])
        assert all(cut[purpose] is not Effect.GRANTS or whole[purpose] is Effect.GRANTS for purpose in whole)


@settings(max_examples=30, deadline=None)
@given(randoms)
def test_a_flipped_bit_of_a_gpp_string_grants_nothing_but_by_a_consent_s_own_bit(random: Random) -> None:
    europe = current(random).text()
    text = gpp_string({2: europe, 7: base64url("000010" + "00" * 29 + "010000", 8)})
    whole, core = effects(text), text.index("~") + 1
    assert text.startswith(europe, core)
    own = {core + bit // 6 for bit in range(PURPOSES_AT, PURPOSES_END)}
    for at in (index for index, character in enumerate(text) if character not in "~."):
        for bit in range(6):
            if at in own and PURPOSES_AT <= 6 * (at - core) + bit < PURPOSES_END:
                continue
            other = effects(text[:at] + ALPHABET[ALPHABET.index(text[at]) ^ 1 << (5 - bit)] + text[at + 1 :])
            assert all(other[purpose] is not Effect.GRANTS or whole[purpose] is Effect.GRANTS for purpose in whole)
