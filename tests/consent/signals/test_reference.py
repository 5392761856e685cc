"""The decoders against the reference libraries: the same on every valid string, and never more lenient on any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from consent.signals import answers
from tests.consent.signals.encoder import ALPHABET, Tc, entries, random_gpp, random_tc, uint
from tests.node import reference

NOW_MS = 1_800_000_000_000

Asked = dict[str, str]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    reference.install()


def ours(asked: Asked) -> dict[str, Any]:
    """Our answer as it goes over the wire."""
    return dict(json.loads(json.dumps(answers.answer(asked, now_ms=NOW_MS))))


def agree(asked: Asked, answer: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Equal, but for what an absent segment says: the GPP library fills in false and empty, we say null."""
    kind = next(iter(asked))
    mine = answer[kind]
    if kind == "gpp":
        assert mine["sections"].keys() == theirs["sections"].keys(), asked
        for section, fields in mine["sections"].items():
            theirs["sections"][section] |= {name: None for name, value in fields.items() if value is None}
    assert mine == theirs, asked


def collected(make: Callable[[Random], Asked], count: int) -> list[Asked]:
    """Strings from Hypothesis, kept for one run of node."""
    kept: list[Asked] = []

    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=True))
    def keep(random: Random) -> None:
        kept.append(make(random))

    keep()
    return kept


def one_of_either(random: Random) -> Asked:
    return {"tcf": random_tc(random).text()} if random.random() < 0.5 else {"gpp": random_gpp(random)}


def damaged(random: Random) -> Asked:
    """A valid string with one to three faults."""
    [(kind, text)] = one_of_either(random).items()
    for _ in range(random.choice([1, 1, 2, 3])):
        at = random.randrange(len(text) + 1)
        other = random.choice(ALPHABET)
        text = random.choice(
            [
                text[:at],
                text[:at] + other + text[at:],
                text[:at] + other + text[at + 1 :],
                text[:at] + text[at + 1 :],
                text + random.choice(["A", "AAAA", "~", ".", ".A", other, "=", "\n", "." + text.split(".")[-1]]),
                text.replace(random.choice(ALPHABET), other, 1),
                ".".join(sorted(text.split("."), key=lambda _: random.random())),
            ]
        )
    return {kind: text}


def test_every_string_that_the_reference_encodes_is_read_alike() -> None:
    made = reference.encode(Random().randrange(2**32), 2_000)
    for asked, theirs in zip(made, reference.decode(made), strict=True):
        answer = ours(asked)
        assert answer["ok"], (asked, answer)
        agree(asked, answer, theirs["value"])


def test_every_string_of_another_encoder_is_read_alike() -> None:
    made = collected(one_of_either, 1_000)
    for asked, theirs in zip(made, reference.decode(made), strict=True):
        answer = ours(asked)
        assert answer["ok"], (asked, answer)
        agree(asked, answer, theirs["value"])


def restricted(asked: Asked) -> int:
    """How many vendors a TCF string's restrictions name: on many thousand the reference hangs."""
    records = ours(asked)["tcf"]["publisherRestrictions"] if "tcf" in asked else []
    return sum(last - first + 1 for record in records for first, last in record["vendors"])


def test_a_damaged_string_that_we_accept_is_accepted_and_read_alike_by_the_reference() -> None:
    made = collected(damaged, 3_000)
    accepted = [asked for asked in made if ours(asked)["ok"] and restricted(asked) < 5_000]
    assert 100 < len(accepted) < len(made) // 2
    for asked, theirs in zip(accepted, reference.decode(accepted, limit_ms=300), strict=True):
        if "timeout" not in theirs:
            assert "value" in theirs, (asked, theirs)
            agree(asked, ours(asked), theirs["value"])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"tcf": Tc(vendor_consents=uint(65_535, 16) + "1" + entries([(1, 65_535)] * 4_095)).text()}, "bad_range"),
        ({"tcf": Tc(restrictions=[(p % 24 + 1, p % 3, [(1, 65_535)]) for p in range(200)]).text()}, "duplicate_restriction"),
    ],
)
def test_what_the_reference_hangs_on_is_refused_at_once(asked: Asked, code: str) -> None:
    assert reference.decode([asked], limit_ms=700) == [{"timeout": True}]
    assert ours(asked)["code"] == code
