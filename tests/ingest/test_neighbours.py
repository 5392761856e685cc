"""The premise of the privacy proof: one person's events decide about that person's rows and nobody else's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.recent import Recent
from tests.ingest.world import DAY, DECLARATION, SITE, number_of, open_world

PEOPLE = ("ada", "bob", "eve")
PROPERTIES: dict[str, Any] = {
    "page": {"category": "news"},
    "dwell": {"zone": "hero", "seconds": 5},
    "scroll": {"category": "tech", "depth": 30},
    "move": {"place": "shop"},
    "mood": {"answer": "good", "randomised": 0.1},
}
KEYED = {m.id for m in DECLARATION.sites[SITE].measures if m.keys}
TERMS: list[Any] = ["tax", " TAX", "a text that takes more than one piece", "", 7]

event = st.tuples(
    st.sampled_from(PEOPLE),
    st.sampled_from(["1", "2", "3", "ada", "x" * 130]),
    st.sampled_from(["page", "dwell", "trial", "zoom", "scroll", "move", "mood"])
    | st.tuples(st.sampled_from(["search", "tag"]), st.sampled_from(TERMS)),
)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(event, max_size=6), max_size=5), gone=st.sampled_from(PEOPLE))
def test_without_one_person_the_others_rows_are_the_same(batches, gone):
    place = Path(tempfile.mkdtemp())
    try:
        world = open_world(place)
        world.grant("ada", measurement=True, personalisation=True)
        world.grant("bob", measurement=True, fairness_audit=True)
        world.grant("eve", personalisation=True, fairness_audit=True)

        def one(s, i, k):
            if isinstance(k, tuple):
                return world.event(i, k[0], s, term=k[1], results=2)
            return world.trial(i, s, groups={"age_band": "old"}) if k == "trial" else world.event(i, k, s, **PROPERTIES.get(k, {}))

        def made(batch):
            return [one(*e) for e in batch]

        def staged(keep):
            world.door._recent[SITE] = Recent(0)  # both runs start without a memory
            for batch in batches:
                world.send(*made([e for e in batch if keep(e)]))
            world.source.cut(SITE)
            [*_, window] = world.windows() or [None]
            return [] if window is None else comparable(window)

        def comparable(window):
            """Rows without what hangs on the window: the order, and the number of a text, which stands here in its place."""
            names = world.source.contributions(window).names
            return [(*(r[c] for c in ("p1", "p2", "m", "measure")), *_place(r, names.get(r["measure"], {}))) for r in world.rows([window])]

        world.later(1)
        mine = staged(lambda e: True)
        world.later(1)
        rest = staged(lambda e: e[0] != gone)
        epoch_ms = world.windows()[-1].epoch_ms
        secret = world.custody.epoch_secret(SITE, epoch_ms, epoch_ms + DAY)
        from ingest.pseudonyms import person

        theirs = {person(secret, p, "user", gone) for p in ("measurement", "personalisation", "fairness_audit")}
        assert rest == [r for r in mine if r[0].to_bytes(8, "little") + r[1].to_bytes(8, "little") not in theirs]
        world.close()
    finally:
        shutil.rmtree(place)


def _place(row: dict[str, int], names: Mapping[int, str]) -> tuple[Any, ...]:
    return (names[number_of(row)],) if row["measure"] in KEYED else (row["cell"], row["value"])
