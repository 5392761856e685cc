"""Global Privacy Control: one bit that a browser sends, and what a site says about it.

https://www.w3.org/TR/gpc/. The header says something only when it is exactly `1`; the signal only ever removes.
"""

from __future__ import annotations

from collections.abc import Iterable

HEADER = "sec-gpc"

WELL_KNOWN = "/.well-known/gpc.json"
LAST_UPDATE = "2026-11-24"
"""When what this service does about the signal last changed."""


def opted_out(values: Iterable[str]) -> bool:
    """Whether one of the request's `Sec-GPC` headers is exactly `1`; every other value says nothing.

    >>> [opted_out(values) for values in (["1"], ["0", "1"], ["0"], ["1, 1"], ["true"], [])]
    [True, True, False, False, False, False]
    """
    return "1" in values


def support() -> dict[str, bool | str]:
    """The resource at `WELL_KNOWN`: the signal is respected."""
    return {"gpc": True, "lastUpdate": LAST_UPDATE}
