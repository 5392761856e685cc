"""A broken `tacit.yaml` is refused with the path of the key and the remedy; a right one expands into the shared vocabulary."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tacit.core import configuration
from tacit.core.declaration import HOLDOUT, Bounds, Guardrail, Holdout, Keys, Kind, Namespace, Schedule, measure_from
from tacit.core.errors import ConfigurationInvalid
from tests.conftest import NEWSROOM

_HEADLINE = "sites.newsroom.policies.headline"
_REWARD = "        reward: {event: click, within: 30m}"


def _more(line: str) -> tuple[str, str]:
    """One more line for the policy."""
    return _REWARD, f"        {line}\n{_REWARD}"


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("share: 0.2\n      dwell", "share: 0.5\n      dwell", "sites.newsroom", "sum to 1.25"),
        ("per_window: 3", "per_windows: 3", "sites.newsroom.measures.pages.per_windows", "Extra inputs"),
        ("delta: 1.0e-6, ", "", "sites.newsroom.privacy.delta", "required"),
        ("epsilon: 1.0", "epsilon: .nan", "sites.newsroom.privacy.epsilon", "finite"),
        ("epoch: 1d", "epoch: 90m", "sites.newsroom.privacy", "whole number of windows"),
        ("window: 1h", "window: often", "sites.newsroom.privacy.window", "duration"),
        ("policy: headline", "policy: headlines", "sites.newsroom.audits.by_age.policy", "not declared"),
        ("control: {scale", "holdout: {scale", "sites.newsroom.policies.headline", "Tacit's own"),
        ("[hero, body]", "[hero, hero]", "sites.newsroom.measures.dwell.by.zone", "twice"),
        ("[hero, body]", "[yes, no]", "sites.newsroom.measures.dwell.by.zone", "quotes"),
        ("[hero, body]", "[hero, other]", "sites.newsroom.measures.dwell.by.zone", "added by Tacit"),
        ("from: 0, to: 120", "from: 120, to: 0", "sites.newsroom.measures.dwell.value", "below"),
        (
            "purpose: measurement\n        by: {category",
            "purpose: ads\n        by: {category",
            "sites.newsroom.measures.pages.purpose",
            "measurement",
        ),
        ("per_cell: 1", "per_cell: 9", "sites.newsroom.measures.pages.per_cell", "above per_window"),
        ("event: dwell", "event: trial", "sites.newsroom.measures.dwell.event", "own"),
        ("    measures:", "    measures:\n      pages: {event: page, share: 0.1}", "line", "twice"),
        ("sites:", "sites: [", "line", ""),
        ("[hero, body]", "{from: 0, to: 100}", "sites.newsroom.measures.dwell.by.zone", "either"),
        ("[hero, body]", "{edges: [0, 5, 5]}", "sites.newsroom.measures.dwell.by.zone", "rise"),
        ("per_cell: 1", "per_cell: 2\n        count: people", "sites.newsroom.measures.pages", "leave `per_cell` at 1"),
        ("by: {zone", "count: transitions\n        by: {zone", "sites.newsroom.measures.dwell", "cannot stand beside"),
        ("by: {category", "keys: {field: term, delta_share: 0.1}\n        by: {category", "sites.newsroom.measures.pages", "stands alone"),
        ("by: {category", "over_time: {sliding: 9}\n        block: 8\n        by: {category", "sites.newsroom.measures.pages", "further"),
        ("event: page", "event: dwell\n        local: {epsilon: 1}", "sites.newsroom.measures.pages.local", "randomised on the device"),
        (*_more("targeting: {colour: {eq: red}}"), f"{_HEADLINE}.targeting.colour", "not a declared context key"),
        (*_more("trigger: {all: [{dwell: {gt: 3}}]}"), f"{_HEADLINE}.trigger.all.0.dwell", "not a signal"),
        (*_more("rollout: 1.5"), f"{_HEADLINE}.rollout", "less than or equal to 1"),
        (*_more("namespace: {name: front, from: 0.5, to: 0.5}"), f"{_HEADLINE}.namespace", "below"),
        (*_more("schedule: {start: 2026-12-01T00:00:00}"), f"{_HEADLINE}.schedule.start", "timezone"),
        (*_more("schedule: {start: 2026-12-02T00:00:00Z, stop: 2026-12-01T00:00:00Z}"), f"{_HEADLINE}.schedule", "before"),
        (*_more("guardrails: [{measure: sales, min: 3}]"), f"{_HEADLINE}.guardrails.0.measure", "does not declare"),
        (*_more("guardrails: [{measure: pages}]"), f"{_HEADLINE}.guardrails.0", "either `min` or `max`"),
        (*_more("guardrails: [{measure: pages, min: 1, cell: {zone: hero}}]"), f"{_HEADLINE}.guardrails.0.cell.zone", "not counted"),
        (*_more("guardrails: [{measure: pages, min: 1, cell: {category: x}}]"), f"{_HEADLINE}.guardrails.0.cell.category", "not a cell"),
        ("    policies:", "    holdouts: {headline: 0.1}\n    policies:", "sites.newsroom.holdouts.headline", "name of a policy"),
    ],
)
def test_each_fault_is_named_by_its_path(old: str, new: str, path: str, words: str) -> None:
    assert old in NEWSROOM
    with pytest.raises(ConfigurationInvalid) as caught:
        configuration.parse(NEWSROOM.replace(old, new, 1))
    assert any(e["path"].startswith(path) and words in e["detail"] for e in caught.value.errors), caught.value.errors


def test_every_fault_is_reported_at_once() -> None:
    broken = NEWSROOM.replace("per_window: 3", "per_windows: 3").replace("window: 1h", "window: often")
    with pytest.raises(ConfigurationInvalid) as caught:
        configuration.parse(broken)
    assert len(caught.value.errors) == 2


def test_a_domain_over_the_cell_limit_is_refused_with_a_remedy() -> None:
    many = ", ".join(f"v{i}" for i in range(9000))
    text = NEWSROOM.replace("by: {category: [frontpage, news, tech]}", f"by: {{category: [{many}], place: [{', '.join('abcdefghijkl')}]}}")
    with pytest.raises(ConfigurationInvalid, match="the limit is 100000"):
        configuration.parse(text)


@pytest.mark.parametrize("text", ["", "[]", "sites: {}", "sites: 3", "\0", "a: !!python/object:os.system {}"])
def test_what_is_not_a_declaration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        configuration.parse(text)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="config init"):
        configuration.load(tmp_path / "tacit.yaml")


def test_policies_and_audits_are_measures_like_any_other() -> None:
    site = configuration.parse(NEWSROOM).sites["newsroom"]
    assert [m.name for m in site.measures] == ["pages", "dwell", "policy.headline", "audit.by_age", "consent.choices"]
    headline = site.policy_measure("headline")
    assert [d.name for d in headline.dimensions] == ["device", "arm", "reward"]
    assert headline.dimensions[1].values == ("control", "larger", "largest", HOLDOUT)
    assert headline.cells == 3 * 4 * 2
    assert headline.all_labels[1] == {"device": "mobile", "arm": "control", "reward": "1"}
    dwell = site.measure("dwell")
    assert dwell is not None
    assert dwell.kind is Kind.SUM
    assert dwell.length == 2 * dwell.cells == 6


def test_a_measures_id_changes_with_its_meaning_and_survives_storage() -> None:
    one = configuration.parse(NEWSROOM).sites["newsroom"].measures
    other = configuration.parse(NEWSROOM.replace("per_window: 3", "per_window: 2")).sites["newsroom"].measures
    assert one[0].id != other[0].id
    assert [m.id for m in one[1:]] == [m.id for m in other[1:]]
    assert all(measure_from(m.definition) == m for m in one)
    assert all(0 <= m.id < 2**63 for m in one)


def test_every_way_to_count_expands_into_cells() -> None:
    text = NEWSROOM.replace(
        "    policies:",
        """      depth: {event: scroll, by: {percent: {from: 0, to: 100, bins: 4}, zone: [hero]}, share: 0.01, over_time: prefix, block: 64}
      steps: {event: page, count: transitions, by: {category: [front, news]}, per_window: 5, per_cell: 2, share: 0.01}
      readers: {event: page, count: people, by: {category: [front, news]}, share: 0.01, over_time: {sliding: 7}}
      terms: {event: search, keys: {field: term, delta_share: 0.2}, per_window: 2, share: 0.01}
      mood: {event: mood, by: {face: [good, bad]}, local: {epsilon: 2}, share: 0.01}
    policies:""",
    )
    site = configuration.parse(text).sites["newsroom"]
    depth, steps, readers, terms, mood = (
        next(m for m in site.measures if m.name == n) for n in ("depth", "steps", "readers", "terms", "mood")
    )
    assert depth.dimensions[0].labels == ("0..25", "25..50", "50..75", "75..100", "other")
    assert (depth.cells, depth.over_time, depth.block) == (10, "prefix", 64)
    assert [d.name for d in steps.dimensions] == ["category.from", "category.to"]
    assert (steps.kind, steps.cells) == (Kind.TRANSITIONS, 9)
    assert (readers.kind, readers.over_time) == (Kind.PEOPLE, "sliding:7")
    assert (terms.kind, terms.cells, terms.keys) == (Kind.KEYS, 0, Keys("term", Decimal("0.2")))
    assert mood.local_epsilon == 2
    assert str(site.delta_for_keys) == "2E-7"
    assert all(measure_from(m.definition) == m for m in site.measures)


@pytest.mark.parametrize(
    ("bounds", "cells", "norm"),
    [
        (Bounds(1, 1, 1), 10, 1.0),
        (Bounds(1, 4, 4), 10, 4.0),
        (Bounds(1, 4, 1), 10, 2.0),
        (Bounds(1, 10, 1), 4, 2.0),
        (Bounds(1, 7, 3), 9, 19**0.5),
    ],
)
def test_the_norm_is_the_worst_case(bounds: Bounds, cells: int, norm: float) -> None:
    assert bounds.l2(cells) == pytest.approx(norm, rel=1e-15)


TWIN = """
      teaser:
        zone: front.teaser
        arms: {control: {}, other_one: {}}
        context: {}
        reward: {event: click}
        share: 0.01
        namespace: {name: front, from: %s, to: 1}
