"""Inputs of at most 64 KiB that are built to cost a decoder as much as they can. The benchmark measures them, the tests bound them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from consent.signals.bits import MAX_CHARACTERS
from tests.consent.signals.encoder import ALPHABET, Range, Tc, base64url, entries, fibonacci_vendors, flags, gpp_string, uint


def hostile(random: Random) -> Iterator[tuple[str, dict[str, str]]]:
    """Names and requests."""
    singles = [(number, number) for number in random.sample(range(1, 65_536), 4_095)]
    ends = sorted(random.sample(range(1, 65_536), 8_190))
    ranges = list(zip(ends[::2], ends[1::2], strict=True))
    random.shuffle(ranges)
    full_field = _field(range(1, 8_190, 2), 65_535)
    pairs = [(purpose, kind) for purpose in range(1, 25) for kind in range(3)]
    pieces = [[(number, number) for number in random.sample(range(1, 65_536), 113)] for _ in pairs]

    yield "full ranges twice", {"tcf": _tc(_ranges(ranges), _ranges(ranges), _ranges([]))}
    yield "full singles twice", {"tcf": _tc(_ranges(singles), _ranges(singles), _ranges([]))}
    yield "full singles three times", {"tcf": _tc(_ranges(singles), _ranges(singles), _ranges(singles))}
    yield "full bit fields twice", {"tcf": _tc(full_field, full_field, _ranges([]))}
    sparse = _field(range(1, 65_536, 25), 65_535)
    yield "wide bit fields three times", {"tcf": _tc(sparse, sparse, sparse)}
    yield "alternating vendors three times", {"tcf": _tc(*[_field(range(1, 65_536, 2), 65_535)] * 3)}
    yield "4,095 times all vendors", {"tcf": _tc(_ranges([(1, 65_535)] * 4_095), _ranges([]), _ranges([]))}
    yield (
        "72 restrictions of 113 vendors",
        {"tcf": Tc(restrictions=[(*pair, piece) for pair, piece in zip(pairs, pieces, strict=True)]).text()},
    )
    yield "72 restrictions of all vendors", {"tcf": Tc(restrictions=[(*pair, [(1, 65_535)]) for pair in pairs]).text()}
    yield "4,095 restrictions", {"tcf": Tc(restrictions=[(1 + n % 24, n % 3, [(1, 65_535)]) for n in range(4_095)]).text()}
    apart = fibonacci_vendors([(number, number + 7) for number in range(1, 65_521, 16)])
    canada = base64url(uint(1, 6) + "0" * 72 + uint(2, 12) + "0" * 109 + apart * 2 + uint(0, 12), 8)
    yield "Canada's full ranges twice", {"gpp": gpp_string({5: canada})}
    yield "Europe's and Canada's at once", {"gpp": gpp_string({2: _tc(_ranges(singles), _ranges([]), _ranges([])), 5: canada})}
    yield "a header that lists 4 billion sections", {"gpp": _header("1" + "11" + "0" * 43 + "11")}
    yield "a header that lists 65,535 sections", {"gpp": _header("1" + "11" + "001010010000000000000011")}
    yield "a header without an end", {"gpp": _header("0" * 300_000)}
    for character in "AC~.D_":
        yield f"64 KiB of {character}", {"gpp" if character in "~D" else "tcf": character * MAX_CHARACTERS}
    noise = "".join(random.choice(ALPHABET) for _ in range(MAX_CHARACTERS - 6))
    yield "64 KiB of noise", {"tcf": "C" + noise}
    yield "64 KiB of noise behind a section", {"gpp": f"DBABLA~{noise}"[:MAX_CHARACTERS]}


def _tc(consents: str, interests: str, disclosed: str) -> str:
    made = Tc(vendor_consents=consents, vendor_interests=interests, others=[("vendorsDisclosed", "001" + disclosed)])
    return made.text()


def _field(numbers: range, width: int) -> str:
    return uint(width, 16) + "0" + flags(numbers, width)


def _ranges(ranges: list[Range]) -> str:
    return uint(65_535, 16) + "1" + entries(ranges)


def _header(items: str) -> str:
    return base64url(uint(3, 6) + uint(1, 6) + uint(1, 12) + items, 8)
