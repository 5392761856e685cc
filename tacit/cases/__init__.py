"""The case library: whole declarations to copy and change. Each file here is valid as it stands, and `tacit demo` runs them all."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from tacit.core.errors import Problem

HEADLINE: Final = "headline-prominence"
SIZE: Final = "size-hesitation"
ORDER: Final = "browsing-order"

CASES: Final = {
    HEADLINE: "A newsroom: which of four ways of showing a headline is clicked, by device and part of the day; audited by age.",
    SIZE: "A fashion shop: who keeps changing the size filter is offered a size table or two sizes, and what helps is learned by device.",
    ORDER: "A catalogue: what people look at next is learned from released transitions, and the shelf begins with it.",
}
"""What there is, and a sentence on each."""


def text(name: str) -> str:
    """The commented declaration of a case, as YAML. Raises `Problem` for a name that is not in `CASES`."""
    if name not in CASES:
        raise Problem("there is no such case", next_step=f"There are {', '.join(CASES)}.")
    return (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