"""


def test_parts_of_a_namespace_that_overlap_are_refused() -> None:
    first = NEWSROOM.replace(*_more("namespace: {name: front, from: 0, to: 0.5}"), 1)
    with pytest.raises(ConfigurationInvalid) as caught:
        configuration.parse(first.replace("    audits:", TWIN.strip("\n") % 0.49 + "\n    audits:", 1))
    assert [e["path"] for e in caught.value.errors] == ["sites.newsroom.policies.teaser.namespace"]
    assert "overlaps" in caught.value.errors[0]["detail"]
    site = configuration.parse(first.replace("    audits:", TWIN.strip("\n") % 0.5 + "\n    audits:", 1)).sites["newsroom"]
    assert site.policies["teaser"].namespace == Namespace("front", 0.5, 1.0)


def test_a_policy_s_terms_are_read() -> None:
    lines = (
        "targeting: {device: {eq: mobile}}\n        trigger: {any: [{scroll_depth: {gt: 50}}, {dwell_seconds: {lt: 3}}]}\n"
        "        schedule: {start: 2026-12-01T00:00:00+01:00}\n        max_step: 0.1\n        rollout: 0.5\n        approval: required\n"
        "        guardrails: [{measure: pages, cell: {category: news}, min: 10}]"
    )
    text = NEWSROOM.replace(*_more(lines), 1).replace("    policies:", "    holdouts: {everybody: 0.1}\n    policies:", 1)
    policy = configuration.parse(text).sites["newsroom"].policies["headline"]
    assert policy.schedule == Schedule(1_796_079_600_000, None)
    assert policy.guardrails == (Guardrail("pages", {"category": "news"}, 10.0, None),)
    assert (policy.max_step, policy.rollout, policy.approval, policy.holdouts) == (0.1, 0.5, True, (Holdout("everybody", 0.1),))
    assert policy.held_out == pytest.approx(1 - 0.9 * (1 - policy.holdout))
    assert policy.arm_dimension.values[-1] == HOLDOUT
