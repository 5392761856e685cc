"""Values that nobody declared: counted under a number, spelled beside it, sealed, and gone with the window."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.recent import recall
from ingest.rows import messages
from ingest.spelling import LIMIT, PIECE, Speller, normal_form, read, spell
from tacit.core.errors import StorageUnavailable
from tests.ingest.test_door import ALL, code
from tests.ingest.world import MINUTE, SITE, START, World, measure_id, number_of

LONG = "a text that takes three pieces, and ends in the third: süß"
TERMS = measure_id("terms")


def search(world: World, identifier: str, term: object, subject: str = "ada", **more: object) -> dict[str, object]:
    return world.event(identifier, "search", subject, term=term, results=1, **more)


def spelled(world: World, window: object) -> list[dict[str, int]]:
    return [r for r in world.raw(window) if r["measure"] < 0]


def test_a_counted_number_leads_to_its_text(world):
    world.grant("ada", "bob")
    terms = ["tax", LONG, "b" * PIECE, "x"]
    world.send(*(search(world, str(n), term) for n, term in enumerate(terms)), search(world, "1", "TAX ", "bob"))
    world.later()
    assert world.texts() == [("terms", text) for text in (*terms, "tax")]
    keyed = [r for r in world.rows() if r["measure"] == TERMS]
    assert len({number_of(r) for r in keyed}) == 4
    assert [n for n, _, _ in world.labelled()] == ["terms", "results"] * 5
    assert {r["measure"] for r in world.rows()} == {TERMS, measure_id("results")}


def test_a_missing_property_leaves_the_other_measures_their_count(world):
    world.grant("ada", measurement=True, personalisation=True)
    assert world.send(world.event("1", "search", results=4))["accepted"] == 1
    assert world.send(world.event("2", "tag"))["refused"] == {"not_measured": 1}
    world.later()
    assert [(n, v) for n, _, v in world.labelled()] == [("results", 4)]


def test_what_cannot_be_spelled_is_a_bad_value(world):
    world.grant("ada")
    for term in (
        "",
        "  \t ",
        None,
        5,
        True,
        ["tax"],
        {},
        "x" * 61,
        "ü" * 31,
        "a\0b",
        "a\x1fb",
        "a\x7f",
        "\x9b",
        "x" * 30_000,
        "\u0301" * 5_000,
    ):
        assert code(world, search(world, "1", term)) == "bad_value", term
    assert world.segments() == []
    assert world.send(search(world, "1", "x" * 60), search(world, "2", "ü" * 30), search(world, "3", " " * 9_000 + "y"))["accepted"] == 3


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("Tax", " tax\u00a0"),
        ("rent  a\u3000car", "RENT A\r\n\tCAR"),
        ("caf\u00e9", "CAFE\u0301"),
        ("\u212b", "a\u030a"),
        ("H\u0331", "\u1e96"),  # a letter that is composed in lower case only
    ],
)
def test_spellings_that_a_reader_takes_for_the_same_are_the_same(one, same):
    assert normal_form(one, 128) == normal_form(same, 128) is not None


@given(st.text(st.characters(codec=None), max_size=40), st.integers(1, 40))
@example("\ud800", 9)
@example("\u1f82\u1f82", 6)
@example("\u03b1\u0313\u0300\u0345" * 3, 9)  # four characters compose to one, three bytes long
@example("H\u0331" * 4, 12)
def test_the_normal_form_is_its_own_and_is_refused_exactly_where_it_does_not_fit(text, limit):
    form = normal_form(text, limit)
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", " ".join(text.split())).lower())
    unusable = any(unicodedata.category(c) == "Cs" or (unicodedata.category(c) == "Cc" and c not in "\t\n\v\f\r\x85") for c in text)
    if unusable or not 0 < len(plain.encode(errors="surrogatepass")) <= limit:
        assert form is None
    else:
        assert form == plain.encode()
        assert normal_form(form.decode(), limit) == form


def test_a_process_spells_a_text_once_a_window(world):
    world.grant("ada", "bob")
    world.send(search(world, "1", LONG), search(world, "2", LONG), search(world, "1", LONG, "bob"))
    world.send(search(world, "3", LONG, "bob"))
    other = world.again()
    other.send(search(world, "4", LONG))
    world.later()
    world.send(search(world, "5", LONG))
    world.later()
    first, second = world.windows()
    assert [len(spelled(world, w)) for w in (first, second)] == [2 * 3, 3]
    assert world.texts([first]) == [("terms", LONG)] * 5
    assert world.texts([second]) == [("terms", LONG)]


def test_equal_texts_of_two_windows_measures_or_sites_have_nothing_in_common(world):
    world.grant("ada", **ALL)
    world.send(search(world, "1", "tax"), world.event("2", "tag", term="tax"))
    world.later()
    world.send(search(world, "3", "tax"))
    world.later()
    keyed = [r for r in world.rows() if r["measure"] in (TERMS, measure_id("tags"))]
    assert len(keyed) == 3
    assert len({number_of(r) for r in keyed}) == len({r["cell"] for r in keyed}) == len({r["value"] for r in keyed}) == 3
    assert sorted(world.texts()) == [("tags", "tax"), ("terms", "tax"), ("terms", "tax")]


def test_only_admitted_people_have_anything_spelled(world):
    world.grant("refused", measurement=False)
    world.grant("withdrew")
    world.withdraw("withdrew", "measurement")
    world.grant("other", personalisation=True)
    answer = world.send(*(search(world, "1", "tax", subject) for subject in ("nobody", "refused", "withdrew", "other")))
    assert (answer["accepted"], sum(answer["refused"].values())) == (0, 4)
    assert world.segments() == []
    world.grant("ada")
    assert world.send(search(world, "1", "tax"), gpc=True)["refused"] == {"gpc": 1}
    assert world.segments() == []
    world.send(search(world, "1", "tax"))
    assert world.send(search(world, "1", "rent"))["refused"] == {"duplicate": 1}
    world.later()
    [window] = world.windows()
    assert dict(world.source.contributions(window).names) == {TERMS: {number_of(world.rows()[0]): "tax"}}


def test_a_text_is_found_though_the_person_who_had_it_spelled_withdrew(world):
    world.grant("ada", "bob")
    world.send(search(world, "1", "tax"), search(world, "2", "rent"), search(world, "1", "tax", "bob"))
    world.withdraw("ada", "measurement")
    world.later()
    assert world.texts() == [("terms", "tax")]


def test_the_text_lies_in_no_file(world):
    world.grant("ada")
    canary = "canary of the search box"
    world.send(search(world, "1", canary), search(world, "2", canary.upper()))
    world.later()
    [window] = world.windows()
    assert world.texts() == [("terms", canary)] * 2

    def anywhere() -> bytes:
        return b"".join(p.read_bytes() for p in world.path.rglob("*") if p.is_file()).lower()

    for piece in (canary.encode(), b"canary", canary.encode("utf-16-le"), b"search box"):
        assert piece not in anywhere()
    [number] = world.source.contributions(window).names[TERMS]
    world.source.forget(window)
    assert world.segments() == []
    for trace in (b"canary", number.to_bytes(8, "little"), number.to_bytes(8, "big")):
        assert trace not in anywhere()


def test_what_spells_is_taken_for_a_message_nowhere(world):
    world.grant("ada")
    world.send(search(world, "1", LONG))
    world.later()
    [window] = world.windows()
    counted = {r["m"].to_bytes(8, "little") for r in world.rows()}
    assert len(counted) == 1
    assert {r["m"].to_bytes(8, "little") for r in world.raw(window)} > counted
    assert {m for block in world.staging.blocks(SITE, window.start_ms) for m in messages(block)} == counted
    assert recall(world.staging, SITE, world.staging.book(SITE).current()).current == counted
    world.source.forget(window)
    assert b"".join(world.staging.seen.before(SITE, window.end_ms)) == counted.pop()


def test_of_two_texts_with_one_number_the_smaller_is_read(world):
    number = b"12345678"
    texts = ["zebra", LONG, "y" * 58, "y" * 30 + "z" * 28]
    for text in texts:
        world.staging.append(SITE, lambda window, text=text: spell(TERMS, number, text.encode()))
    world.staging.append(SITE, lambda window: spell(measure_id("tags"), number, b"zebra"))
    world.staging.sync()
    world.later()
    [window] = world.windows()
    key = int.from_bytes(number, "little")
    assert world.source.contributions(window).names == {TERMS: {key: LONG}, measure_id("tags"): {key: "zebra"}}
    assert world.rows() == []


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_text_with_a_lost_piece_is_not_read_at_all(world, lost):
    whole, other = spell(TERMS, b"a" * 8, LONG.encode()), spell(TERMS, b"b" * 8, b"b" * 50)
    rest = whole[: lost * 48] + whole[(lost + 1) * 48 :]
    key = int.from_bytes(b"b" * 8, "little")
    assert read(rest + other) == read(other + rest) == {TERMS: {key: "b" * 50}}
    assert read(rest + whole)[TERMS] == {int.from_bytes(b"a" * 8, "little"): LONG}


def test_after_a_failed_sync_a_text_is_spelled_again(world):
    world.grant("ada")
    world.send(search(world, "0", "rent"))
    segment = world.staging._segments[SITE]
    handle, segment._handle = segment._handle, os.open("/dev/null", os.O_WRONLY)  # takes rows, loses them, and cannot be synced
    with pytest.raises(StorageUnavailable):
        world.send(search(world, "1", "tax"))
    os.close(handle)
    world.door.forget_recent()
    assert world.send(search(world, "1", "tax"))["accepted"] == 1
    world.later()
    assert world.texts() == [("terms", "rent"), ("terms", "tax")] or world.texts() == [("terms", "tax"), ("terms", "rent")]


def test_after_a_failed_write_a_text_is_spelled_again(world):
    world.grant("ada")
    world.send(search(world, "0", "rent"))
    segment = world.staging._segments[SITE]
    handle, segment._handle = segment._handle, os.open("/dev/null", os.O_RDONLY)  # takes no row
    with pytest.raises(StorageUnavailable):
        world.send(search(world, "1", "tax"))
    os.close(handle)
    assert world.send(search(world, "1", "tax"))["accepted"] == 1
    world.later()
    assert sorted(world.texts()) == [("terms", "rent"), ("terms", "tax")]


def test_rows_whose_epoch_key_is_lost_take_their_texts_along(world):
    world.grant("ada")
    world.send(search(world, "1", "tax"))
    world.later()
    [window] = world.windows()
    (world.path / "custody" / SITE / f"epoch-{START}").unlink()
    world.custody.drop_destroyed()
    rows = world.source.contributions(window)
    assert (len(rows.columns["m"]), dict(rows.names)) == (0, {})


def test_the_memory_of_what_is_spelled_is_bounded(world):
    speller = Speller(b"k" * 32)
    first = speller.number(TERMS, b"tax")
    for start in range(0, 3 * LIMIT, 5_000):
        speller.remember(n.to_bytes(8, "big") for n in range(start, start + 5_000))
        speller.remember([first])
        again: dict[bytes, bytes] = {}
        speller.halves(TERMS, b"tax", again)
        assert again == {}
        assert len(speller._spelled) <= LIMIT + 5_000


def test_a_window_without_texts_has_no_names(world):
    world.grant("ada")
    world.send(world.event("1", category="news"))
    world.later(2 * MINUTE)
    assert [dict(world.source.contributions(w).names) for w in world.windows()] == [{}, {}]
