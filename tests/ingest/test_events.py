from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import BODY_LIMIT, Event, _split, parse
from tacit.core.errors import InvalidRequest

GOOD = b'{"id":"1","type":"page","subject":"ada","at":"2026-01-01T00:00:00Z","properties":{"note":"a \\"[quoted]\\", \\\\"}}'
NO_JSON = {
    "a lone surrogate": GOOD.replace(b"ada", b"\\ud800"),
    "a lone low surrogate in a property nobody asked for": GOOD.replace(b"quoted", b"\\uDC00"),
    "a thousand arrays": b"[" * 1_100 + b"]" * 1_100,
    "a thousand objects": GOOD.replace(b'{"note"', b'{"note":' + b'{"a":' * 1_100 + b"1" + b"}" * 1_100 + b',"x"'),
    "a bare word": b'{"id": nope}',
    "a number that JSON does not know": GOOD.replace(b'"ada"', b"01"),
    "a control character": GOOD.replace(b"ada", b"a\x01"),
    "an unknown escape": GOOD.replace(b"ada", b"\\x41"),
    "two values": b"{} {}",
    "a bracket too many in a bracket": b"[{]]",
}


def batch(*events: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return b"{" + before + b'"events" :\n[' + b" , ".join(events) + b"]" + after + b"}"


def codes(events: list[Event | str]) -> list[str]:
    return [e if isinstance(e, str) else "read" for e in events]


@pytest.mark.parametrize("bad", NO_JSON.values(), ids=NO_JSON.keys())
@pytest.mark.parametrize("size", [1, 700], ids=["small", "large"])
def test_an_event_that_is_no_json_costs_only_itself(bad: bytes, size: int) -> None:
    goods = [GOOD] * size
    around = {"before": b'"events_": [{"events":[1]}], "a":"\\"events\\":[",', "after": b', "sentAt": [1]'}
    assert codes(parse(batch(*goods, bad, *goods, bad, **around))) == [*["read"] * size, "malformed"] * 2
    assert codes(parse(batch(bad))) == ["malformed"]


def test_a_huge_event_that_is_no_json_is_too_large() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert codes(parse(batch(GOOD, deep, GOOD))) == ["read", "event_too_large", "read"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)


@settings(max_examples=50, deadline=None)
@given(
    events=st.lists(json_values, max_size=5), rest=st.dictionaries(st.text().filter(lambda k: k != "events"), json_values), at=st.booleans()
)
def test_told_apart_by_brackets_events_are_the_same_as_read_by_the_decoder(events: list[Any], rest: dict[str, Any], at: bool) -> None:
    whole = rest | {"events": events} if at else {"events": events} | rest
    for escaped in (True, False):
        body = json.dumps(whole, ensure_ascii=escaped, indent=None if escaped else 1).encode("utf-8", "surrogatepass")
        found = _split(body)
        assert found is not None
        assert [msgspec.json.decode(e) for e in found] == msgspec.json.decode(body)["events"]


SHALLOW = [bad for bad in NO_JSON.values() if len(bad) < 1_000]  # Hypothesis lets recursion go deeper than a service does


@given(events=st.lists(st.sampled_from([GOOD, *SHALLOW]), min_size=1, max_size=6))
def test_whatever_stands_beside_it_a_good_event_is_read(events: list[bytes]) -> None:
    assert codes(parse(batch(*events))) == ["read" if e == GOOD else "malformed" for e in events]


@pytest.mark.parametrize(
    "body",
    [
        batch(b"nope", b""),
        batch(b"", b"nope"),
        batch(b"nope")[:-1],
        batch(b"nope")[:-2],
        batch(b"nope") + b"]",
        batch(b"nope", after=b', "x": nope'),
        batch(b"nope", before=b'"x" 1,'),
        batch(b'{"id": "never ends]}'),
        b'{"x": {"events": [nope]}}',
        b'[{"events": [nope]}]',
        b'{"events": {"a": nope}}',
        b'{"events": [nope}}',
        b'{"events": [nope], "events": [1, 2]}',
        b'"events": [nope]',
    ],
)
def test_a_body_that_is_broken_around_its_events_is_refused_whole(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(body)


@pytest.mark.parametrize(
    ("start", "again", "end"),
    [
        (b'{"events":["', b'\\"', b""),
        (b'{"events":["', b'\\"', b"\\"),
        (b'{"', b'\\"', b"\\"),
        (b'{"events":[', b"[1", b""),
        (b'{"events":[', b",", b"]}"),
        (b"{", b'"events" ', b""),
        (b"{", b'"events"' + b" " * 500, b""),
        (b'{"events":[', b"[{", b""),
        (b'{"events":[', b"{}", b"} nope]}"),
    ],
)
def test_no_body_of_the_largest_size_takes_more_than_a_look_at_each_byte(start: bytes, again: bytes, end: bytes) -> None:
    """Anything that looks at the rest of the body once for each of its bytes would still be at it when the test's time is over."""
    times = (BODY_LIMIT - len(start) - len(end)) // len(again)
    with pytest.raises(InvalidRequest):
        parse(start + again * times + end)
