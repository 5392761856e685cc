"""The report's section about findings: where each is, what was done about it at which price, whether it worked, who has signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audit.blocks import Block, Table, Text
from audit.findings import Finding

SHOWN = (
    "id",
    "subject",
    "verdict",
    "state",
    "opened_at",
    "due_at",
    "scan",
    "version",
    "reopened",
    "decided_at",
    "accepted_until",
    "closed_at",
    "signatures",
    "correction",
    "containment",
)
"""What a report says of a finding. Notes are people's own words and stay out of it."""


def finding_json(one: Finding) -> dict[str, Any]:
    """A finding in the report's content."""
    found = one.to_json()
    return {name: found[name] for name in SHOWN}


def findings(found: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """A table of all, then what was done about those that something was done about."""
    if not found:
        yield Text("This audit has no finding.")
        return
    rows = tuple((f["subject"], f["verdict"], _state(f), f["opened_at"], f["due_at"], f["id"]) for f in found)
    yield Table("Findings of this audit", ("what", "verdict", "state", "opened", "due", "id"), rows)
    if done := [row for f in found for row in _done(f)]:
        yield Table("What was done about them", ("what", "step", "when", "what it means"), tuple(done))
    if signed := [(f["subject"], s["key"], s["role"], s["at"], f["state"]) for f in found for s in f["signatures"]]:
        yield Table("Signatures", ("what", "key", "role", "when", "state of the finding"), tuple(signed))


def _state(f: Mapping[str, Any]) -> str:
    again = f", opened again {f['reopened']} times" if f["reopened"] > 1 else ", opened again once" if f["reopened"] else ""
    term = f" until {f['accepted_until']}" if f["accepted_until"] else ""
    return f"{f['state']}{term}{again}"


def _done(f: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if held := f["containment"]:
        said = "done at once, before anybody had looked" if held["done"] else f"could not be done: {held['problem']}"
        yield f["subject"], f"containment: {_change(held['change'])}", held["at"], said
    if corrected := f["correction"]:
        yield f["subject"], f"correction: {_change(corrected['change'])}", corrected["at"], corrected["price"]["sentence"]
        verification = corrected["verification"]
        if verification is None:
            yield f["subject"], "verification", "", "no scan has looked at the time since"
        else:
            word = "verified" if verification["verified"] else "not verified"
            said = f"{word}: {verification['verdict']} in the windows since the correction ({verification['scan']})"
            yield f["subject"], "verification", verification["at"], said


def _change(change: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in sorted(change.items()) if name != "kind")
    kind = str(change["kind"]).replace("_", " ")
    return f"{kind} ({rest})" if rest else kind
