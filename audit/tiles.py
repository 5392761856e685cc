"""Paths of tiles (c2sp.org/tlog-tiles): `<level>/<index>` and `.p/<width>` unless it is full; the index in groups of three digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit.evidence_errors import NoSuchEntry
from audit.tree import WIDTH, widths

HASH_BYTES = 32
_PATH = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def path_of(level: int, tile: int, width: int) -> str:
    """The path of a tile that has `width` hashes.

    >>> path_of(0, 1234067, 256)
    '0/x001/x234/067'
    >>> path_of(1, 0, 17)
    '1/000.p/17'
    """
    groups = [f"{tile % 1000:03d}"]
    while tile := tile // 1000:
        groups.insert(0, f"x{tile % 1000:03d}")
    return f"{level}/{'/'.join(groups)}" + (f".p/{width}" if width < WIDTH else "")


def parse(path: str) -> tuple[int, int, int]:
    """Level, index and width of a tile. Raises `NoSuchEntry` for anything but the one way to write them."""
    match = _PATH.fullmatch(path)
    if match:
        level, tile, width = int(match[1]), int(match[2].replace("x", "").replace("/", "")), int(match[3] or WIDTH)
        if path_of(level, tile, width) == path and level < 64:
            return level, tile, width
    raise NoSuchEntry("there is no tile of this name", next_step="Tiles are named as c2sp.org/tlog-tiles says: 0/x001/234.p/17")


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """`(level, index, width)` of every tile of a tree, from the leaves up."""
    for level, count in widths(size):
        for tile in range((count + WIDTH - 1) // WIDTH):
            yield level, tile, min(WIDTH, count - tile * WIDTH)


def split(content: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [content[i : i + HASH_BYTES] for i in range(0, len(content) - HASH_BYTES + 1, HASH_BYTES)]
