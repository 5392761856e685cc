"""Segments: named targeting that is put in its place when the file is read; whatever cannot be put there is refused with its path."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tacit.core import configuration
from tacit.core.declaration import Site
from tacit.core.errors import ConfigurationInvalid
from tacit.core.segments import inlined


def declaration(segments: dict[str, Any], targeting: Any, context: dict[str, list[str]] | None = None) -> str:
    policy = {
        "zone": "hero",
        "arms": {"plain": {}, "bold": {}},
        "context": context or {"device": ["mobile", "desktop"], "country": ["NL", "BE"]},
        "reward": {"event": "click"},
        "share": 0.5,
        "targeting": targeting,
    }
    site = {"privacy": {"epsilon": 1, "delta": 1e-6}, "segments": segments, "policies": {"hero": policy}}
    return yaml.safe_dump({"sites": {"shop": site}})


def read(segments: dict[str, Any], targeting: Any, **others: Any) -> Site:
    return configuration.parse(declaration(segments, targeting, **others)).sites["shop"]


def faults(segments: dict[str, Any], targeting: Any, **others: Any) -> dict[str, str]:
    with pytest.raises(ConfigurationInvalid) as refused:
        read(segments, targeting, **others)
    return {fault["path"].removeprefix("sites.shop."): fault["detail"] for fault in refused.value.errors}


MOBILE = {"device": {"eq": "mobile"}}
DUTCH = {"country": {"eq": "NL"}}


def test_a_name_stands_for_its_expression_wherever_a_rule_may_stand() -> None:
    segments = {"dutch": DUTCH, "dutch_mobile": {"all": [MOBILE, {"segment": "dutch"}]}}
    found = read(segments, {"any": [{"not": {"segment": "dutch"}}, {"segment": "dutch_mobile"}]})
    assert found.policies["hero"].targeting == {"any": [{"not": DUTCH}, {"all": [MOBILE, DUTCH]}]}


def test_a_policy_that_uses_a_segment_is_the_policy_that_has_it_written_out() -> None:
    named, written = read({"dutch": DUTCH}, {"segment": "dutch"}), read({}, DUTCH)
    assert named.policies == written.policies
    assert named.measures == written.measures


def test_a_context_key_called_segment_keeps_its_meaning() -> None:
    targeting = {"segment": {"eq": "gold"}}
    found = read({}, targeting, context={"segment": ["gold", "silver"]})
    assert found.policies["hero"].targeting == targeting


def test_an_unknown_name_is_refused_where_it_stands() -> None:
    assert faults({"dutch": DUTCH}, {"all": [MOBILE, {"segment": "duch"}]}) == {
        "policies.hero.targeting.all.1.segment": "names no segment of the site"
    }
    assert "segments.dutch.not.segment" in faults({"dutch": {"not": {"segment": "nobody"}}}, MOBILE)


def test_segments_that_lead_back_to_themselves_are_refused_and_no_other() -> None:
    segments = {
        "one": {"not": {"segment": "two"}},
        "two": {"any": [MOBILE, {"segment": "one"}]},
        "three": MOBILE,
        "self": {"segment": "self"},
    }
    found = faults(segments, MOBILE)
    assert found == dict.fromkeys(("segments.one", "segments.two", "segments.self"), "leads back to itself")


def test_a_segment_is_judged_even_where_nobody_uses_it() -> None:
    assert "segments.dutch.country.is" in faults({"dutch": {"country": {"is": "NL"}}}, MOBILE)
    assert "segments.tall.height" in faults({"tall": {"height": {"gt": 180}}}, MOBILE)
    assert "segments.empty" in faults({"empty": {}}, MOBILE)


def test_a_segment_that_asks_for_more_than_the_policy_knows_is_refused_at_the_reference() -> None:
    text = yaml.safe_load(declaration({"dutch": DUTCH}, MOBILE))
    hero = text["sites"]["shop"]["policies"]["hero"]
    text["sites"]["shop"]["policies"]["other"] = hero | {"context": {"device": ["mobile"]}, "targeting": {"not": {"segment": "dutch"}}}
    with pytest.raises(ConfigurationInvalid) as refused:
        configuration.parse(yaml.safe_dump(text))
    (fault,) = refused.value.errors
    assert fault["path"] == "sites.shop.policies.other.targeting.not.segment"
    assert "country" in fault["detail"]


def test_segments_of_segments_cannot_grow_without_bound() -> None:
    segments: dict[str, Any] = {"s0": {"any": [MOBILE, DUTCH]}}
    for number in range(1, 60):
        segments[f"s{number}"] = {"any": [{"segment": f"s{number - 1}"}] * 50}
    found = faults(segments, {"segment": "s59"})
    assert any("too large" in detail for detail in found.values())


def test_a_chain_of_a_hundred_segments_is_read_like_a_short_one() -> None:
    segments: dict[str, Any] = {"s0": MOBILE} | {f"s{n}": {"segment": f"s{n - 1}"} for n in range(1, 100)}
    assert inlined({"segment": "s99"}, segments) == MOBILE
